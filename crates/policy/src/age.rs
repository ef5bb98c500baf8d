//! The age that a signature must have: `30m`, `24h`, `7d`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::error::Problem;

/// The form of an age, for the schema: what [`parse`] reads, and nothing else.
pub(crate) const PATTERN: &str = "^[1-9][0-9]{0,4}[mhd]$";

const MAX_DIGITS: usize = 5;

/// An age in whole minutes, more than zero. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(SignedDuration);

impl Age {
    /// The same as a duration.
    pub fn duration(self) -> SignedDuration {
        self.0
    }

    /// When a signature made at `made` has this age. `None` if that is later than any [`Timestamp`].
    pub(crate) fn reached(self, made: Timestamp) -> Option<Timestamp> {
        made.checked_add(self.0).ok()
    }
}

/// As in a policy: in days from two days on, else in hours, where no rest is left.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_mins();
        match (minutes % (24 * 60), minutes % 60) {
            (0, _) if minutes >= 2 * 24 * 60 => write!(f, "{}d", minutes / (24 * 60)),
            (_, 0) => write!(f, "{}h", minutes / 60),
            (_, _) => write!(f, "{minutes}m"),
        }
    }
}

/// The age that `text` says.
///
/// # Errors
///
/// [`Problem::Form`] for any other text.
pub(crate) fn parse(text: &str) -> Result<Age, Problem> {
    let wrong = || Problem::Form {
        expected: expected(text).into(),
        found: Some(format!("`{text}`")),
    };
    let units = [("m", 1), ("h", 60), ("d", 24 * 60)];
    let minutes = in_units(text, &units, MAX_DIGITS).ok_or_else(wrong)?;
    Ok(Age(SignedDuration::from_mins(minutes)))
}

/// What belongs in the place of `text`, by what is wrong with it.
fn expected(text: &str) -> &'static str {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(rest).unwrap_or_default();
    let goes_on = |c: char| c.is_ascii_digit() || matches!(c, ' ' | 'm' | 'h' | 'd');
    match rest {
        _ if number.is_empty() => "an age such as 30m, 24h or 7d",
        "m" | "h" | "d" if number.bytes().all(|digit| digit == b'0') => {
            "an age longer than zero, such as 30m, 24h or 7d"
        }
        "m" | "h" | "d" if number.len() > MAX_DIGITS => {
            "an age with a number of at most 5 digits, such as 30m, 24h or 7d"
        }
        "s" => "an age in minutes, hours or days, such as 30m, 24h or 7d",
        _ if rest.contains(|c: char| c.is_ascii_digit()) && rest.chars().all(goes_on) => {
            "an age in one unit, such as 90m, 24h or 7d"
        }
        _ => "an age such as 30m, 24h or 7d",
    }
}

/// A number with a unit: the number times what its unit counts. `None` if there is another unit, a sign, a zero in
/// front or more than `digits` digits.
pub(crate) fn in_units(text: &str, units: &[(&str, i64)], digits: usize) -> Option<i64> {
    let mut units = units.iter();
    let (number, unit) =
        units.find_map(|(name, counts)| Some((text.strip_suffix(name)?, counts)))?;
    // A number's own parser would take a sign too.
    let plain = number.len() <= digits && number.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || number.starts_with('0') {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_and_shown_in_a_unit_without_a_rest() {
        for (text, minutes, shown) in [
            ("30m", 30, "30m"),
            ("24h", 24 * 60, "24h"),
            ("1d", 24 * 60, "24h"),
            ("120m", 120, "2h"),
            ("90m", 90, "90m"),
            ("36h", 36 * 60, "36h"),
            ("7d", 7 * 24 * 60, "7d"),
            ("99999d", 99_999 * 24 * 60, "99999d"),
        ] {
            let age = parse(text).unwrap();
            assert_eq!(age, Age(SignedDuration::from_mins(minutes)), "{text}");
            assert_eq!(age.to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "h", "24", "0h", "024h", "-1h", "+1h", "1.5h", "24 h", "24H", "1w", "PT24H",
            "1h30m", "100000d", "٣h",
        ] {
            let found = Some(format!("`{text}`"));
            assert!(
                matches!(parse(text), Err(Problem::Form { found: named, .. }) if named == found),
                "{text}"
            );
        }
        insta::assert_snapshot!(
            parse("a day").unwrap_err(),
            @"expected an age such as 30m, 24h or 7d, found `a day`"
        );
        for (text, says) in [
            ("0h", "longer than zero"),
            ("100000d", "at most 5 digits"),
            ("0s", "in minutes, hours or days"),
            ("1h 30m", "in one unit"),
            ("1h30m", "in one unit"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn an_age_that_no_time_reaches_is_never_reached() {
        let age = parse("99999d").unwrap();
        assert_eq!(age.reached(Timestamp::MAX), None);
        let made: Timestamp = "2026-08-06T10:00:00Z".parse().unwrap();
        let day = parse("24h").unwrap();
        assert_eq!(day.reached(made), "2026-08-07T10:00:00Z".parse().ok());
    }
}
