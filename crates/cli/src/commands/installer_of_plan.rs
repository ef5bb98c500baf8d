//! What installs an entry: the way to its content, and who is trusted to have signed it.

use countersign_download::{Installer, Plan};
use countersign_oci::excerpt;
use countersign_verify::Verifier;

use super::store_installer::{Planned, StoreInstaller};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::policy::LoadedPolicy;
use crate::trust;

impl StoreInstaller {
    /// Refuses a plan whose content a kit can't have, where all is read from one.
    pub(super) fn require_in_kit(&self, plan: &Plan) -> Result<(), Failure> {
        let mut sources = plan.sources().iter().map(|planned| &planned.source);
        let other = sources.find(|source| source.reference().is_none());
        match (&self.kit, other) {
            (Some(_), Some(other)) => {
                let (name, kind) = (plan.name(), other.kind());
                let message = format!("`{name}`: a kit has only images, found {kind}");
                Err(Failure::new(Kind::NotFound, message).hint("install it without --from"))
            }
            (None, _) | (Some(_), None) => Ok(()),
        }
    }

    /// What installs it.
    pub(super) async fn installer(
        &self,
        planned: &Planned,
        environment: &Environment,
    ) -> Result<Installer<Verifier>, Failure> {
        let registry = self.registry.clone();
        let installer = match self.verifier(planned, environment).await? {
            Some(verifier) => Installer::new(registry, verifier),
            None => Installer::without_verifier(registry),
        };
        let installer = installer
            .with_connection(self.connection.clone())
            .with_limits(self.limits.clone());
        Ok(match self.layers.clone() {
            Some(layers) => installer.with_layer_cache(layers),
            None => installer,
        })
    }

    /// The verifier for an entry. Where its plan requires no signature there is nothing to
    /// verify, and the trusted root is not asked for.
    async fn verifier(
        &self,
        planned: &Planned,
        environment: &Environment,
    ) -> Result<Option<Verifier>, Failure> {
        let Planned { plan, file, .. } = planned;
        let Some(policy) = plan.requirement().policy() else {
            return Ok(None);
        };
        let loaded = LoadedPolicy {
            policy: policy.clone(),
            file: file.clone(),
        };
        // Whoever brings their own gallery file decides by it who is trusted: then the kit's root is not used.
        let kit_decides = file.is_none() && !self.trust.name_an_instance();
        let trusted_root = match &self.kit {
            Some(kit) if kit_decides => kit.trusted_root(policy)?,
            _ => {
                let instance = trust::instance(&self.trust, Some(&loaded), environment)?;
                let connection = self.registry.connection();
                let root = instance.trusted_root_for(policy, environment, connection);
                root.await.map_err(|failure| of_entry(failure, plan))?
            }
        };
        Ok(Some(Verifier::new(self.registry.clone(), trusted_root)))
    }
}

/// The failure of an entry's trusted root, which names the entry. That nobody knows the root now is told once for all.
fn of_entry(failure: Failure, plan: &Plan) -> Failure {
    if failure.is_of_absent_root() {
        failure
    } else {
        failure.also(format!("`{}` was not looked at", excerpt(plan.name())))
    }
}
