//! The grammar of references, from the distribution project's `reference` package, and the one form of each host.

use crate::host::is_loopback_host;

/// Docker Hub's name in references.
pub(super) const DOCKER_HUB: &str = "docker.io";
/// The host of Docker Hub's API.
pub(super) const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// The other names of Docker Hub.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", DOCKER_HUB_API];
/// The port of https.
const HTTPS: u16 = 443;

/// The longest repository path, in characters.
pub(super) const NAME_MAX: usize = 255;
/// The longest tag, in characters.
pub(super) const TAG_MAX: usize = 128;

/// Whether the first part of a name is a registry and not a Docker Hub user. As in `docker`, it is
/// a registry if it has a dot, a colon or an upper-case letter, or is `localhost`.
pub(super) fn is_host(text: &str) -> bool {
    text == "localhost"
        || text.contains(['.', ':', '['])
        || text.chars().any(|c| c.is_ascii_uppercase())
}

pub(super) fn valid_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
                ("ipv6", port)
            }
            _ => return false,
        },
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port_ok = match port.strip_prefix(':') {
        Some(digits) => !digits.is_empty() && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    let label_ok = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    port_ok && host.split('.').all(label_ok)
}

/// The one form of a host, with its port if it has one: in small letters, an address as URLs have it, and Docker Hub
/// by one name. What is no host only gets small letters.
///
/// The port of https is left out where it is what a name without a port means. It stays at a loopback address, which
/// is asked without TLS, and where the rest would be a name on Docker Hub (`registry:443`).
pub(crate) fn normal_host(text: &str) -> String {
    let small = text.to_ascii_lowercase();
    if !valid_host(&small) {
        return small;
    }
    // Behind the last colon that is not in an IPv6 address.
    let (name, port) = match small.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse::<u16>().ok()),
        Some(_) | None => (small.as_str(), None),
    };
    let parsed = url::Host::parse(name);
    let plain = parsed.as_ref().is_ok_and(is_loopback_host);
    let host = parsed.map_or_else(|_| name.to_owned(), |host| host.to_string());
    match port {
        Some(port) if port != HTTPS || plain || !is_host(&host) => format!("{host}:{port}"),
        Some(_) | None if DOCKER_HUB_ALIASES.contains(&host.as_str()) => DOCKER_HUB.to_owned(),
        Some(_) | None => host,
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
pub(super) fn valid_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric)
        .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|c| c == b'-'))
}

pub(super) fn valid_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= TAG_MAX
        && text.starts_with(word)
        && text.chars().all(|c| word(c) || c == '.' || c == '-')
}
