//! How registries and whatever else is fetched are reached, by arguments and environment.
//!
//! A proxy of the environment comes before one of a file of configuration. A login or a proxy that is named and can't
//! be used is an error; nothing is asked without it then.

use std::path::Path;

use countersign_oci::http::{Connection, NoProxy, NoProxyError, proxy_url};
use countersign_oci::{
    Credentials, Options, PlainHttp, PrivateRedirects, Registry, RootCertificates,
};
use url::Url;

use crate::arguments::registry::RegistryArguments;
use crate::environment::{CredentialFiles, Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::input::read_bytes;

/// Bytes of a file of certificate authorities. That of a whole system has 250 KiB.
const AUTHORITIES_MAX: u64 = 16 << 20;

/// The registry client, with the logins of docker and podman.
pub(crate) fn registry(
    arguments: &RegistryArguments,
    environment: &Environment,
) -> Result<Registry, Failure> {
    Ok(Registry::new(options(arguments, environment)?)?)
}

/// How registries, and whatever else is fetched, are reached.
pub(crate) fn options(
    arguments: &RegistryArguments,
    environment: &Environment,
) -> Result<Options, Failure> {
    let credentials = credentials(environment)?;
    let extra_roots = match &arguments.registry_ca {
        Some(path) => authorities(path)?,
        None => RootCertificates::default(),
    };
    let plain_http = if arguments.plain_http {
        PlainHttp::Always
    } else {
        PlainHttp::Loopback
    };
    let private_redirects = if arguments.allow_private_redirects {
        PrivateRedirects::Allow
    } else {
        PrivateRedirects::Refuse
    };
    let (proxy, no_proxy) = proxy(environment)?;
    Ok(Options {
        credentials,
        plain_http,
        private_redirects,
        extra_roots,
        proxy,
        no_proxy,
        last_failure: environment.last_failure().clone(),
        ..Options::default()
    })
}

/// The certificate authorities of a file.
fn authorities(path: &Path) -> Result<RootCertificates, Failure> {
    let pem = read_bytes(path, "certificate authority", AUTHORITIES_MAX)?;
    RootCertificates::from_pem(&pem).map_err(|error| {
        let message = format!("the certificate authority {} can't be used", path.display());
        Failure::caused(Kind::Usage, message, error)
            .hint("pass a file of certificates in PEM with --registry-ca")
    })
}

/// The logins of podman and docker.
fn credentials(environment: &Environment) -> Result<Credentials, Failure> {
    let mut credentials = Credentials::default();
    match environment.credential_files() {
        CredentialFiles::Named(file) => credentials.with_config_file(&file).map_err(|error| {
            Failure::from(error).hint(format!(
                "{} names this file; log in with `podman login`, or unset the variable",
                Variable::RegistryAuthFile
            ))
        }),
        CredentialFiles::Usual(files) => {
            for file in files.iter().filter(|file| file.is_file()) {
                credentials = credentials.with_config_file(file)?;
            }
            Ok(credentials)
        }
    }
}

/// How TUF repositories are reached by a command that has nothing to do with registries.
pub(crate) fn without_registries(environment: &Environment) -> Result<Connection, Failure> {
    let (proxy, no_proxy) = proxy(environment)?;
    Ok(Connection::new(Options {
        proxy,
        no_proxy,
        last_failure: environment.last_failure().clone(),
        ..Options::default()
    })?)
}

/// The proxy that the environment or a file of configuration names, and the hosts that are reached without it. Errors don't
/// repeat it: there may be a password in it.
fn proxy(environment: &Environment) -> Result<(Option<Url>, NoProxy), Failure> {
    let setting = environment.settings().proxy.as_ref();
    let (url, direct) = match (environment.proxy(), setting.map(|proxy| &proxy.value)) {
        (Some((variable, value)), _) => {
            let url = proxy_url(value).ok_or_else(|| Failure::new(
                Kind::Usage,
                format!("the variable {variable} does not hold the address of a proxy"),
            )
            .hint("write it as http://host:port, https://host:port, socks5://host:port or socks5h://host:port, or unset it"))?;
            (url, None)
        }
        (None, Some(setting)) => (setting.url.clone(), Some(&setting.no_proxy)),
        (None, None) => return Ok((None, NoProxy::default())),
    };
    let no_proxy = match environment.no_proxy() {
        Some((variable, hosts)) => hosts.parse().map_err(|error: NoProxyError| {
            let message = format!("the variable {variable} can't be used");
            Failure::caused(Kind::Usage, message, error).hint(
                "write hosts with commas between them, such as localhost,.example.org, or unset it",
            )
        })?,
        None => direct.cloned().unwrap_or_default(),
    };
    Ok((Some(url), no_proxy))
}
