//! RFC 3339 times, and advice for texts that are almost such a time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use crate::error::{Problem, TimestampFault};

const EXAMPLE: &str = "2026-08-05T00:00:00Z";

/// The instant that `text` names.
///
/// # Errors
///
/// [`Problem::Timestamp`] for a text that isn't a time, or that leaves open which instant it means.
pub(crate) fn parse(text: &str) -> Result<Timestamp, Problem> {
    let fault = |missing, example: String| Problem::Timestamp {
        found: text.to_owned(),
        example,
        missing,
    };
    match text.parse::<Timestamp>() {
        Ok(time) if is_rfc3339(text) => Ok(time),
        // Forms that jiff reads beyond RFC 3339: say how the standard writes the same instant.
        Ok(time) => Err(fault(TimestampFault::NotATime, time.to_string())),
        Err(_) => Err(match (is_date(text), text.parse::<DateTime>()) {
            (Some(date), _) => fault(TimestampFault::NoTime, format!("{date}T00:00:00Z")),
            (None, Ok(local)) => fault(TimestampFault::NoOffset, format!("{local}Z")),
            (None, Err(_)) if is_rfc3339(text) => {
                fault(TimestampFault::NoSuchTime, EXAMPLE.to_owned())
            }
            (None, Err(_)) => fault(TimestampFault::NotATime, EXAMPLE.to_owned()),
        }),
    }
}

fn is_date(text: &str) -> Option<Date> {
    // jiff would take the date out of a longer text.
    (text.len() == "2026-08-05".len())
        .then(|| text.parse().ok())
        .flatten()
}

/// RFC 3339, section 5.6: `yyyy-mm-ddThh:mm:ss[.fraction](Z|±hh:mm)`. jiff reads more: dates
/// without dashes, hours without minutes, `[Europe/Berlin]` at the end, whose meaning moves with
/// the time zone database.
fn is_rfc3339(text: &str) -> bool {
    let Some((date_time, rest)) = text.split_at_checked("2026-08-05T00:00:00".len()) else {
        return false;
    };
    let form = |text: &str, form: &str| {
        text.len() == form.len()
            && text
                .bytes()
                .zip(form.bytes())
                .all(|(byte, kind)| match kind {
                    b'0' => byte.is_ascii_digit(),
                    b'T' => matches!(byte, b'T' | b't' | b' '),
                    b'+' => matches!(byte, b'+' | b'-'),
                    other => byte == other,
                })
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    form(date_time, "0000-00-00T00:00:00")
        && (offset.eq_ignore_ascii_case("z") || form(offset, "+00:00"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_standard_s_forms_are_read() {
        let expected: Timestamp = "2026-08-05T00:00:00Z".parse().unwrap();
        for text in [
            "2026-08-05T00:00:00Z",
            "2026-08-05t00:00:00z",
            "2026-08-05 00:00:00Z",
            "2026-08-05T02:00:00+02:00",
            "2026-08-05T00:00:00.000Z",
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_date_alone_is_told_to_add_a_time() {
        insta::assert_snapshot!(
            message("2026-08-05"),
            @"expected an RFC 3339 time such as 2026-08-05T00:00:00Z, found `2026-08-05`: a date has no time of day; add a time and `Z`"
        );
    }

    #[test]
    fn a_time_without_offset_is_told_to_add_one() {
        insta::assert_snapshot!(
            message("2026-08-05T12:30:00"),
            @"expected an RFC 3339 time such as 2026-08-05T12:30:00Z, found `2026-08-05T12:30:00`: it has no time zone; add `Z` for UTC"
        );
    }

    #[test]
    fn a_day_that_no_calendar_has_is_told_as_that() {
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-08-05T25:00:00Z",
        ] {
            let says = "there is no such day or time of day";
            assert!(message(text).ends_with(says), "{}", message(text));
        }
    }

    #[test]
    fn other_texts_are_shown_an_example() {
        for text in ["yesterday", "05.08.2026", "1785888000", "2026-13-01"] {
            assert!(
                matches!(
                    parse(text),
                    Err(Problem::Timestamp {
                        missing: TimestampFault::NotATime,
                        ..
                    })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn forms_beyond_the_standard_are_refused_with_the_standard_s_form() {
        assert_eq!(
            message("20260805T00Z"),
            "expected an RFC 3339 time such as 2026-08-05T00:00:00Z, found `20260805T00Z`"
        );
        for text in [
            "2026-08-05T00:00:00+02:00[Europe/Berlin]",
            "2026-08-05T00:00:00.Z",
        ] {
            let found = message(text);
            assert!(found.starts_with("expected an RFC 3339 time"), "{found}");
        }
    }
}
