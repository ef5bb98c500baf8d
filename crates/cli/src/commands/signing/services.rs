//! The services that sign: by flags, by a file, or by the instance of Sigstore.

use std::path::Path;

use countersign_oci::http::Connection;
use countersign_policy::{SignatureFormat, SigstoreInstance};
use countersign_sign::{RekorVersion, Services, WrittenFormats};
use countersign_verify::TufNetwork;

use super::ServiceArguments;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::printable;
use crate::trust::{self, Choice, Instance};

/// The services that the flags name, or else those of a file of configuration or of the instance.
pub(super) async fn signing_services(
    named: &ServiceArguments,
    formats: WrittenFormats,
    instance: &Instance,
    environment: &Environment,
    connection: &Connection,
) -> Result<Services, Failure> {
    let rekor_version = match (named.rekor_version, &named.rekor_url) {
        (Some(version), _) => Some(version.into()),
        // Of several logs, the one that this form needs.
        (None, None) if formats.contains(SignatureFormat::SimpleSigning) => Some(RekorVersion::V1),
        (None, _) => None,
    };
    if let Some(path) = &named.signing_config {
        let services = of_file(path, rekor_version, named, formats)?;
        return Ok(with_issuer(services, named));
    }
    if let (Some(fulcio), Some(rekor)) = (&named.fulcio_url, &named.rekor_url) {
        return Ok(Services {
            fulcio: fulcio.clone(),
            rekor: rekor.clone(),
            rekor_version: rekor_version.unwrap_or(RekorVersion::V1),
            tsa: named.tsa_url.clone(),
            oidc_issuer: named.oidc_issuer.clone(),
        });
    }
    if let Some(setting) = &environment.settings().signing_config
        && !has_services(instance)
    {
        let services = of_file(&setting.value, rekor_version, named, formats)
            .map_err(|failure| failure.hint(setting.origin()))?;
        return Ok(with_issuer(services, named));
    }
    let unnamed = |why| {
        Failure::new(Kind::Usage, why)
            .hint("pass --signing-config FILE, or --fulcio-url URL with --rekor-url URL")
    };
    let services = match &instance.choice {
        Choice::File(_) => {
            return Err(unnamed(
                "the signing services are not known: a trusted root doesn't name them",
            ));
        }
        Choice::Named(SigstoreInstance::GitHub) => return Err(not_for_others()),
        Choice::Tuf { .. } | Choice::Named(SigstoreInstance::PublicGood)
            if instance.network == TufNetwork::Offline =>
        {
            return Err(unnamed(
                "no flag names the signing services, and --offline does not ask a TUF repository",
            ));
        }
        Choice::Tuf { url, root } => {
            let root = trust::read_root(root)?;
            let cache = trust::tuf_cache(environment, url, &root)?.join("signing-config");
            Services::tuf(connection, url, &root, cache, rekor_version).await?
        }
        Choice::Named(SigstoreInstance::PublicGood) => {
            let cache = trust::cache(environment, "public-good")?.join("signing-config");
            Services::public_good(connection, cache, rekor_version).await?
        }
    };
    Ok(with_issuer(services, named))
}

/// The services of a signing config.
fn of_file(
    path: &Path,
    version: Option<RekorVersion>,
    named: &ServiceArguments,
    formats: WrittenFormats,
) -> Result<Services, Failure> {
    let json = read_text(path, "signing config")?;
    let error = match Services::from_signing_config(&json, version) {
        Ok(services) => return Ok(services),
        Err(error) => error,
    };
    let shown = printable::path(path);
    let by_format = formats.contains(SignatureFormat::SimpleSigning)
        && named.rekor_version.is_none()
        && Services::from_signing_config(&json, None).is_ok();
    if by_format {
        let message = format!(
            "--format simple-signing and --format both need a log of Rekor version 1, and {shown} has none that is valid now"
        );
        return Err(Failure::new(Kind::Usage, message)
            .hint("leave --format out, or name a log of Rekor version 1: --fulcio-url URL with --rekor-url URL"));
    }
    if json.contains("application/vnd.dev.sigstore.trustedroot") {
        let message = format!("expected a signing config in {shown}, found a trusted root");
        return Err(Failure::new(Kind::Usage, message).hint(
            "pass it with --trusted-root; the signing config is another file, `signing_config.json` of the same instance",
        ));
    }
    Err(Failure::from(error).also(format!("the signing config is {shown}")))
}

/// Whether flags or a policy named an instance that says what its services are. What a file of configuration says is of
/// another one then.
fn has_services(instance: &Instance) -> bool {
    instance.is_named && !matches!(instance.choice, Choice::File(_))
}

/// GitHub's own instance has no services that others could ask.
pub(super) fn not_for_others() -> Failure {
    Failure::new(
        Kind::Usage,
        "GitHub's own instance signs for GitHub's `actions/attest` alone",
    )
    .hint("sign with another instance, or let `actions/attest` sign")
}

/// The same services, with the issuer of the flag, if there is one.
fn with_issuer(services: Services, named: &ServiceArguments) -> Services {
    let oidc_issuer = named.oidc_issuer.clone().or(services.oidc_issuer);
    Services {
        oidc_issuer,
        ..services
    }
}
