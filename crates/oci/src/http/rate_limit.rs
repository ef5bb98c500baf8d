//! What a server says about how often it wants to be asked.
//!
//! `Retry-After` is of RFC 9110, section 10.2.3. `RateLimit-Remaining` and `RateLimit-Reset` are of the older
//! drafts of the IETF's "RateLimit header fields for HTTP", with or without `X-`; `RateLimit: …;r=…;t=…` is of the
//! newer ones. Docker Hub, GitHub and GitLab send one or the other.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};

/// Resets that are later than this, in seconds, are times since 1970, and not from now: 2001.
const SINCE_1970: u64 = 1_000_000_000;

/// What an answer says about other requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RateLimit {
    /// The server refused the request because there were too many.
    pub(super) too_many: bool,
    /// How long it wants to be left alone.
    pub(super) pause: Option<Duration>,
    /// How many more requests it takes, and when the count begins anew.
    pub(super) left: Option<(u64, Duration)>,
}

impl RateLimit {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let retry_after = text(headers, header::RETRY_AFTER.as_str()).and_then(retry_after);
        let too_many = match status {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::SERVICE_UNAVAILABLE => retry_after.is_some(),
            _ => false,
        };
        let left = left(headers);
        let until_reset = left.map(|(_, reset)| reset);
        let pause = match status {
            StatusCode::TOO_MANY_REQUESTS => retry_after.or(until_reset),
            _ => retry_after,
        };
        Self {
            too_many,
            pause,
            left,
        }
    }
}

fn left(headers: &HeaderMap) -> Option<(u64, Duration)> {
    let combined = text(headers, "ratelimit").and_then(|value| {
        let part = |names: [&str; 2]| names.iter().find_map(|name| parameter(value, name));
        Some((part(["r", "remaining"])?, part(["t", "reset"])?))
    });
    let apart = |prefix: &str| {
        let number = |name: &str| text(headers, &format!("{prefix}{name}")).and_then(number);
        Some((number("ratelimit-remaining")?, number("ratelimit-reset")?))
    };
    let (left, reset) = combined.or_else(|| apart("")).or_else(|| apart("x-"))?;
    Some((left, from_now(reset)))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A number, before parameters as Docker Hub has them: `76;w=21600`.
fn number(value: &str) -> Option<u64> {
    value.split([';', ',']).next()?.trim().parse().ok()
}

/// The value of `name=…` among the parameters of the first item.
fn parameter(value: &str, name: &str) -> Option<u64> {
    let mut parts = value.split([';', ',']);
    parts.find_map(|part| number(part.trim().strip_prefix(name)?.strip_prefix('=')?))
}

fn from_now(reset: u64) -> Duration {
    if reset < SINCE_1970 {
        return Duration::from_secs(reset);
    }
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    Duration::from_secs(reset.saturating_sub(now))
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let pause = date.timestamp().duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(pause).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn said(status: u16, headers: &[(&'static str, &str)]) -> RateLimit {
        let headers = headers.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        RateLimit::of(StatusCode::from_u16(status).unwrap(), &headers.collect())
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn what_is_left_is_read_in_every_form() {
        let left = Some((5, Duration::from_secs(30)));
        for headers in [
            &[("ratelimit", "\"default\";r=5;t=30")][..],
            &[("ratelimit", "limit=100, remaining=5, reset=30")],
            &[("ratelimit-remaining", "5"), ("ratelimit-reset", "30")],
            &[("ratelimit-remaining", "5;w=60"), ("ratelimit-reset", "30")],
            &[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "30")],
        ] {
            assert_eq!(said(200, headers).left, left, "{headers:?}");
        }
        for headers in [
            // Without a time there is nothing to wait for.
            &[("ratelimit-remaining", "0;w=21600")][..],
            &[("ratelimit", "\"default\";r=5")],
            &[("ratelimit-remaining", "few"), ("ratelimit-reset", "30")],
        ] {
            assert_eq!(said(200, headers), RateLimit::default(), "{headers:?}");
        }
        let past = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1700000000"),
        ];
        assert_eq!(said(200, &past).left, Some((0, Duration::ZERO)));
    }

    #[test]
    fn only_a_refusal_for_too_many_requests_is_one() {
        let after = ("retry-after", "7");
        let pause = Some(Duration::from_secs(7));
        for (status, headers, too_many, expected) in [
            (429, &[after][..], true, pause),
            (429, &[], true, None),
            (
                429,
                &[("ratelimit", "r=0;t=9")],
                true,
                Some(Duration::from_secs(9)),
            ),
            (503, &[after], true, pause),
            (503, &[], false, None),
            (200, &[("ratelimit", "r=0;t=9")], false, None),
        ] {
            let said = said(status, headers);
            assert_eq!(
                (said.too_many, said.pause),
                (too_many, expected),
                "{status}"
            );
        }
    }
}
