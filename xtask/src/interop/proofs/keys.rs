//! `cosign sign --key`, in both forms, by cosign 2 and 3, with and without a log entry.

use countersign_sandbox::RekorVersion;

use super::Scene;
use crate::command::Command;
use crate::exit_code::{DONE, INVALID, REFUSED_BY_POLICY, UNSIGNED};
use crate::interop::actors::Cosign;
use crate::interop::instance::Instance;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

/// The form in which cosign stores what it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bundle,
    Legacy,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Bundle => "as a bundle",
            Self::Legacy => "in the legacy form",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Self::Bundle => "bundle",
            Self::Legacy => "legacy",
        }
    }
}

/// Makes two pairs of keys by cosign, and one on P-384, which it imports.
///
/// # Errors
/// When cosign or OpenSSL fails.
pub(super) fn make(scene: &Scene) -> anyhow::Result<()> {
    for name in ["signer", "stranger"] {
        let make = ["generate-key-pair", "--output-key-prefix", name];
        scene.cosign(Cosign::V3, &make)?;
    }
    let curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
    let generate = Command::new("openssl").args(["genpkey"]).args(curve);
    scene
        .site
        .home
        .run(generate.args(["-out", "p384.pem"]))?
        .success()?;
    let import = ["import-key-pair", "--key", "p384.pem"];
    scene.cosign(
        Cosign::V3,
        &[&import[..], &["--output-key-prefix", "p384"]].concat(),
    )?;
    Ok(())
}

/// Signs in every way, and verifies.
pub(super) fn play(scene: &Scene, registry: &Registry, ledger: &mut Ledger) {
    for cosign in [Cosign::V2, Cosign::V3] {
        for form in [Form::Legacy, Form::Bundle] {
            let title = format!(
                "{} signs with a key {}, in {}",
                cosign.name(),
                form.name(),
                registry.name
            );
            ledger.case(&title, || {
                let repository = format!("keys/{}-{}", cosign.slug(), form.slug());
                let image = scene.image(registry, &repository)?;
                let [instance, _] = scene.instances();
                sign(scene, cosign, form, instance, "signer.key", &image)?;
                judge(scene, instance, form, &image)?;
                Ok("accepted by its key, and by nothing else".to_owned())
            });
        }
    }
    let title = format!(
        "cosign 3 signs with a key into Rekor v2, in {}",
        registry.name
    );
    ledger.case(&title, || {
        let image = scene.image(registry, "keys/rekor-v2")?;
        let [_, instance] = scene.instances();
        sign(
            scene,
            Cosign::V3,
            Form::Bundle,
            instance,
            "signer.key",
            &image,
        )?;
        judge(scene, instance, Form::Bundle, &image)?;
        Ok("accepted by its key, and by nothing else".to_owned())
    });
    for (cosign, form) in [(Cosign::V2, Form::Legacy), (Cosign::V3, Form::Bundle)] {
        // cosign signs with SHA-384 by a key on P-384, and verifies with SHA-256. So with a log, where it verifies what
        // it signs, it can't use such a key.
        for (key, curve) in [("signer", "P-256"), ("p384", "P-384")] {
            let title = format!(
                "{} signs with a key on {curve} {} and logs nothing, in {}",
                cosign.name(),
                form.name(),
                registry.name
            );
            ledger.case(&title, || unlogged(scene, registry, cosign, form, key));
        }
    }
}

/// Without a log entry a signature counts only if the policy says so.
fn unlogged(
    scene: &Scene,
    registry: &Registry,
    cosign: Cosign,
    form: Form,
    key: &str,
) -> anyhow::Result<String> {
    let image = scene.image(registry, &format!("keys/unlogged-{key}-{}", form.slug()))?;
    let (private, public) = (format!("{key}.key"), format!("{key}.pub"));
    let mut arguments = vec!["sign", "--yes", "--key", &private];
    arguments.extend(["--tlog-upload=false", "--use-signing-config=false"]);
    arguments.extend([new_bundle_format(form), &image]);
    scene.cosign(cosign, &arguments)?;
    let root = &scene.instances()[0].trusted_root;
    let logged = policy(&public, "");
    let says = ["ignore_tlog: true"];
    scene.verify(&logged, root, &[&image], INVALID, &says)?;
    let ignoring = policy(&public, "ignore_tlog: true\n");
    let says = ["not known: the policy ignores"];
    scene.verify(&ignoring, root, &[&image], DONE, &says)?;
    Ok("accepted with `ignore_tlog` alone".to_owned())
}

/// Accepted by the key, and refused by another key, by an identity, and without the form.
fn judge(scene: &Scene, instance: &Instance, form: Form, image: &str) -> anyhow::Result<()> {
    let root = &instance.trusted_root;
    let own = policy("signer.pub", "");
    scene.verify(&own, root, &[image], DONE, &["signer     key SHA-256:"])?;
    let other = policy("stranger.pub", "");
    scene.verify(&other, root, &[image], INVALID, &["does not verify with"])?;
    let formats = "signature_formats: [bundle, simple_signing]\n";
    let identity = scene.workflow() + formats;
    scene.verify(
        &identity,
        root,
        &[image],
        REFUSED_BY_POLICY,
        &["another kind of signer", "--key FILE"],
    )?;
    if form == Form::Legacy {
        let bundles = "key: signer.pub\n";
        scene.verify(bundles, root, &[image], UNSIGNED, &["legacy form"])?;
    }
    Ok(())
}

fn policy(key: &str, rest: &str) -> String {
    format!("key: {key}\nsignature_formats: [bundle, simple_signing]\n{rest}")
}

fn new_bundle_format(form: Form) -> &'static str {
    match form {
        Form::Bundle => "--new-bundle-format=true",
        Form::Legacy => "--new-bundle-format=false",
    }
}

fn sign(
    scene: &Scene,
    cosign: Cosign,
    form: Form,
    at: &Instance,
    key: &str,
    image: &str,
) -> anyhow::Result<()> {
    let mut arguments = vec!["sign", "--yes", "--key", key, new_bundle_format(form)];
    let trusted_root = scene.site.home.path(&at.trusted_root)?;
    match (form, at.rekor_version) {
        (Form::Legacy, RekorVersion::V1) => {
            arguments.extend(["--use-signing-config=false", "--rekor-url", &at.rekor]);
        }
        _ => arguments.extend([
            "--signing-config",
            scene.site.home.path(&at.signing_config)?,
        ]),
    }
    arguments.extend(["--trusted-root", trusted_root, image]);
    scene.cosign(cosign, &arguments)?;
    Ok(())
}
