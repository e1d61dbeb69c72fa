//! Answers for paths that nothing is served at, or not with this method.

use crate::problem::{Code, Problem};

/// Any path that is not served.
pub(super) async fn not_found() -> Problem {
    Problem::new(Code::NotFound).detail("nothing is served at this path; see /docs")
}

/// A served path with another method; the router adds `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed).detail("see the header `Allow`")
}
