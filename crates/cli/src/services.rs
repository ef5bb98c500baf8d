//! From arguments and environment to the libraries' values: registry and policy.

use std::path::{Path, PathBuf};

use countersign_oci::http::{Connection, proxy_url};
use countersign_oci::{Credentials, Options, PlainHttp, Registry};
use countersign_policy::{Policy, PolicySpec};
use url::Url;

use crate::arguments::{PolicyArguments, RegistryArguments, annotations};
use crate::environment::{CREDENTIAL_FILE, CredentialFiles, Environment};
use crate::failure::{Failure, Kind};

/// A text file named on the command line. `what` says in errors which one it is.
pub(crate) fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::unreadable(path, what, error))
}

/// The registry client, with the logins of docker and podman.
pub(crate) fn registry(
    arguments: &RegistryArguments,
    environment: &Environment,
) -> Result<Registry, Failure> {
    Ok(Registry::new(connection(arguments, environment)?)?)
}

/// How registries, and whatever else is fetched, are reached.
pub(crate) fn connection(
    arguments: &RegistryArguments,
    environment: &Environment,
) -> Result<Options, Failure> {
    let credentials = credentials(environment)?;
    let mut extra_roots = Vec::new();
    if let Some(path) = &arguments.registry_ca {
        let pem = std::fs::read(path)
            .map_err(|error| Failure::unreadable(path, "certificate authority", error))?;
        extra_roots.push(pem);
    }
    let plain_http = if arguments.plain_http {
        PlainHttp::Always
    } else {
        PlainHttp::Loopback
    };
    Ok(Options {
        credentials,
        plain_http,
        private_redirects: arguments.allow_private_redirects,
        extra_roots,
        proxy: proxy(environment)?,
        no_proxy: environment.no_proxy().to_owned(),
        ..Options::default()
    })
}

/// The logins of podman and docker.
fn credentials(environment: &Environment) -> Result<Credentials, Failure> {
    let mut credentials = Credentials::default();
    match environment.credential_files() {
        CredentialFiles::Named(file) => credentials.with_config_file(&file).map_err(|error| {
            Failure::from(error).hint(format!(
                "{CREDENTIAL_FILE} names this file; log in with `podman login`, or unset the variable"
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
pub(crate) fn connection_of(environment: &Environment) -> Result<Connection, Failure> {
    Ok(Connection::new(Options {
        proxy: proxy(environment)?,
        no_proxy: environment.no_proxy().to_owned(),
        ..Options::default()
    })?)
}

/// The proxy that the environment names. Errors don't repeat it: there may be a password in it.
fn proxy(environment: &Environment) -> Result<Option<Url>, Failure> {
    let Some((variable, value)) = environment.proxy() else {
        return Ok(None);
    };
    match proxy_url(value) {
        Some(url) => Ok(Some(url)),
        None => Err(Failure::new(
            Kind::Usage,
            format!("the variable {variable} does not hold the address of a proxy"),
        )
        .hint("write it as http://host:port, https://host:port, socks5://host:port or socks5h://host:port, or unset it")),
    }
}

/// A policy, and where it was read.
pub(crate) struct LoadedPolicy {
    pub(crate) policy: Policy,
    /// The file it is from; flags come from none.
    pub(crate) file: Option<PathBuf>,
}

/// The policy of a file.
pub(crate) fn policy_file(path: &Path) -> Result<LoadedPolicy, Failure> {
    let text = read_text(path, "policy")?;
    Ok(LoadedPolicy {
        policy: Policy::from_yaml(&text, &path.display().to_string())?,
        file: Some(path.to_owned()),
    })
}

/// The policy of `--policy`, or of the flags that carry its fields' names.
pub(crate) fn policy(arguments: &PolicyArguments) -> Result<LoadedPolicy, Failure> {
    if let Some(path) = &arguments.policy {
        return policy_file(path);
    }
    let issuer = arguments.issuer.is_some() || arguments.issuer_regex.is_some();
    let identity = arguments.identity.is_some() || arguments.identity_regex.is_some();
    if !(issuer && identity) {
        let missing = match (issuer, identity) {
            (true, false) => "an identity is missing",
            (false, true) => "an issuer is missing",
            _ => "neither a policy file nor an issuer and an identity are given",
        };
        return Err(Failure::new(
            Kind::Usage,
            format!("nothing says who must have signed: {missing}"),
        )
        .hint(
            "pass --policy FILE, or --issuer URL (or --issuer-regex) together with --identity IDENTITY (or --identity-regex)",
        ));
    }
    let spec = PolicySpec {
        issuer: arguments.issuer.clone(),
        issuer_regex: arguments.issuer_regex.clone(),
        identity: arguments.identity.clone(),
        identity_regex: arguments.identity_regex.clone(),
        not_before: arguments.not_before.clone(),
        annotations: annotations(&arguments.annotations)?,
        ..PolicySpec::default()
    };
    Ok(LoadedPolicy {
        policy: Policy::try_from(spec)?,
        file: None,
    })
}
