//! Proxies, and the hosts that are reached without one.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use reqwest::Proxy;
use url::{Host, Url};

use super::redacted::shown;
use crate::error::{Error, Result};
use crate::excerpt::excerpt;
use crate::host::HostKind;

/// Reads the address of a proxy: `http://proxy.example:3128`, or the same with `https://`,
/// `socks5://` or `socks5h://`, with or without user and password. Without a scheme
/// (`proxy.example:3128`) it is http. Returns `None` for any other scheme. With `socks5` this
/// machine resolves names, with `socks5h` the proxy does.
#[must_use]
pub fn proxy_url(text: &str) -> Option<Url> {
    let text = text.trim();
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    url.ok().filter(is_usable)
}

fn is_usable(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h")
        && url.host().is_some_and(|host| host != Host::Domain(""))
}

/// The proxy at `url`, for all hosts except this machine and those in `no_proxy`.
pub(super) fn proxy(url: &Url, no_proxy: &NoProxy) -> Result<Proxy> {
    // reqwest would ignore a proxy with another scheme without an error.
    if !is_usable(url) {
        let detail = format!(
            "expected an http, https, socks5 or socks5h URL for the proxy, found {}",
            shown(url)
        );
        return Err(Error::Configuration { detail });
    }
    let (url, direct) = (url.clone(), no_proxy.clone());
    Ok(Proxy::custom(move |target: &Url| {
        (!direct.covers(target)).then(|| url.clone())
    }))
}

/// Hosts that are reached without a proxy, in the form of `NO_PROXY`: entries separated by commas or spaces. An entry
/// is one of: a name, which covers its subdomains too, as do `.name` and `*.name`; an address or a network
/// (`10.0.0.0/8`); a name or an address with a port, which must then match too (`host:5000`); `*` for all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy {
    text: String,
    all: bool,
    networks: Vec<IpNet>,
    hosts: Vec<(Host, Option<u16>)>,
}

/// An entry of another form. If it were ignored, requests could go through the proxy against the user's wish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name, an address, or a network such as 10.0.0.0/8, found `{entry}`")]
pub struct NoProxyError {
    /// The entry, escaped and cut.
    entry: String,
}

impl FromStr for NoProxy {
    type Err = NoProxyError;

    fn from_str(text: &str) -> Result<Self, NoProxyError> {
        let mut found = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let entries = text.split(|c: char| c == ',' || c.is_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                found.all = true;
            } else if let Ok(network) = entry.parse() {
                found.networks.push(network);
            } else if let Some(host) = host_and_port(entry) {
                found.hosts.push(host);
            } else {
                return Err(NoProxyError {
                    entry: excerpt(entry),
                });
            }
        }
        Ok(found)
    }
}

/// As it was written.
impl fmt::Display for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl NoProxy {
    /// Whether no host is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.all && self.networks.is_empty() && self.hosts.is_empty()
    }

    fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host() else {
            return true;
        };
        if self.all || HostKind::of(url) == HostKind::ThisMachine {
            return true;
        }
        let address = match host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        let in_network = |address: IpAddr| self.networks.iter().any(|net| net.contains(&address));
        address.is_some_and(in_network)
            || self.hosts.iter().any(|(listed, port)| {
                matches(listed, &host)
                    && port.is_none_or(|p| url.port_or_known_default() == Some(p))
            })
    }
}

fn matches(listed: &Host, host: &Host<&str>) -> bool {
    match (listed, host) {
        (Host::Domain(listed), Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name.strip_suffix(listed.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        }
        (Host::Ipv4(listed), Host::Ipv4(address)) => listed == address,
        (Host::Ipv6(listed), Host::Ipv6(address)) => listed == address,
        (Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_), _) => false,
    }
}

fn host_and_port(entry: &str) -> Option<(Host, Option<u16>)> {
    // An IPv6 address without brackets has no port.
    if let Ok(IpAddr::V6(address)) = entry.parse() {
        return Some((Host::Ipv6(address), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (entry, None),
    };
    let host = host.strip_prefix('*').unwrap_or(host);
    let host = host.trim_start_matches('.').trim_end_matches('.');
    Some((Host::parse(host).ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_with_and_without_a_scheme() {
        let read = |text: &str| proxy_url(text).map(String::from);
        for (text, url) in [
            ("proxy.corp:3128", "http://proxy.corp:3128/"),
            ("localhost:3128", "http://localhost:3128/"),
            ("10.0.0.1", "http://10.0.0.1/"),
            ("[fd00::1]:3128", "http://[fd00::1]:3128/"),
            ("me:pass@proxy.corp:3128", "http://me:pass@proxy.corp:3128/"),
            (" http://proxy.corp:3128 ", "http://proxy.corp:3128/"),
            ("HTTPS://proxy.corp", "https://proxy.corp/"),
            ("socks5://proxy.corp:1080", "socks5://proxy.corp:1080"),
            (
                "socks5h://me:pass@proxy.corp",
                "socks5h://me:pass@proxy.corp",
            ),
        ] {
            assert_eq!(read(text).as_deref(), Some(url), "{text}");
        }
        for text in [
            "",
            "ftp://proxy.corp",
            "socks4://proxy.corp",
            "file:///proxy",
            "proxy.corp:port",
            "http://",
            "socks5://",
            "socks5:proxy.corp",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_without_proxy_are_told_in_every_usual_form() {
        let covers = |list: &str, url: &str| {
            let list: NoProxy = list.parse().unwrap();
            list.covers(&url.parse().unwrap())
        };
        for (list, inside, outside) in [
            (
                "corp.example",
                "https://corp.example/",
                "https://notcorp.example/",
            ),
            (
                "corp.example",
                "https://a.b.corp.example/",
                "https://corp.example.org/",
            ),
            (
                ".corp.example",
                "https://a.corp.example/",
                "https://acorp.example/",
            ),
            (
                "*.corp.example",
                "https://a.corp.example/",
                "https://acorp.example/",
            ),
            (
                "CORP.example.",
                "https://corp.EXAMPLE./",
                "https://example/",
            ),
            (
                "b\u{fc}ro.example",
                "https://xn--bro-hoa.example/",
                "https://example/",
            ),
            ("host:5000", "https://host:5000/", "https://host/"),
            ("host:443", "https://host/", "http://host/"),
            (
                ".corp.example:8443",
                "https://a.corp.example:8443/",
                "https://a.corp.example/",
            ),
            ("10.1.2.3", "https://10.1.2.3/", "https://10.1.2.4/"),
            ("10.1.2.3:80", "http://10.1.2.3/", "https://10.1.2.3/"),
            ("10.0.0.0/8", "https://10.1.2.3:5000/", "https://11.1.2.3/"),
            ("fd00::1", "https://[fd00::1]:5000/", "https://[fd00::2]/"),
            (
                "[fd00::1]:5000",
                "https://[fd00::1]:5000/",
                "https://[fd00::1]/",
            ),
            ("fd00::/8", "https://[fdff::1]/", "https://[fe00::1]/"),
            (
                "a.example, b.example",
                "https://b.example/",
                "https://c.example/",
            ),
            (
                "a.example b.example",
                "https://b.example/",
                "https://c.example/",
            ),
        ] {
            assert!(covers(list, inside), "{list} {inside}");
            assert!(!covers(list, outside), "{list} {outside}");
        }
        assert!(covers("*", "https://a.example/"));
        for nothing in ["", ",", " , "] {
            assert!(!covers(nothing, "https://host.example/"), "{nothing}");
            for here in ["http://localhost:1/", "http://127.0.0.2/", "http://[::1]/"] {
                assert!(covers(nothing, here), "{here}");
            }
        }
    }

    #[test]
    fn an_entry_that_can_t_be_read_is_named() {
        for (list, entry) in [
            ("a b:c", "b:c"),
            ("a.example,10.0.0.0/99", "10.0.0.0/99"),
            ("host:port", "host:port"),
        ] {
            let error = NoProxy::from_str(list).unwrap_err();
            let expected = "expected a host name, an address, or a network such as 10.0.0.0/8";
            assert_eq!(error.to_string(), format!("{expected}, found `{entry}`"));
        }
    }
}
