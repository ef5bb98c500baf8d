//! How registries, and whatever else is fetched, are reached: the flags.
//!
//! None of them changes what a signature has to prove. Proxies and logins come from the environment.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::{Span, SpanRelativeTo};
use url::Url;

/// How registries are reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArguments {
    /// Use plain HTTP for all registries
    ///
    /// Without this flag, only registries on a loopback address are asked over plain HTTP.
    #[arg(long)]
    pub(crate) plain_http: bool,

    /// Follow redirects from public to private networks
    ///
    /// Some public registries keep their layers in a private network (such as 10.0.0.0/8). Without
    /// this flag, such redirects are refused.
    #[arg(long)]
    pub(crate) allow_private_redirects: bool,

    /// More certificate authorities for TLS (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) registry_ca: Option<PathBuf>,

    /// Time limit for the whole run: 90s, 10m, `1h 30m`
    ///
    /// Without this flag, only each request has a time limit.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

/// A time as people write it. A day has 24 hours, as in the `min_age` of a policy.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    match duration.map(Duration::try_from) {
        Some(Ok(duration)) if !duration.is_zero() => Ok(duration),
        Some(_) => Err(format!(
            "expected a duration longer than zero, found `{text}`"
        )),
        None => Err(format!(
            "expected a duration with its unit, such as 90s, 10m, `1h 30m` or 7d, found `{text}`{}",
            match text.parse::<u32>() {
                Ok(number) => format!(": for seconds write {number}s"),
                Err(_) => String::new(),
            }
        )),
    }
}

/// The address of a service.
pub(crate) fn parse_url(text: &str) -> Result<Url, String> {
    match text.parse::<Url>() {
        Ok(url) if matches!(url.scheme(), "https" | "http") => Ok(url),
        // A host with a port is read as a scheme.
        Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => Err(format!(
            "expected a URL that begins with https:// or http://, found `{text}`"
        )),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_and_is_longer_than_zero() {
        let minutes = |minutes: u64| Ok(Duration::from_secs(60 * minutes));
        assert_eq!(parse_duration("1h 30m"), minutes(90));
        assert_eq!(parse_duration("10m"), minutes(10));
        let nothing = |text: &str| {
            Err(format!(
                "expected a duration longer than zero, found `{text}`"
            ))
        };
        assert_eq!(parse_duration("0s"), nothing("0s"));
        assert_eq!(parse_duration("-5s"), nothing("-5s"));
        assert_eq!(parse_duration("7d"), minutes(7 * 24 * 60));
        assert_eq!(parse_duration("1d 12h"), minutes(36 * 60));
        assert_eq!(parse_duration("0d"), nothing("0d"));
        assert_eq!(parse_duration("-1d"), nothing("-1d"));
        for (text, also) in [
            ("5", ": for seconds write 5s"),
            ("soon", ""),
            ("", ""),
            ("d", ""),
            ("1mo", ""),
        ] {
            let says = "expected a duration with its unit, such as 90s, 10m, `1h 30m` or 7d, found";
            assert_eq!(parse_duration(text), Err(format!("{says} `{text}`{also}")));
        }
    }

    #[test]
    fn an_address_begins_with_its_scheme() {
        assert!(parse_url("http://127.0.0.1:38197").is_ok());
        for text in ["127.0.0.1:38197", "localhost:38197", "fulcio.example.org"] {
            let says =
                format!("expected a URL that begins with https:// or http://, found `{text}`");
            assert_eq!(parse_url(text), Err(says));
        }
    }
}
