//! The grammar of references, from the distribution project's `reference` package.

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
