//! Freed memory stays with the process, for what comes next.
//!
//! The allocator hands pages back to the system a second after they were freed. Under load they are asked for again at once, and
//! the system clears each of them first. The allocator takes its orders from the environment before `main` begins, so the
//! process starts itself once more, under the same id.

/// Gives the process an allocator that keeps its memory, by starting it once more, unless somebody has said what it is to do.
/// Returns where that is so, and where it cannot be started, which costs time and nothing else.
#[cfg(unix)]
pub fn keep() {
    use std::os::unix::process::CommandExt as _;

    /// After how many milliseconds freed pages are handed back.
    const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";
    const NEVER: &str = "-1";

    #[expect(
        clippy::disallowed_methods,
        reason = "it is the allocator's, and no setting of Docket's"
    )]
    let is_said = std::env::var_os(PURGE_DELAY).is_some();
    if is_said {
        return;
    }
    let Ok(executable) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(executable);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    drop(again.args(arguments).env(PURGE_DELAY, NEVER).exec());
}

/// Nothing elsewhere: a process there cannot become another one.
#[cfg(not(unix))]
pub fn keep() {}
