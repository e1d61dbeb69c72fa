//! A duration as it is written on the command line: `90s`, `15m`, `24h`, `7d`.

use std::time::Duration;

/// Longest duration, in days.
const DAYS_MAX: u64 = 3_660;

/// Reads a whole number of seconds, minutes, hours or days, not 0.
pub(super) fn parse_ttl(text: &str) -> Result<Duration, String> {
    let refusal = || format!("not a duration of 1s to {DAYS_MAX}d such as 90s, 15m, 24h, 7d");
    let unit_at = text.len().saturating_sub(1);
    let (number, unit) = text.split_at_checked(unit_at).ok_or_else(refusal)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refusal()),
    };
    let number: u64 = number.parse().map_err(|_| refusal())?;
    let total = number.checked_mul(seconds).filter(|total| (1..=DAYS_MAX * 86_400).contains(total));
    total.map(Duration::from_secs).ok_or_else(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_nothing_else_is() {
        assert_eq!(parse_ttl("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(parse_ttl("1s"), Ok(Duration::from_secs(1)));
        for wrong in
            ["", "0s", "0d", "h", "24", "-1h", "1.5h", "24é", "99999999999999999999d", "4000d"]
        {
            assert!(parse_ttl(wrong).is_err(), "{wrong}");
        }
    }
}
