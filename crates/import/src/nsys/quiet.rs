//! Keeps a library's panics off the screen while they are caught: the error that is made of one is all that is said.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How the names of polars' own threads begin. They work for whoever waits for them, and hand their panics on.
const HELPERS: [&str; 2] = ["polars-", "async-executor-"];

/// How many threads are inside [`caught`].
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static HOOK: Once = Once::new();

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work`; `None` where it panicked, of which nothing is printed. Panics of threads that have nothing to do with
/// it are printed as ever.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Set once and for good: a hook that is taken back while another thread is inside would be lost.
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !is_quiet() {
                usual(panic);
            }
        }));
    });
    let count = |change: fn(usize) -> usize| HERE.set(change(HERE.get()));
    INSIDE.fetch_add(1, Ordering::SeqCst);
    count(|here| here + 1);
    let result = catch_unwind(AssertUnwindSafe(work));
    count(|here| here - 1);
    INSIDE.fetch_sub(1, Ordering::SeqCst);
    result.ok()
}

/// Whether a panic of this thread is one that [`caught`] turns into an error.
fn is_quiet() -> bool {
    let thread = std::thread::current();
    let helps = || thread.name().is_some_and(|name| HELPERS.iter().any(|helper| name.starts_with(helper)));
    HERE.get() > 0 || (INSIDE.load(Ordering::SeqCst) > 0 && helps())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quiet_on(thread: &str) -> bool {
        std::thread::Builder::new().name(thread.to_owned()).spawn(is_quiet).unwrap().join().unwrap()
    }

    #[test]
    fn only_panics_of_the_work_itself_are_quiet() {
        assert!(!is_quiet());
        let inside = caught(|| {
            assert_eq!(caught(|| panic!("of a library")), None::<()>);
            (is_quiet(), quiet_on("polars-3"), quiet_on("another"))
        });
        assert_eq!(inside, Some((true, true, false)));
        assert!(!is_quiet());
    }
}
