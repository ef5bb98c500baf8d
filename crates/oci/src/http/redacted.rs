//! URLs for errors, logs and records, without secrets.

use std::fmt;

use url::Url;

/// A URL without the parts that may be secret: user, password, query and fragment. Errors, logs and
/// records show URLs like this.
///
/// ```
/// use countersign_oci::http::Redacted;
///
/// let url = "https://me:pass@host.example:8443/v2/a?signature=s#f".parse()?;
/// assert_eq!(Redacted(&url).to_string(), "https://host.example:8443/v2/a");
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a Url);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        // A URL without a host, such as `user:password@host`, can hold a secret in any part.
        if url.cannot_be_a_base() {
            return f.write_str("a URL without a host");
        }
        write!(f, "{}://{}{}", url.scheme(), host(url), url.path())
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The longest URL in an error, in characters. Servers can send very long ones.
const SHOWN_MAX: usize = 1000;

/// A URL in an error or a record: [`Redacted`], and cut where it is very long.
pub fn shown(url: &Url) -> String {
    let mut shown = Redacted(url).to_string();
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_MAX) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// Host and port.
pub(crate) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_urls_hide_logins_and_queries() {
        let url = Url::parse("https://user:secret@host:8443/v2/a?X-Signature=s#f").unwrap();
        assert_eq!(shown(&url), "https://host:8443/v2/a");
        assert_eq!(format!("{:?}", Redacted(&url)), "https://host:8443/v2/a");
        let url = Url::parse("user:secret@host:8443").unwrap();
        assert_eq!(shown(&url), "a URL without a host");
    }

    #[test]
    fn errors_show_the_beginning_of_a_long_url() {
        let url = Url::parse(&format!("https://host/{}", "a".repeat(100_000))).unwrap();
        let expected = format!("https://host/{}…", "a".repeat(SHOWN_MAX - 13));
        assert_eq!(shown(&url), expected);
    }
}
