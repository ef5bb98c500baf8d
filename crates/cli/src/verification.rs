//! What images are verified with, by arguments and environment: policy, registry and trusted root.

use countersign_oci::Registry;
use countersign_policy::Policy;
use countersign_verify::{TrustedRoot, Verifier};

use crate::arguments::verification::VerificationArguments;
use crate::connection;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::policy;
use crate::trust;

/// What images are verified with.
pub(crate) struct Verification {
    pub(crate) policy: Policy,
    pub(crate) registry: Registry,
    pub(crate) trusted_root: TrustedRoot,
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
        let policy = loaded.policy;
        let trusted_root = instance
            .trusted_root_for(&policy, environment, registry.connection())
            .await?;
        Ok(Self {
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
