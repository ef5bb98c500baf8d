//! Where a server may lead us: by a redirect, by a link, or by naming another service.

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use url::Url;

use super::host::HostKind;
use crate::plain_http::PlainHttp;

/// Why a server's way on isn't followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// It leads to something that isn't https, nor http where that is allowed: from http, to a
    /// registry that is spoken to without TLS.
    #[error("https is required")]
    HttpsRequired,
    /// It leads further in than the server itself is: from the internet into a private network or
    /// to this machine, say.
    #[error("the server is at {from}, and may not lead to {to}")]
    Inward {
        /// Where the server is.
        from: HostKind,
        /// Where it leads.
        to: HostKind,
    },
    /// It doesn't say where to.
    #[error("the redirect has no Location that is a URL")]
    Nowhere,
    /// It is one redirect too many.
    #[error("it is one of more than {limit} redirects, which is the limit")]
    TooMany {
        /// How many are followed: [`Limits::redirects`](crate::Limits::redirects).
        limit: usize,
    },
    /// The request can't be repeated there: only 307 and 308 repeat a request that writes.
    #[error("a redirect with the status {status} doesn't repeat a request that writes")]
    NotRepeated {
        /// The redirect's status.
        status: u16,
    },
    /// The request's body is a secret for one server, and this is another.
    #[error("the request holds a secret, which is for the first server alone")]
    Secret,
    /// The request's body can be sent only once.
    #[error("the body is read from a stream that can't be read again")]
    Spent,
}

/// Whether a status is a redirect's.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The URL in a `Location` header, which may be relative to the request's.
pub(crate) fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    from.join(text).ok()
}

/// The rule for all redirects and links: to https from anywhere; to http only from http, and only
/// where `plain_http` covers the target; and never further in than the server that leads there
/// (`from_kind`).
pub(crate) fn permit(
    plain_http: PlainHttp,
    from: &Url,
    from_kind: HostKind,
    to: &Url,
) -> Result<(), RedirectRefused> {
    let safe = match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http" && plain_http.covers(to.host().as_ref()),
        _ => false,
    };
    if !safe {
        return Err(RedirectRefused::HttpsRequired);
    }
    let to = HostKind::of(to);
    if to > from_kind {
        return Err(RedirectRefused::Inward {
            from: from_kind,
            to,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(plain_http: PlainHttp, from: &str, to: &str) -> Result<(), RedirectRefused> {
        let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
        permit(plain_http, &from, HostKind::of(&from), &to)
    }

    const HTTPS: Result<(), RedirectRefused> = Err(RedirectRefused::HttpsRequired);

    #[test]
    fn https_never_leads_to_http() {
        for plain_http in [PlainHttp::Loopback, PlainHttp::Always, PlainHttp::Never] {
            assert_eq!(led(plain_http, "https://a.io/", "https://b.io/"), Ok(()));
            assert_eq!(led(plain_http, "https://a.io/", "http://a.io/"), HTTPS);
            assert_eq!(led(plain_http, "https://a.io/", "http://127.0.0.1/"), HTTPS);
            assert_eq!(
                led(plain_http, "https://a.io/", "file:///etc/passwd"),
                HTTPS
            );
        }
    }

    #[test]
    fn http_leads_where_plain_http_is_allowed() {
        let from = "http://127.0.0.1:5000/";
        let loopback = |to| led(PlainHttp::Loopback, from, to);
        assert_eq!(loopback("http://localhost:1/"), Ok(()));
        assert_eq!(loopback("https://a.io/"), Ok(()));
        assert_eq!(loopback("http://a.io/"), HTTPS);
        let always = |to| led(PlainHttp::Always, from, to);
        assert_eq!(always("http://a.io/"), Ok(()));
        assert_eq!(always("file:///etc/passwd"), HTTPS);
    }

    #[test]
    fn a_server_leads_outward_or_stays_and_never_leads_inward() {
        let hosts = ["a.io", "10.0.0.1", "169.254.1.1", "127.0.0.1"];
        for (inner, from) in hosts.iter().enumerate() {
            for (outer, to) in hosts.iter().enumerate() {
                for scheme in ["http", "https"] {
                    let led = led(
                        PlainHttp::Always,
                        &format!("{scheme}://{from}/"),
                        &format!("{scheme}://{to}/"),
                    );
                    assert_eq!(led.is_ok(), outer <= inner, "{from} to {to}: {led:?}");
                }
            }
        }
        let metadata = led(
            PlainHttp::Always,
            "http://a.io/",
            "http://0xa9fea9fe/latest/meta-data/",
        );
        let inward = RedirectRefused::Inward {
            from: HostKind::Public,
            to: HostKind::LinkLocal,
        };
        assert_eq!(metadata, Err(inward));
    }
}
