//! A kit whose manifests are looked at, to say what it has. What installs from a kit looks at those that it needs.

use std::collections::HashSet;

use countersign_oci::{Location, Reference};

use super::OpenKit;
use crate::arguments::registry::RegistryArguments;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::output::Output;

impl OpenKit {
    /// As [`Self::open`]. Of an image whose manifest is lost or damaged it warns, and the kit counts as one without it.
    pub(in crate::commands) async fn open_to_show(
        reference: &Reference,
        registry: &RegistryArguments,
        environment: &Environment,
        output: &Output,
    ) -> Result<Self, Failure> {
        let mut kit = Self::open(reference, registry, environment).await?;
        let layout = Location::from(kit.path.clone());
        let mut seen = HashSet::new();
        for listed in kit.registry.layout_images(&kit.path).await? {
            // Of several with one name, the first is asked for.
            let Some(name) = listed.name.filter(|name| seen.insert(name.clone())) else {
                continue;
            };
            if let Err(error) = kit.registry.child(&layout, &listed.descriptor).await {
                let why = Failure::from(error).line();
                output.warning(&format!("the kit's image {name} can't be used: {why}"));
                kit.images.remove(&name);
            }
        }
        Ok(kit)
    }
}
