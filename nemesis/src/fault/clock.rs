//! What the clock faults come to, in one form.

use super::Fault;
use crate::clock::{OFFSET_NS_MAX, RATE_PPM_MAX, RATE_PPM_MIN};
use std::time::Duration;

/// What a fault does to one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) leap_ns: i64,
    pub(crate) rate_ppm: i64,
}

impl Effect {
    pub(crate) fn is_none(self) -> bool {
        self == Effect::default()
    }
}

/// What a clock fault does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClockEffect {
    pub(crate) wall: Effect,
    pub(crate) monotonic: Effect,
    /// The time from one leap to the next, there or back; `None` when it leaps once.
    pub(crate) toggle_every: Option<Duration>,
}

impl Fault {
    /// What it does to clocks; `None` when that is nothing.
    pub(crate) fn clock_effect(&self) -> Option<ClockEffect> {
        let leap = |ms: i64| Effect { leap_ns: ms.saturating_mul(1_000_000), rate_ppm: 0 };
        let drift = |rate_ppm| Effect { leap_ns: 0, rate_ppm };
        let (wall, monotonic, toggle_every) = match *self {
            Fault::ClockJump { wall_ms, monotonic_ms, .. } => {
                (leap(wall_ms), leap(monotonic_ms), None)
            }
            Fault::ClockDrift { wall_ppm, monotonic_ppm, .. } => {
                (drift(wall_ppm), drift(monotonic_ppm), None)
            }
            Fault::ClockStrobe { wall_ms, monotonic_ms, period_ms, .. } => {
                let half = Duration::from_millis(period_ms.max(2)) / 2;
                (leap(wall_ms), leap(monotonic_ms), Some(half))
            }
            _ => return None,
        };
        Some(ClockEffect { wall, monotonic, toggle_every })
    }

    /// What is wrong with the numbers of a clock fault, as a sentence's end; `None` when nothing.
    pub fn clock_mistake(&self) -> Option<String> {
        let ClockEffect { wall, monotonic, .. } = self.clock_effect()?;
        if wall.is_none() && monotonic.is_none() {
            return Some("it changes neither the wall clock nor the monotonic one".to_owned());
        }
        for Effect { leap_ns, rate_ppm } in [wall, monotonic] {
            if leap_ns.saturating_abs() > OFFSET_NS_MAX {
                return Some("a clock leaps 100 years at most".to_owned());
            }
            if !(RATE_PPM_MIN..=RATE_PPM_MAX).contains(&rate_ppm) {
                return Some(format!(
                    "a clock gains {RATE_PPM_MIN} to {RATE_PPM_MAX} ppm, not {rate_ppm}"
                ));
            }
        }
        match self {
            Fault::ClockStrobe { period_ms: period_ms @ 0..2, .. } => {
                Some(format!("period_ms is {period_ms}; expected 2 or more"))
            }
            _ => None,
        }
    }
}

/// The clocks that are changed, each with its number: `wall +20000 ms, monotonic -5 ms`.
pub(super) fn apart(wall: &i64, monotonic: &i64, unit: &str) -> String {
    let parts = [("wall", wall), ("monotonic", monotonic)];
    let parts = parts.iter().filter(|(_, by)| **by != 0);
    parts.map(|(clock, by)| format!("{clock} {by:+} {unit}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::{Fault, NodeId, Nodes};

    fn n1() -> Nodes {
        Nodes::These(vec![NodeId::numbered(1)])
    }

    #[test]
    fn a_clock_fault_tells_what_it_does_and_what_is_wrong_with_it() {
        let jump = |wall_ms, monotonic_ms| Fault::ClockJump { nodes: n1(), wall_ms, monotonic_ms };
        let drift = |wall_ppm, monotonic_ppm| {
            let nodes = n1();
            Fault::ClockDrift { nodes, wall_ppm, monotonic_ppm }
        };
        let strobe = |period_ms| {
            let nodes = n1();
            Fault::ClockStrobe { nodes, wall_ms: 200, monotonic_ms: 0, period_ms }
        };
        let rows = [
            (jump(-20_000, 0), "clocks of n1 leap: wall -20000 ms", None),
            (jump(5, 7), "clocks of n1 leap: wall +5 ms, monotonic +7 ms", None),
            (drift(0, 1_000_000), "clocks of n1 drift: monotonic +1000000 ppm", None),
            (strobe(50), "clocks of n1 strobe: wall +200 ms, every 50 ms", None),
            (drift(0, 0), "clocks of n1 drift: ", Some("changes neither")),
            (drift(-1_000_001, 0), "clocks of n1 drift: wall -1000001 ppm", Some("-1000000 to")),
            (
                jump(i64::MAX, 0),
                "clocks of n1 leap: wall +9223372036854775807 ms",
                Some("100 years"),
            ),
            (strobe(1), "clocks of n1 strobe: wall +200 ms, every 1 ms", Some("2 or more")),
        ];
        for (fault, what, wrong) in rows {
            assert_eq!(fault.what(None), what);
            let mistake = fault.clock_mistake();
            match wrong {
                None => assert_eq!(mistake, None, "{what}"),
                Some(wrong) => assert!(mistake.is_some_and(|m| m.contains(wrong)), "{what}"),
            }
        }
        assert_eq!(Fault::Kill { nodes: n1() }.clock_mistake(), None);
    }

    #[test]
    fn a_clock_that_a_plan_does_not_name_is_left_alone() -> Result<(), serde_json::Error> {
        let text = r#"{"kind":"clock-jump","nodes":"leader","wall_ms":-20000}"#;
        let fault: Fault = serde_json::from_str(text)?;
        let expected = Fault::ClockJump { nodes: Nodes::Leader, wall_ms: -20_000, monotonic_ms: 0 };
        assert_eq!(fault, expected);
        Ok(())
    }
}
