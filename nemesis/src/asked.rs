//! What is asked for, in the words of the command line: `kill`, `pause@leader:lock`.

use crate::{Kind, NodeId, Trigger};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most that a kind can weigh.
const WEIGHT_MAX: u32 = 100;
/// How much a kind weighs at most that a swarm leaves in.
const SWARM_WEIGHT_MAX: u32 = 8;

/// A kind of fault that is asked for, and how: `KIND[=WEIGHT][@TARGET][:TRIGGER]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Asked {
    /// The kind.
    pub kind: Kind,
    /// How often it is drawn, compared with others; 1 is as often as most.
    pub weight: u32,
    /// Whom it strikes; without this that is drawn each time.
    pub target: Option<Target>,
    /// What it waits for; without this it comes at its time.
    pub when: Option<Trigger>,
}

/// Whom a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// One node, drawn each time.
    One,
    /// So many that the others are a majority.
    Minority,
    /// A majority, no larger than it must be.
    Majority,
    /// Every node.
    All,
    /// Whoever leads then.
    Leader,
    /// Whoever does not.
    Followers,
    /// These.
    Named(Vec<NodeId>),
}

impl From<Kind> for Asked {
    fn from(kind: Kind) -> Asked {
        Asked { kind, weight: 1, target: None, when: None }
    }
}

impl Asked {
    /// Switches some of these off and weighs the rest, at random; one is left at least. Those that
    /// are left, and the kinds that are off.
    pub fn swarm(asked: &[Asked], rng: &mut ChaCha8Rng) -> (Vec<Asked>, Vec<Kind>) {
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for one in asked {
            if rng.random_bool(0.5) {
                on.push(Asked { weight: rng.random_range(1..=SWARM_WEIGHT_MAX), ..one.clone() });
            } else {
                off.push(one.clone());
            }
        }
        if on.is_empty() && !off.is_empty() {
            on.push(off.remove(rng.random_range(0..off.len())));
        }
        (on, off.into_iter().map(|one| one.kind).collect())
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Asked, String> {
        let (rest, when) = match text.split_once(':') {
            Some((rest, trigger)) => (rest, Some(Trigger::try_from(trigger.to_owned())?)),
            None => (text, None),
        };
        let (rest, target) = match rest.split_once('@') {
            Some((rest, target)) => (rest, Some(target.parse::<Target>()?)),
            None => (rest, None),
        };
        let (name, weight) = match rest.split_once('=') {
            Some((name, weight)) => {
                let good = weight.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight));
                let weight = good.ok_or_else(|| {
                    format!("`{weight}` is no weight; expected 1 to {WEIGHT_MAX}")
                })?;
                (name, weight)
            }
            None => (rest, 1),
        };
        let kind = Kind::named(name).ok_or_else(|| format!("there is no fault `{name}`"))?;
        if target.is_some() && !kind.can_be_aimed() {
            return Err(format!("{kind} strikes no node in particular: leave `@…` out"));
        }
        Ok(Asked { kind, weight, target, when })
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        Ok(match text {
            "one" => Target::One,
            "minority" => Target::Minority,
            "majority" => Target::Majority,
            "all" => Target::All,
            "leader" => Target::Leader,
            "followers" => Target::Followers,
            names => {
                let word = |name: &str| {
                    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric())
                };
                if !names.split('+').all(word) {
                    return Err(format!(
                        "there is no target `{names}`; there are one, minority, majority, all, \
                         leader, followers, and names of nodes such as n1+n2"
                    ));
                }
                Target::Named(names.split('+').map(|name| NodeId(name.to_owned())).collect())
            }
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::One => f.write_str("one"),
            Target::Minority => f.write_str("minority"),
            Target::Majority => f.write_str("majority"),
            Target::All => f.write_str("all"),
            Target::Leader => f.write_str("leader"),
            Target::Followers => f.write_str("followers"),
            Target::Named(nodes) => {
                let names: Vec<&str> = nodes.iter().map(|node| node.0.as_str()).collect();
                f.write_str(&names.join("+"))
            }
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if self.weight != 1 {
            write!(f, "={}", self.weight)?;
        }
        if let Some(target) = &self.target {
            write!(f, "@{target}")?;
        }
        self.when.as_ref().map_or(Ok(()), |when| write!(f, ":{when}"))
    }
}

impl TryFrom<String> for Asked {
    type Error = String;

    fn try_from(text: String) -> Result<Asked, String> {
        text.parse()
    }
}

impl From<Asked> for String {
    fn from(asked: Asked) -> String {
        asked.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn what_is_asked_for_is_read_and_written_in_the_same_words() {
        let rows = [
            "kill",
            "kill=3",
            "kill@leader",
            "partition=2@minority",
            "pause@leader:lock",
            "kill@followers:snapshot",
            "power-loss@n1+n3:election",
            "compact:key/jobs/",
        ];
        for text in rows {
            let asked: Result<Asked, String> = text.parse();
            assert_eq!(asked.map(|asked| asked.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_there_is() {
        let rows = [
            ("kil", "there is no fault `kil`"),
            ("kill@", "there is no target ``; there are one, minority"),
            ("kill@n1,n2", "there is no target `n1,n2`"),
            ("kill:elections", "there is no trigger `elections`; there are election"),
            ("kill:key/", "there is no trigger `key/`"),
            ("kill=0", "`0` is no weight; expected 1 to 100"),
            ("compact@leader", "compact strikes no node in particular"),
        ];
        for (text, expected) in rows {
            let error = text.parse::<Asked>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_swarm_differs_from_seed_to_seed_and_never_leaves_nothing() {
        let all: Vec<Asked> = Kind::survivable().into_iter().map(Asked::from).collect();
        let mut swarms = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let draw = |of: &[Asked]| Asked::swarm(of, &mut ChaCha8Rng::seed_from_u64(seed));
            let (on, off) = draw(&all);
            assert_eq!(on.len() + off.len(), all.len(), "seed {seed}");
            assert!(on.iter().any(|asked| asked.weight != on[0].weight), "seed {seed}: {on:?}");
            assert!(on.iter().all(|asked| !off.contains(&asked.kind)), "seed {seed}");
            assert_eq!(draw(&all[..1]).0.len(), 1, "seed {seed}");
            swarms.insert(on);
        }
        assert_eq!(swarms.len(), 50);
    }
}
