//! Variables of the environment that are set to nothing count as absent.

use clap::Command;

/// The command without the variables that are empty, as compose files and unit files leave them.
pub(super) fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(None::<&str>),
        _ => argument,
    });
    command.mut_subcommands(without_empty)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the command line, which parses settings once"
)]
fn is_empty(name: &std::ffi::OsStr) -> bool {
    std::env::var_os(name).is_some_and(|value| value.is_empty())
}
