//! The rule for URLs that a server names: in a redirect, in a link, or as the address of another
//! service.

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use url::Url;

use crate::error::RedirectRefused;
use crate::host::HostKind;
use crate::plain_http::PlainHttp;

/// Whether the status is a redirect.
pub(crate) fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The URL in a `Location` header. It may be relative to the request's URL.
pub(crate) fn location(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let text = headers.get(header::LOCATION)?.to_str().ok()?;
    from.join(text).ok()
}

/// The rule for all redirects and links. https is allowed from anywhere. http is allowed only from
/// http, and only if `plain_http` covers the target. The target may not be further inside than the
/// server that names it (`from_kind`).
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
