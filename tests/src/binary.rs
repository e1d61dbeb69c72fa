//! Where the `docket` binary under test is.

use std::path::{Path, PathBuf};

use crate::edge;

/// `DOCKET_BIN`, else the one that cargo built last beside this test.
///
/// # Panics
///
/// When there is none.
pub(crate) fn docket() -> PathBuf {
    if let Some(given) = edge::variable("DOCKET_BIN") {
        let given = PathBuf::from(given);
        assert!(given.is_file(), "DOCKET_BIN names no file: {}", given.display());
        return given;
    }
    let test = std::env::current_exe().expect("a test knows its own path");
    // target/<profile>/deps/<test> and target/<profile>/docket
    let beside = test.parent().and_then(Path::parent).map(|profile| profile.join("docket"));
    let found = beside.filter(|path| path.is_file());
    found.expect("no docket binary is built: run the tests with `cargo xtask test`")
}

/// `DOCKET_FAULTS_BIN`: `docket` built with the feature `faults`, else the one that `cargo xtask test` left beside the other.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn faults_binary() -> PathBuf {
    let given = edge::variable("DOCKET_FAULTS_BIN").map(PathBuf::from);
    let test = std::env::current_exe().expect("a test knows its own path");
    let beside =
        || test.parent().and_then(Path::parent).map(|profile| profile.join("docket-faults"));
    let found = given.or_else(beside).filter(|path| path.is_file());
    found.expect("no docket with faults is built: run the tests with `cargo xtask test`")
}
