//! How nodes read their clocks while a fault held them off, in words.

use crate::text::clean;
use ordeal_history::Value;

/// `n2 read its wall clock 20.0 s behind`, for each node of a clock fault's `seen`.
pub(crate) fn readings(nodes: &Value) -> Option<String> {
    let Value::Object(nodes) = nodes else { return None };
    let told: Option<Vec<String>> = nodes
        .iter()
        .map(|(node, reading)| {
            let Value::Object(reading) = reading else { return None };
            let clocks = [("wall", "wall_ahead_us"), ("monotonic", "monotonic_ahead_us")];
            let off: Vec<String> = clocks
                .iter()
                .filter_map(|(clock, member)| match reading.get(*member) {
                    Some(Value::Int(us)) if *us != 0 => Some(format!("{clock} {}", ahead(*us))),
                    _ => None,
                })
                .collect();
            let off = if off.is_empty() { "true clocks".to_owned() } else { off.join(", ") };
            Some(format!("{} read {off}", clean(node, 24)))
        })
        .collect();
    told.map(|told| told.join("; "))
}

fn ahead(us: i64) -> String {
    let side = if us < 0 { "behind" } else { "ahead" };
    match us.unsigned_abs() {
        us @ ..1_000 => format!("{us} µs {side}"),
        us @ 1_000..1_000_000 => format!("{:.1} ms {side}", us as f64 / 1e3),
        us => format!("{:.1} s {side}", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_told_in_the_unit_that_suits_them() {
        let rows = [
            (r#"{"n2":{"wall_ahead_us":-20000004}}"#, Some("n2 read wall 20.0 s behind")),
            (
                r#"{"n1":{"monotonic_ahead_us":22143,"wall_ahead_us":7},"n2":{"times_set":1}}"#,
                Some("n1 read wall 7 µs ahead, monotonic 22.1 ms ahead; n2 read true clocks"),
            ),
            (r#"{}"#, Some("")),
            (r#"{"n1":3}"#, None),
            (r#"[]"#, None),
        ];
        for (seen, told) in rows {
            let seen = Value::parse(seen).expect("JSON");
            assert_eq!(readings(&seen).as_deref(), told);
        }
    }
}
