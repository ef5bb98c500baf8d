//! A primary registry, a mirror, a gallery of images in them, and a store, for tests of plans that
//! are carried out.

use std::fs;
use std::path::PathBuf;

use countersign_download::{
    Capability, Downgrade, Durability, Error, FallbackTags, InstallOptions, InstallRequest,
    Installed, Integrity, Origin, Outcome, Plan, PlanFailure, Planner, PrivateAddresses,
    RemoveOptions, Role, Store, StoreError, WhenBusy, WhenSame,
};
use countersign_oci::{Descriptor, Digest};
use countersign_policy::{Gallery, GalleryIndex, PolicyFile};
use countersign_sandbox::image::Image;
use countersign_sandbox::{BundleSpec, Effect, Fault, RegistryOptions, RegistryServer, Statement};
use countersign_verify::{Error as VerifyError, RefusalKind};

use crate::stage::{SIGNER, Stage, amd64, app};

/// The repository of all images, on the primary and on the mirror.
pub(crate) const PATH: &str = "acme/backends";
/// A signature's age, for what has to have an order.
pub(crate) const EARLIER: &str = "2024-01-01T00:00:00Z";
pub(crate) const LATER: &str = "2025-01-01T00:00:00Z";

/// Lets an older image replace a newer one.
pub(crate) const ALLOW_OLDER: InstallOptions = InstallOptions {
    downgrade: Downgrade::Allow,
    same: WhenSame::Keep,
    busy: WhenBusy::Fail,
    durability: Durability::None,
};

/// A primary registry and a mirror, a gallery of images in them, and a store.
pub(crate) struct Shop {
    pub(crate) stage: Stage,
    pub(crate) mirror: RegistryServer,
    pub(crate) store: Store,
    pub(crate) root: tempfile::TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let root = tempfile::tempdir().unwrap();
        let options = RegistryOptions {
            referrers_api: true,
            ..Default::default()
        };
        Self {
            stage: Stage::set().await,
            mirror: RegistryServer::start(options).await.unwrap(),
            store: Store::new(root.path().join("store")),
            root,
        }
    }

    /// With `latest-cpu-app` at version `v1`, on both registries.
    pub(crate) async fn open_with_app() -> (Self, Image) {
        let shop = Self::open().await;
        let image = app("linux/amd64", "v1");
        shop.publish(&image, "latest-cpu-app", SIGNER, EARLIER);
        shop.publish_to(&shop.mirror, &image, "latest-cpu-app", SIGNER, EARLIER);
        (shop, image)
    }

    pub(crate) fn primary(&self) -> &RegistryServer {
        &self.stage.registry
    }

    pub(crate) fn publish(&self, image: &Image, tag: &str, identity: &str, time: &str) -> Digest {
        self.publish_to(self.primary(), image, tag, identity, time)
    }

    pub(crate) fn publish_to(
        &self,
        registry: &RegistryServer,
        image: &Image,
        tag: &str,
        identity: &str,
        time: &str,
    ) -> Digest {
        let time = time.parse().unwrap();
        let published = self
            .stage
            .publish_to(registry, image, PATH, tag, identity, time);
        published.unwrap()
    }

    /// Puts a signature of `subject` into the registries.
    pub(crate) fn sign(
        &self,
        registries: &[&RegistryServer],
        subject: Descriptor,
        statement: Statement,
        identity: &str,
        time: &str,
    ) {
        let spec = BundleSpec::new(statement, identity).signed_at(time.parse().unwrap());
        self.put_bundle(registries, subject, &spec);
    }

    /// Puts this signature of `subject` into the registries.
    pub(crate) fn put_bundle(
        &self,
        registries: &[&RegistryServer],
        subject: Descriptor,
        spec: &BundleSpec,
    ) {
        let signature = self.stage.signature(subject, spec).unwrap();
        for registry in registries {
            signature.push(registry, PATH, None);
        }
    }

    pub(crate) fn gallery(&self) -> Gallery {
        gallery(&self.stage.gallery("file:index.yaml", SIGNER))
    }

    /// Entries `cpu-NAME` whose primary and mirror have the tag `latest-cpu-NAME`.
    pub(crate) fn plan(&self, name: &str) -> Plan {
        let (primary, mirror) = (self.primary().host(), self.mirror.host());
        let tag = format!("{PATH}:latest-{name}");
        let text = format!(
            "[{{name: {name}, uri: 'oci://{primary}/{tag}', mirrors: ['{mirror}/{tag}']}}]"
        );
        plan(&self.gallery(), &text, name, Integrity::Strict).unwrap()
    }

    pub(crate) async fn install(&self, name: &str) -> Result<Outcome, StoreError> {
        self.install_by(&self.plan(name), InstallOptions::default())
            .await
    }

    pub(crate) async fn install_by(
        &self,
        plan: &Plan,
        options: InstallOptions,
    ) -> Result<Outcome, StoreError> {
        let (installer, platform) = (self.stage.installer(), amd64());
        let request = InstallRequest::new(plan, &platform).with_options(options);
        self.store.install(&installer, request).await
    }

    pub(crate) async fn installed(&self, name: &str) -> Box<Installed> {
        installed(self.install(name).await)
    }

    /// Removes what must be there.
    pub(crate) async fn remove(&self, name: &str) {
        let (name, options) = (name.parse().unwrap(), RemoveOptions::default());
        let removed = self.store.remove(&name, options, &|_| {});
        removed.await.unwrap();
    }

    /// The failure of an installation that must change nothing.
    pub(crate) async fn failure(&self, name: &str) -> PlanFailure {
        self.failure_of(&self.plan(name)).await
    }

    pub(crate) async fn failure_of(&self, plan: &Plan) -> PlanFailure {
        let before = self.version(plan.name());
        let result = self.install_by(plan, InstallOptions::default()).await;
        assert_eq!(self.version(plan.name()), before);
        assert_eq!(self.leftovers(), [""; 0]);
        match result {
            Err(StoreError::Plan(failure)) => failure,
            other => panic!("expected a failure, found {other:?}"),
        }
    }

    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.store.directory(&name.parse().unwrap())
    }

    pub(crate) fn version(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.directory(name).join("version")).ok()
    }

    /// What there is in the store besides installations.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path().join("store")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Makes a registry answer every request so.
    pub(crate) fn fail(registry: &RegistryServer, status: u16) {
        let pattern = format!("* /v2/{PATH}/*");
        registry.add_fault(Fault::on(&pattern, Effect::status(status)));
    }
}

pub(crate) fn gallery(text: &str) -> Gallery {
    PolicyFile::parse(text, "galleries.yaml")
        .unwrap()
        .galleries()[0]
        .clone()
}

pub(crate) fn plan(
    gallery: &Gallery,
    index: &str,
    name: &str,
    integrity: Integrity,
) -> Result<Plan, countersign_download::PlanError> {
    let planner = Planner {
        gallery,
        index: &GalleryIndex::parse(index, "index.yaml").unwrap(),
        location: &"file:index.yaml".parse().unwrap(),
        origin: Origin::File,
        capability: &Capability::default(),
        integrity,
        fallbacks: &FallbackTags::localai(),
        private_addresses: PrivateAddresses::Refuse,
    };
    planner.plan(name)
}

pub(crate) fn installed(result: Result<Outcome, StoreError>) -> Box<Installed> {
    match result.unwrap() {
        Outcome::Installed { installed, .. } => installed,
        other => panic!("expected an installation, found {other:?}"),
    }
}

pub(crate) fn served(installed: &Installed) -> (Role, usize) {
    let provenance = installed.provenance.as_ref().unwrap();
    (provenance.role, provenance.skipped.len())
}

pub(crate) fn is_refused(error: Option<&Error>, kind: RefusalKind) -> bool {
    matches!(error, Some(Error::Verify(VerifyError::Refused(refusal))) if refusal.kind() == kind)
}
