//! What images are verified with, by arguments and environment: policy, registry and trusted root.

use countersign_oci::{Registry, excerpt};
use countersign_policy::{Policy, Warning};
use countersign_verify::{TrustedRoot, Verifier};
use jiff::Timestamp;

use crate::arguments::verification::VerificationArguments;
use crate::connection;
use crate::environment::{Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::policy;
use crate::trust;

/// What images are verified with.
pub(crate) struct Verification {
    pub(crate) policy: Policy,
    pub(crate) registry: Registry,
    pub(crate) trusted_root: TrustedRoot,
    pub(crate) told: OfRefusals,
}

/// What the command line and the environment add to what is said of an image that is refused.
pub(crate) struct OfRefusals {
    /// Whether flags are the policy, and no file.
    by_flags: bool,
    /// Where cosign would look for signatures.
    repository: Option<String>,
    policy: Policy,
}

impl OfRefusals {
    fn new(policy: &Policy, by_flags: bool, environment: &Environment) -> Self {
        Self {
            by_flags,
            repository: environment
                .variable(Variable::CosignRepository)
                .map(excerpt),
            policy: policy.clone(),
        }
    }

    /// What to write in the place of each type in the policy that no statement has.
    fn short_types(&self) -> Vec<String> {
        let warnings = self.policy.warnings(Timestamp::now()).into_iter();
        let short = warnings.filter_map(|warning| match warning {
            Warning::ShortPredicateType { name, uri } => Some(format!(
                "the policy names the type `{name}`, which no attestation has; write `{uri}`"
            )),
            _ => None,
        });
        short.collect()
    }

    /// The failure, with what helps in this run.
    pub(crate) fn add_to(&self, failure: Failure) -> Failure {
        // Only what is refused needs the policy's warnings.
        let short_types = match failure.kind {
            Kind::Unsigned => self.short_types(),
            _ => Vec::new(),
        };
        let failure = if !short_types.is_empty() {
            let types = short_types.into_iter();
            types.fold(failure.without_hints(), Failure::hint)
        } else if self.by_flags {
            failure.of_flags()
        } else {
            failure
        };
        match &self.repository {
            Some(repository) if failure.kind == Kind::Unsigned => failure.also(format!(
                "COSIGN_REPOSITORY is not used: for signatures in {repository}, write `signature_sources: [{repository}]` into a policy file"
            )),
            Some(_) | None => failure,
        }
    }
}

impl Verification {
    /// Reads what the arguments name.
    ///
    /// # Errors
    /// Also if there is no policy.
    pub(crate) async fn new(
        arguments: &VerificationArguments,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let loaded = policy::from_arguments(&arguments.policy, environment)?;
        let instance = trust::instance(&arguments.trust, Some(&loaded), environment)?;
        let registry = connection::registry(&arguments.registry, environment)?;
        let by_flags = loaded.file.is_none();
        let policy = loaded.policy;
        let trusted_root = instance
            .trusted_root_for(&policy, environment, registry.connection())
            .await?;
        Ok(Self {
            told: OfRefusals::new(&policy, by_flags, environment),
            policy,
            registry,
            trusted_root,
        })
    }

    /// A verifier with this registry and this trusted root.
    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.registry.clone(), self.trusted_root.clone())
    }
}
