//! A region's name and incarnation, such as `eu.3`: who issues actor ids, event ids and positions.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest region name, in characters, without the incarnation.
pub const REGION_CHARS_MAX: usize = 32;

/// A region as it was since its log was last restored from a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation(Arc<str>);

/// A text that names no region incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a region is 1 to {REGION_CHARS_MAX} of a-z, 0-9 and -, its incarnation a number from 1")]
pub struct IncarnationError;

impl Incarnation {
    /// The `number`-th incarnation of a region, counted from 1.
    ///
    /// # Errors
    /// When the name has other characters or length, or the number is 0.
    pub fn new(region: &str, number: u32) -> Result<Self, IncarnationError> {
        format!("{region}.{number}").parse()
    }

    /// Name and number, as in `eu.3`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region's name alone.
    #[must_use]
    pub fn region(&self) -> &str {
        self.split().0
    }

    /// The number alone, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.split().1.parse().expect("checked when it was made")
    }

    fn split(&self) -> (&str, &str) {
        self.0.split_once('.').expect("checked when it was made")
    }
}

impl FromStr for Incarnation {
    type Err = IncarnationError;

    fn from_str(text: &str) -> Result<Self, IncarnationError> {
        let (region, number) = text.split_once('.').ok_or(IncarnationError)?;
        let named = (1..=REGION_CHARS_MAX).contains(&region.len())
            && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let numbered = number.parse::<u32>().is_ok_and(|n| n > 0 && n.to_string() == number);
        if named && numbered { Ok(Self(text.into())) } else { Err(IncarnationError) }
    }
}

impl TryFrom<String> for Incarnation {
    type Error = IncarnationError;

    fn try_from(text: String) -> Result<Self, IncarnationError> {
        text.parse()
    }
}

impl From<Incarnation> for String {
    fn from(incarnation: Incarnation) -> Self {
        incarnation.as_str().to_owned()
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
