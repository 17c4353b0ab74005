//! A node's panic ends its process, as it would on a machine, and neither the simulation nor the
//! seeds beside it.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// A node is at work on this thread, and what it said when it panicked.
    static LISTENING: Cell<bool> = const { Cell::new(false) };
    static HEARD: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a node's work gives, or its last words. Whatever the work has changed must not be used
/// after a panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| match LISTENING.get() {
            true => HEARD.set(Some(words(info))),
            false => before(info),
        }));
    });
    LISTENING.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    LISTENING.set(false);
    result.map_err(|_| HEARD.take().unwrap_or_else(|| "panicked".to_owned()))
}

/// The same on every machine: no folder is named.
fn words(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default();
    let place = info.location().map_or_else(String::new, |place| {
        let file = place.file().rsplit(['/', '\\']).next().unwrap_or_default();
        format!(" at {file}:{}", place.line())
    });
    format!("panicked{place}: {text}")
}

#[cfg(test)]
mod tests {
    use super::caught;

    #[test]
    fn a_panic_is_told_without_folders_and_the_next_work_goes_on() {
        let number = 7;
        let told = caught(|| assert!(number > 8, "only {number}")).unwrap_err();
        assert!(told.starts_with("panicked at panics.rs:"), "{told}");
        assert!(told.ends_with(": only 7"), "{told}");
        assert_eq!(caught(|| number + 1), Ok(8));
    }
}
