//! Kinds of hosts by their address: public, private, link-local, or this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The kind of a host's address, ordered from outside to inside. A server may redirect to its own
/// kind or to one further outside, and never further inside (see
/// [`RedirectRefused`](crate::http::RedirectRefused)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostKind {
    /// Any other address, or a name. Names are not looked up here.
    Public,
    /// In a private network: `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918),
    /// `100.64.0.0/10` (RFC 6598), `fc00::/7` (RFC 4193), `fec0::/10` (RFC 3879).
    Private,
    /// On the same link. Clouds put the service with a machine's credentials here: `169.254.0.0/16`
    /// (RFC 3927), `fe80::/10` (RFC 4291).
    LinkLocal,
    /// This machine: `127.0.0.0/8`, `::1`, the unspecified addresses `0.0.0.0/8` and `::`, the
    /// names `localhost` and `*.localhost` (RFC 6761), and the names that hosts files give to
    /// `::1`.
    ThisMachine,
}

impl HostKind {
    /// The kind of a URL's host. The URL parser has already made equal spellings the same: `127.1`,
    /// `0x7f000001`, `2130706433` and `127.0.0.1.` are one host. A URL without a host can't be
    /// reached, so it counts as [`HostKind::Public`].
    #[must_use]
    pub fn of(url: &Url) -> Self {
        url.host().map_or(Self::Public, |host| Self::of_host(&host))
    }

    /// The kind of `host` or `host:port`, as in an image reference. `None` if it can't be the host
    /// of a URL.
    #[must_use]
    pub fn of_authority(authority: &str) -> Option<Self> {
        if authority.contains(['/', '\\', '?', '#', '@']) {
            return None;
        }
        let url = Url::parse(&format!("https://{authority}/")).ok()?;
        Some(Self::of(&url))
    }

    /// The kind of a host. A name is not looked up.
    #[must_use]
    pub(crate) fn of_host(host: &Host<&str>) -> Self {
        match host {
            Host::Domain(name) => of_name(name),
            Host::Ipv4(address) => of_v4(*address),
            Host::Ipv6(address) => of_v6(*address),
        }
    }

    /// The kind of an address. An IPv6 address that contains an IPv4 address has the kind of the
    /// IPv4 address.
    #[must_use]
    pub fn of_ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

impl fmt::Display for HostKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::LinkLocal => "a link-local address",
            Self::ThisMachine => "an address of this machine",
        })
    }
}

/// Whether nobody on a network can read along: https, or http to a loopback address.
pub fn is_confidential(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    }
}

/// Whether a URL has a loopback address, which needs no TLS because there is no network on the way.
/// The only name that counts is `localhost`: other names may be looked up on a server.
#[must_use]
fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| is_loopback_host(&host))
}

pub(crate) fn is_loopback_host<Name: AsRef<str>>(host: &Host<Name>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

fn of_name(name: &str) -> HostKind {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // `localhost`, and the names that distributions' hosts files give to `127.0.0.1` and `::1`.
    let here = matches!(
        name.as_str(),
        "localhost"
            | "localhost.localdomain"
            | "localhost6"
            | "localhost6.localdomain6"
            | "ip6-localhost"
            | "ip6-loopback"
    );
    if here || name.ends_with(".localhost") {
        HostKind::ThisMachine
    } else {
        HostKind::Public
    }
}

fn of_v4(address: Ipv4Addr) -> HostKind {
    let [first, second, ..] = address.octets();
    if address.is_loopback() || first == 0 {
        HostKind::ThisMachine
    } else if address.is_link_local() {
        HostKind::LinkLocal
    } else if address.is_private() || (first == 100 && second & 0xc0 == 64) {
        HostKind::Private
    } else {
        HostKind::Public
    }
}

fn of_v6(address: Ipv6Addr) -> HostKind {
    if address.is_loopback() || address.is_unspecified() {
        return HostKind::ThisMachine;
    }
    let segments = address.segments();
    let last = || {
        let [.., a, b, c, d] = address.octets();
        of_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Mapped (`::ffff:a.b.c.d`), translated (`::ffff:0:a.b.c.d`, RFC 2765), compatible
        // (`::a.b.c.d`), and NAT64 (`64:ff9b::a.b.c.d`, RFC 6052).
        [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0, 0, 0, 0, 0, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => last(),
        // NAT64 in a network's own prefix (RFC 8215).
        [0x64, 0xff9b, 1, ..] => last().max(HostKind::Private),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            of_v4(Ipv4Addr::new(a, b, c, d))
        }
        [first, ..] if first & 0xffc0 == 0xfe80 => HostKind::LinkLocal,
        [first, ..] if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 => HostKind::Private,
        _ => HostKind::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(host: &str) -> HostKind {
        let url = Url::parse(&format!("https://{host}:8443/path")).unwrap();
        let kind = HostKind::of(&url);
        let authority = HostKind::of_authority(&format!("{host}:8443"));
        assert_eq!(authority, Some(kind), "{host}");
        kind
    }

    #[test]
    fn this_machine_is_told_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost..",
            "app.localhost",
            "a.b.localhost.",
            "localhost.localdomain",
            "ip6-localhost",
            "ip6-loopback",
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.255.255.254",
            "0x7f.0.0.1",
            "0x7f000001",
            "0177.0.0.1",
            "2130706433",
            "127.0.1",
            "%31%32%37.0.0.1",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "0",
            "0.0.0.0",
            "0.1.2.3",
            "[::1]",
            "[::]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b:1::127.0.0.1]",
            "[2002:7f00:1::]",
            "[::ffff:0.0.0.0]",
        ] {
            assert_eq!(kind(host), HostKind::ThisMachine, "{host}");
        }
    }

    #[test]
    fn links_and_private_networks_are_told_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "[fe80::1]",
            "[febf::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[64:ff9b:1::a9fe:a9fe]",
        ] {
            assert_eq!(kind(host), HostKind::LinkLocal, "{host}");
        }
        for host in [
            "10.0.0.1",
            "10.1",
            "0x0a000001",
            "012.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fec0::1]",
            "[::ffff:10.0.0.1]",
            "[::10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::8.8.8.8]",
            "[2002:c0a8:101::1]",
        ] {
            assert_eq!(kind(host), HostKind::Private, "{host}");
        }
    }

    #[test]
    fn everything_else_is_public() {
        for host in [
            "ghcr.io",
            "localhost.example",
            "notlocalhost",
            "8.8.8.8",
            "11.0.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "169.253.0.1",
            "[2001:4860:4860::8888]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::8.8.8.8]",
            "[2002:808:808::]",
        ] {
            assert_eq!(kind(host), HostKind::Public, "{host}");
        }
    }

    #[test]
    fn what_can_not_be_a_host_is_of_no_kind() {
        for text in [
            "",
            "a b",
            "a/b",
            "user@127.0.0.1",
            "1.2.3.4.5",
            "[::1",
            "256.256.256.256",
        ] {
            assert_eq!(HostKind::of_authority(text), None, "{text:?}");
        }
    }

    #[test]
    fn nobody_reads_along_over_https_and_on_loopback() {
        let is_confidential = |text: &str| is_confidential(&Url::parse(text).unwrap());
        for good in ["https://a.io/", "http://127.0.0.1:1/", "http://localhost/"] {
            assert!(is_confidential(good), "{good}");
        }
        for bad in ["http://a.io/", "ftp://127.0.0.1/", "file:///a"] {
            assert!(!is_confidential(bad), "{bad}");
        }
    }

    #[test]
    fn plain_http_goes_to_loopback_alone() {
        let loopback = |text: &str| is_loopback(&Url::parse(text).unwrap());
        assert!(loopback("http://localhost:1/"));
        assert!(loopback("http://127.0.0.2/"));
        assert!(loopback("http://[::1]/"));
        assert!(!loopback("http://app.localhost/"));
        assert!(!loopback("http://0.0.0.0/"));
        assert!(!loopback("http://10.0.0.1/"));
    }
}
