//! Fewer configurations by forgetting what tells them apart, so that each that is left can do all
//! that those which it stands for could: where even these come to nothing, nothing does.

use super::front::{Config, Free, prune};
use super::moment::Moment;

/// Forgets which operations were placed already, those that end first first, and then who has
/// not seen what it saw, until no more than `width` are left.
pub(super) fn merge(configs: &mut Vec<Config>, moment: &Moment, free: &Free, width: usize) {
    if configs.len() <= width {
        return;
    }
    let open = moment.by_end();
    let used = open.iter().filter(|open| open.act.makes().is_some());
    for open in used {
        let bit = open.bit();
        if configs.iter().any(|config| config.used & bit != 0) {
            configs.iter_mut().for_each(|config| config.used &= !bit);
            unify(configs);
            if configs.len() <= 2 * width {
                prune(configs, free);
                if configs.len() <= width {
                    return;
                }
            }
        }
    }
    for open in open.iter().rev().filter(|open| open.act.makes().is_none()) {
        let bit = open.bit();
        if configs.iter().any(|config| config.owed & bit != 0) {
            configs.iter_mut().for_each(|config| config.owed &= !bit);
            unify(configs);
            prune(configs, free);
            if configs.len() <= width {
                return;
            }
        }
    }
}

/// Leaves one of those that are the same but for what they cost: the cheapest.
fn unify(configs: &mut Vec<Config>) {
    let key = |config: &Config| (config.state, config.owed, config.used, config.lanes);
    configs.sort_unstable_by_key(|config| (key(config), config.uses));
    configs.dedup_by_key(|config| key(config));
}
