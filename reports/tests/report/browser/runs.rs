//! The index over runs.

use super::chromium::chromium_or_skip;
use crate::made_up::{campaigns, nights};
use ordeal_reports::{Serving, index};

#[test]
fn the_index_shows_only_what_is_asked_for() {
    let Some(mut chromium) = chromium_or_skip() else { return };
    let mut page = chromium.open(&index(&nights(), &campaigns(), Serving::File), (1280, 900), "");
    let shown = "[...document.querySelectorAll('table.runs tr[data-text]')]\
                 .filter(row => !row.hidden).length";
    assert_eq!(page.eval(shown), 36);
    page.press("/");
    page.type_text("list-append");
    assert_eq!(page.eval(shown), 12);
    assert_eq!(page.text("#filter-said"), "12 runs");
    page.eval(
        "const v = document.getElementById('filter-verdict'); v.value = 'unknown'; \
         v.dispatchEvent(new Event('change'))",
    );
    assert_eq!(page.eval(shown), 2);
    page.screenshot("index", true);
    page.assert_calm();
}
