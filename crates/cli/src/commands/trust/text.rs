//! A trusted root for a person.

use countersign_oci::printable;
use jiff::Timestamp;

use super::{JsonAuthority, JsonLog, JsonMetadata, JsonValidity, TrustResult};

/// The trusted roots, as of `now`.
pub(super) fn shown(results: &[TrustResult], now: Timestamp) -> String {
    results.iter().map(|result| one(result, now)).collect()
}

/// Says that the trusted root was fetched.
pub(super) fn updated(name: &str, results: &[TrustResult]) -> String {
    let metadata = results.iter().flat_map(|result| &result.metadata);
    let expires = metadata.map(|metadata| metadata.expires).min();
    match expires {
        Some(expires) => format!(
            "updated the trusted root of {name}\n  it is valid until {expires}, and is fetched again before that\n"
        ),
        None => format!("the trusted root is the file {name}: there is nothing to fetch\n"),
    }
}

fn one(result: &TrustResult, now: Timestamp) -> String {
    let mut text = format!("trusted root of {}\n", printable(&result.source));
    let mut line = |what: &str, value: &str| text.push_str(&format!("  {what:<24}{value}\n"));
    if let Some(url) = &result.tuf_url {
        line("TUF repository", &printable(url));
    }
    if let Some(cache) = &result.cache {
        line("cache", &printable(cache));
    }
    for JsonMetadata {
        role,
        version,
        expires,
    } in &result.metadata
    {
        line(
            "metadata",
            &format!("{role}, version {version}, until {expires}"),
        );
    }
    for authority in &result.certificate_authorities {
        line("certificate authority", &of_authority(authority, now));
    }
    for log in &result.certificate_logs {
        line("log of certificates", &of_log(log, now));
    }
    if result.certificate_logs.is_empty() {
        line(
            "log of certificates",
            "none: certificates need not be logged",
        );
    }
    for log in &result.transparency_logs {
        line("log of signatures", &of_log(log, now));
    }
    if result.transparency_logs.is_empty() {
        line("log of signatures", "none: a signature needs a timestamp");
    }
    for authority in &result.timestamp_authorities {
        line("timestamp authority", &of_authority(authority, now));
    }
    if result.timestamp_authorities.is_empty() {
        line("timestamp authority", "none");
    }
    text
}

fn of_authority(authority: &JsonAuthority, now: Timestamp) -> String {
    let name = authority.url.as_ref().or(authority.organization.as_ref());
    let name = name.map_or("without a name", String::as_str);
    format!("{}, {}", printable(name), time(&authority.validity, now))
}

fn of_log(log: &JsonLog, now: Timestamp) -> String {
    let time = time(&log.validity, now);
    let unsupported = if log.supported {
        ""
    } else {
        ", not supported: its kind of key"
    };
    format!("{}, {time}{unsupported}", printable(&log.url))
}

fn time(validity: &JsonValidity, now: Timestamp) -> String {
    match (validity.from, validity.until) {
        (Some(from), _) if now < from => format!("from {from}"),
        (_, Some(until)) if until < now => format!("ended {until}"),
        (_, Some(until)) => format!("in use, until {until}"),
        (_, None) => "in use".to_owned(),
    }
}
