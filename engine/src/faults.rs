//! Faults on purpose: named points at which a build with the feature `faults` fails as it is told to.
//!
//! Without the feature a point is nothing: its name is not even made.

#[cfg(feature = "faults")]
mod armed;
#[cfg(feature = "faults")]
pub use armed::{ArmError, POINTS, Point, SAGA_POINTS, arm};

/// What is to go wrong. A `kill` never comes back to say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Fail as something that may go next time.
    Transient,
    /// Fail as something that will not.
    Business,
    /// Do it twice.
    Twice,
    /// There is no answer, for as long as it was told.
    Unavailable,
    /// What is written is wrong.
    Damage,
}

/// What is to go wrong here and now, if anything. Kills the process where it is told to.
#[cfg(feature = "faults")]
#[must_use]
pub fn at(point: impl FnOnce() -> String) -> Option<Fault> {
    armed::at(&point())
}

/// What is to go wrong here and now: nothing.
#[cfg(not(feature = "faults"))]
#[inline]
#[must_use]
pub fn at(_: impl FnOnce() -> String) -> Option<Fault> {
    None
}

/// A failure that was asked for.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a fault on purpose")]
pub struct OnPurpose;

/// Whether what is written here is to be wrong.
///
/// # Errors
/// Where it is to fail instead.
#[inline]
pub fn damages_at(point: &'static str) -> Result<bool, OnPurpose> {
    match at(|| point.to_owned()) {
        Some(Fault::Transient | Fault::Unavailable) => Err(OnPurpose),
        fault => Ok(fault == Some(Fault::Damage)),
    }
}

/// Whether what is done here is to fail now, as if whoever does it had given no answer.
#[inline]
#[must_use]
pub fn fails_at(point: &'static str) -> bool {
    damages_at(point).is_err()
}
