//! A region's name as it is written on the command line.

use docket_schemas::{Incarnation, REGION_CHARS_MAX};

/// Takes what may name a region, whatever its incarnation.
pub(super) fn parse_region(text: &str) -> Result<String, String> {
    match Incarnation::new(text, 1) {
        Ok(incarnation) => Ok(incarnation.region().to_owned()),
        Err(_) => Err(format!("a region is 1 to {REGION_CHARS_MAX} of a-z, 0-9 and -")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_incarnation_can_carry_is_a_region() {
        assert_eq!(parse_region("eu-1"), Ok("eu-1".to_owned()));
        for wrong in ["", "EU!", "eu.1", "eu.1.2", "ü"] {
            assert!(parse_region(wrong).is_err(), "{wrong}");
        }
    }
}
