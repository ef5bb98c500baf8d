//! Which services sign and record.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_oci::ErrorKind;
use countersign_oci::http::{Connection, Redacted, is_confidential};
use countersign_verify::tuf_target;
use sigstore_trust_root::{
    SIGNING_CONFIG_TARGET, ServiceConfiguration, ServiceEndpoint, ServiceSelector, SigningConfig,
    SigstoreInstance,
};
use url::Url;

use crate::error::{Error, Service};

/// For the whole of TUF's workflow, some six small files, unless [`Patience`](countersign_oci::Patience) was asked for.
const SIGNING_CONFIG_TIME_MAX: Duration = Duration::from_secs(120);

/// The TUF repository answers too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the signing config did not come within {} s", SIGNING_CONFIG_TIME_MAX.as_secs())]
struct Late;

/// The API of a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekorVersion {
    /// Rekor v1: the log keeps the envelope (`dsse` 0.0.1) and vouches for the time.
    V1,
    /// Rekor v2, tile-based: the log keeps a hash (`hashedrekord` 0.0.2); the time is vouched for
    /// by a timestamp authority.
    V2,
}

impl RekorVersion {
    fn major(self) -> u32 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}

/// The services of a Sigstore instance that take part in signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Certificate authority.
    pub fulcio: Url,
    /// Transparency log.
    pub rekor: Url,
    /// The API that the log speaks.
    pub rekor_version: RekorVersion,
    /// Timestamp authority: the whole URL of its endpoint. Rekor v2 needs one.
    pub tsa: Option<Url>,
    /// OIDC issuer at which a person logs in ([`Login`](crate::Login)). To sign needs none.
    pub oidc_issuer: Option<Url>,
}

impl Services {
    /// The services that a signing config (`signing_config.json`, version 0.2) names as valid now.
    /// Of several logs the one with the newest API is taken, or one of `rekor_version`.
    ///
    /// # Errors
    /// [`Error::Services`], when the text isn't a signing config, lacks a service, or wants more
    /// than one log or timestamp for a signature.
    pub fn from_signing_config(
        json: &str,
        rekor_version: Option<RekorVersion>,
    ) -> Result<Self, Error> {
        let config = SigningConfig::from_json(json).map_err(not_a_config)?;
        Self::select(&config, rekor_version)
    }

    /// The services of the public-good instance, by its signing config, which is fetched through
    /// TUF and kept under `cache`, and nowhere else.
    ///
    /// # Errors
    /// [`Error::Service`] when TUF fails, else as [`Self::from_signing_config`].
    pub async fn public_good(
        connection: &Connection,
        cache: PathBuf,
        rekor_version: Option<RekorVersion>,
    ) -> Result<Self, Error> {
        let instance = SigstoreInstance::PublicGood;
        let (url, root) = (instance.tuf_url(), instance.tuf_root());
        Self::from_tuf(connection, url, root, &cache, rekor_version).await
    }

    /// The services by the signing config that the TUF repository at `url` distributes; `root` is
    /// the repository's initial `root.json`, `cache` the directory where metadata is kept.
    ///
    /// # Errors
    /// As [`Self::public_good`].
    pub async fn tuf(
        connection: &Connection,
        url: &Url,
        root: &[u8],
        cache: PathBuf,
        rekor_version: Option<RekorVersion>,
    ) -> Result<Self, Error> {
        Self::from_tuf(connection, url.as_str(), root, &cache, rekor_version).await
    }

    async fn from_tuf(
        connection: &Connection,
        url: &str,
        root: &[u8],
        cache: &Path,
        rekor_version: Option<RekorVersion>,
    ) -> Result<Self, Error> {
        let failed = |kind, source: Box<dyn std::error::Error + Send + Sync>| Error::Service {
            service: Service::Tuf,
            status: None,
            kind,
            source,
        };
        let fetching = tuf_target(connection, url, root, cache, SIGNING_CONFIG_TARGET);
        let fetched = match connection.options().retries.patience {
            Some(_) => fetching.await,
            None => tokio::time::timeout(SIGNING_CONFIG_TIME_MAX, fetching)
                .await
                .map_err(|_| failed(ErrorKind::Unreachable, Late.into()))?,
        };
        let json = fetched.map_err(|error| failed(error.kind(), error.into()))?;
        let json = String::from_utf8(json).map_err(not_a_config)?;
        Self::from_signing_config(&json, rekor_version)
    }

    fn select(config: &SigningConfig, rekor_version: Option<RekorVersion>) -> Result<Self, Error> {
        let version = rekor_version.map(RekorVersion::major);
        let rekor = config
            .rekor_url(version)
            .ok_or_else(|| missing("transparency log", version))?;
        let logs = config.eligible_rekor_urls(version);
        single("log", &config.rekor_tlog_config, &logs)?;
        let tsa = config.tsa_url();
        if tsa.is_some() {
            single("timestamp", &config.tsa_config, &config.eligible_tsa_urls())?;
        }
        let fulcio = config
            .fulcio_url()
            .ok_or_else(|| missing("certificate authority", None))?;
        let services = Self {
            fulcio: parse(&fulcio.url)?,
            rekor: parse(&rekor.url)?,
            rekor_version: match rekor.major_api_version {
                1 => RekorVersion::V1,
                2 => RekorVersion::V2,
                other => {
                    return Err(Error::Services {
                        expected: "a transparency log of API version 1 or 2".into(),
                        found: format!("version {other}"),
                    });
                }
            },
            tsa: tsa.map(|tsa| parse(&tsa.url)).transpose()?,
            oidc_issuer: config.oidc_url().map(|oidc| parse(&oidc.url)).transpose()?,
        };
        services.check()?;
        Ok(services)
    }

    /// Whether these services together can produce a signature that verifies, over connections
    /// that nobody can read along: a token is sent over one of them.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self {
            fulcio,
            rekor,
            rekor_version,
            tsa,
            // Only a login asks it, which checks it.
            oidc_issuer: _,
        } = self;
        if *rekor_version == RekorVersion::V2 && tsa.is_none() {
            return Err(Error::Services {
                expected: "a timestamp authority, since a Rekor v2 log vouches for no time".into(),
                found: "none".into(),
            });
        }
        for url in [Some(fulcio), Some(rekor), tsa.as_ref()]
            .into_iter()
            .flatten()
        {
            if !is_confidential(url) {
                return Err(Error::Services {
                    expected: "https URLs (http only on a loopback address)".into(),
                    found: Redacted(url).to_string(),
                });
            }
        }
        Ok(())
    }
}

fn not_a_config(error: impl std::error::Error) -> Error {
    Error::Services {
        expected: "a signing config of version 0.2 in JSON".into(),
        found: format!("something else ({error})"),
    }
}

fn parse(url: &str) -> Result<Url, Error> {
    url.parse().map_err(|error| Error::Services {
        expected: "URLs of services".into(),
        found: format!("`{url}` ({error})"),
    })
}

fn missing(service: &str, version: Option<u32>) -> Error {
    let version = version
        .map(|v| format!(" of API version {v}"))
        .unwrap_or_default();
    Error::Services {
        expected: format!("a {service}{version} that is valid now"),
        found: "none".into(),
    }
}

/// We ask one log and one timestamp authority. A config that wants more of them would be served
/// short, so it is refused.
fn single(
    what: &str,
    config: &ServiceConfiguration,
    eligible: &[&ServiceEndpoint],
) -> Result<(), Error> {
    let one_is_enough = match config.selector {
        ServiceSelector::Any => true,
        ServiceSelector::Exact => config.count == Some(1),
        ServiceSelector::All => eligible.len() == 1,
        _ => false,
    };
    if one_is_enough {
        return Ok(());
    }
    Err(Error::Services {
        expected: format!("a signing config that asks for one {what} a signature"),
        found: format!("selector {:?}, count {:?}", config.selector, config.count),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(fulcio: &str, version: RekorVersion, tsa: Option<&str>) -> Services {
        Services {
            fulcio: fulcio.parse().unwrap(),
            rekor: "https://rekor.example".parse().unwrap(),
            rekor_version: version,
            tsa: tsa.map(|url| url.parse().unwrap()),
            oidc_issuer: None,
        }
    }

    #[test]
    fn rekor_v2_wants_a_timestamp_authority() {
        let without = services("https://fulcio.example", RekorVersion::V2, None);
        assert!(matches!(without.check(), Err(Error::Services { .. })));
        let with = services(
            "https://fulcio.example",
            RekorVersion::V2,
            Some("https://tsa.example/api/v1/timestamp"),
        );
        assert!(with.check().is_ok());
    }

    #[test]
    fn tokens_are_not_sent_in_plain_text() {
        let check = |fulcio| services(fulcio, RekorVersion::V1, None).check();
        assert!(check("http://127.0.0.1:5555").is_ok());
        assert!(check("http://[::1]:5555").is_ok());
        let plain: Url = "http://service.example".parse().unwrap();
        let secure = services(
            "https://fulcio.example",
            RekorVersion::V2,
            Some("https://tsa.example"),
        );
        assert!(secure.check().is_ok());
        let to_fulcio = Services {
            fulcio: plain.clone(),
            ..secure.clone()
        };
        let to_rekor = Services {
            rekor: plain.clone(),
            ..secure.clone()
        };
        let to_tsa = Services {
            tsa: Some(plain),
            ..secure
        };
        for services in [to_fulcio, to_rekor, to_tsa] {
            let refused = services.check();
            assert!(matches!(refused, Err(Error::Services { .. })));
        }
    }

    #[test]
    fn what_is_no_signing_config_is_refused() {
        let error = Services::from_signing_config("{}", None).unwrap_err();
        assert!(matches!(error, Error::Services { .. }));
    }
}
