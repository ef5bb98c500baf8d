//! Which registries are spoken to without TLS.

use url::Host;

use crate::host::is_loopback_host;

/// Which registries are spoken to without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainHttp {
    /// Only registries on a loopback address.
    #[default]
    Loopback,
    /// Every registry. It is asked at port 80 if its name has no port; a port of `443` counts as none (see
    /// [`Repository`](crate::Repository)).
    Always,
    /// None.
    Never,
}

impl PlainHttp {
    /// Whether `host` is used without TLS.
    pub(crate) fn covers(self, host: Option<&Host<&str>>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Loopback => host.is_some_and(is_loopback_host),
        }
    }
}
