//! What every command takes that verifies images: the flags of the policy, of the trusted root and of registries.

use clap::Args;

use super::configuration::ConfigurationArguments;
use super::policy::PolicyArguments;
use super::registry::RegistryArguments;
use super::trust::TrustArguments;

/// Who must have signed, by whose keys that is checked, and how registries are reached.
#[derive(Debug, Args)]
pub(crate) struct VerificationArguments {
    #[command(flatten)]
    pub(crate) policy: PolicyArguments,

    #[command(flatten)]
    pub(crate) trust: TrustArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}
