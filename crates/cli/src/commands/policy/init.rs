//! `countersign policy init`: a policy to begin with, from the signers of an image or from three answers.
//!
//! It is printed, and no file is written. Anybody can sign an image, so the policy says that its reader has to
//! compare it with what the project publishes.

mod draft;
mod questions;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Args;
use countersign_oci::Reference;
use countersign_policy::Policy;
use countersign_verify::{AttachedContent, Failure as NotGenuine, Verifier};
use schemars::JsonSchema;
use serde::Serialize;

use self::draft::{Draft, Signer};
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::registry::RegistryArguments;
use crate::arguments::trust::TrustArguments;
use crate::blocking::blocking;
use crate::connection;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::operand;
use crate::output::Output;
use crate::progress::Progress;
use crate::trust;

const EXAMPLE: &str = "\
Example: a policy that accepts those who signed an image
  countersign policy init --from ghcr.io/acme/app:v1 > policy.yaml";

/// `countersign policy init`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct PolicyInitArguments {
    /// Accept those who signed this image
    ///
    /// Without this flag, three questions are asked.
    #[arg(long, value_name = "REFERENCE", value_parser = operand::image)]
    pub(crate) from: Option<Reference>,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(super) async fn run(
    arguments: PolicyInitArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let draft = match &arguments.from {
        Some(reference) => from_image(reference, &arguments, environment, output).await?,
        None => from_answers().await?,
    };
    let text = draft.yaml();
    // What is printed must be a policy, whatever is in a certificate.
    let policy = Policy::from_yaml(&text, "the new policy")?;
    output.answer(&text);
    output.document(&PolicyInitOutput {
        policy: text,
        results: draft.signers.iter().map(Signer::to_json).collect(),
    });
    output.note(match policy.signers().count() {
        1 => "compare the signer with what the project publishes: anybody can sign an image",
        _ => "compare the signers with what the project publishes: anybody can sign an image",
    });
    Ok(ExitCode::SUCCESS)
}

/// What `countersign policy init` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PolicyInitOutput {
    /// The policy file, YAML.
    policy: String,
    /// The signers that it accepts.
    results: Vec<PolicyInitResult>,
}

/// A signer that the new policy accepts.
#[derive(Debug, Serialize, JsonSchema)]
struct PolicyInitResult {
    /// The OIDC issuer.
    issuer: String,
    /// The certificate's subject alternative name.
    identity: String,
}

impl Signer {
    fn to_json(&self) -> PolicyInitResult {
        PolicyInitResult {
            issuer: self.issuer.clone(),
            identity: self.identity.clone(),
        }
    }
}

/// The signers of an image whose signatures are genuine.
async fn from_image(
    reference: &Reference,
    arguments: &PolicyInitArguments,
    environment: &Environment,
    output: &Output,
) -> Result<Draft, Failure> {
    let instance = trust::instance(&arguments.trust, None, environment)?;
    let trust = instance.of_flags_as_trust()?;
    let registry = connection::registry(&arguments.registry, environment)?;
    let trusted_root = instance
        .trusted_root(environment, registry.connection())
        .await?;
    let verifier = Verifier::new(registry.clone(), trusted_root);
    let progress = Progress::new(output, format!("reading who signed {reference}"));
    let image = registry.resolve(reference).await?;
    let survey = verifier.survey(&image, None).await?;
    drop(progress);

    let mut draft = Draft::of_image(reference.to_string(), trust);
    let (mut unproven, mut by_key) = (0, 0);
    for attached in &survey.attached {
        let AttachedContent::Signatures(signatures) = &attached.content else {
            continue;
        };
        for signature in signatures {
            match &signature.record {
                Ok(evidence) => draft.add(evidence),
                Err(NotGenuine::KeyForCertificate) => by_key += 1,
                Err(_) => unproven += 1,
            }
        }
    }
    if draft.signers.is_empty() && by_key > 0 {
        let message = format!(
            "{reference} is signed with a key, and a signature does not say which: no policy can be made from it"
        );
        return Err(Failure::new(Kind::Unsigned, message)
            .hint("get the public key from the project, and write a policy file with `verification: {key: cosign.pub}`")
            .hint(format!(
                "try it first with `countersign verify --key cosign.pub {reference}`"
            )));
    }
    if by_key > 0 {
        output.warning(
            "the image has signatures with a key, too: their signers are not in the policy; add `identities: [{key: FILE}]` for a key that you trust",
        );
    }
    if draft.signers.is_empty() {
        let found = match unproven {
            0 => "no signature".to_owned(),
            1 => "1 signature, which is not genuine by the trusted root".to_owned(),
            count => format!("{count} signatures, none of them genuine by the trusted root"),
        };
        let message = format!("it is not known who signed {reference}: found {found}");
        return Err(Failure::new(Kind::Unsigned, message).hint(format!(
            "`countersign tree {reference}` shows what is attached to the image"
        )));
    }
    Ok(draft)
}

/// Three questions, at a terminal. A thread of its own waits for the answers, so that a signal and the time limit
/// end the run.
async fn from_answers() -> Result<Draft, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Kind::Usage,
            "the questions need a terminal, and standard input is none",
        )
        .hint("pass --from REFERENCE to write a policy from the signers of an image"));
    }
    let asked = || questions::ask(&mut std::io::stdin().lock(), &mut std::io::stderr());
    let signer = blocking(asked)
        .await?
        .map_err(|error| {
            Failure::new(Kind::Usage, format!("can't read the answers: {error}")).hint(
                "run it again and answer each question, or pass --from REFERENCE to take the signers of an image",
            )
        })?;
    Ok(Draft::of_answers(signer))
}
