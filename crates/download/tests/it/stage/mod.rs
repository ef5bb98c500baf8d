//! A registry, a Sigstore and a directory to install into, for tests that go all the way.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use countersign_download::{
    Error, Event, ImageVerifier, InstallRequest, Installed, Installer, Limits, Outcome, Plan,
    PlanFailure,
};
use countersign_oci::{Options, Platform, Reference, Registry, Retries};
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::image::{Compression, Image, ImageBuilder, ImageIndex, Layer};
use countersign_sandbox::{RekorVersion, Scene};
use countersign_sign::{Existing, IdentityToken, Services, Signer};
use countersign_verify::{TrustedRoot, Verifier};

pub(crate) const SIGNER: &str =
    "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1";
pub(crate) const STRANGER: &str =
    "https://github.com/example/app-evil/.github/workflows/release.yml@refs/tags/v1";

pub(crate) struct Stage {
    scene: Scene,
    pub(crate) client: Registry,
    directory: tempfile::TempDir,
}

impl Deref for Stage {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let retries = Retries {
            times: 1,
            pause: Duration::from_millis(1),
            ..Default::default()
        };
        let client = Registry::new(Options {
            retries,
            ..Default::default()
        });
        Self {
            scene: Scene::start().await.unwrap(),
            client: client.unwrap(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// `app:v1`, an index of [`app`] for two platforms, signed by [`SIGNER`] with all its children.
    pub(crate) async fn set_with_signed_app() -> (Self, ImageIndex) {
        let stage = Self::set().await;
        let index = ImageIndex::new(vec![app("linux/amd64", "v1"), app("linux/arm64", "v1")]);
        index.push(&stage.registry, "app", Some("v1"));
        stage.sign("app:v1", SIGNER).await;
        (stage, index)
    }

    /// Signs what `name` refers to and everything below it.
    pub(crate) async fn sign(&self, name: &str, identity: &str) {
        let services = Services {
            fulcio: self.sigstore.fulcio_url(),
            rekor: self.sigstore.rekor_url(RekorVersion::V1),
            rekor_version: countersign_sign::RekorVersion::V1,
            tsa: None,
            oidc_issuer: None,
        };
        let signer = Signer::new(self.client.clone(), &services, self.trusted_root()).unwrap();
        let signer = signer.with_existing(Existing::SignAgain);
        let token = IdentityToken::from_jwt(&self.sigstore.token(identity)).unwrap();
        let reference = self.reference(name);
        let image = self.client.resolve(&reference).await.unwrap();
        let reference = reference.pinned_to(image.digest().clone());
        let (references, annotations) = ([reference], BTreeMap::new());
        let signed = signer.sign(&references, &token, &annotations, &|_| {});
        signed.await.unwrap();
        self.registry.reset_requests();
    }

    pub(crate) fn reference(&self, name: &str) -> Reference {
        self.registry.reference(name).unwrap()
    }

    pub(crate) fn spec(&self) -> PolicySpec {
        PolicySpec {
            issuer: Some(self.sigstore.issuer()),
            identity: Some(SIGNER.into()),
            ..Default::default()
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.spec().try_into().unwrap()
    }

    pub(crate) fn verifier(&self) -> Verifier {
        Verifier::new(self.client.clone(), self.trusted_root())
    }

    pub(crate) fn installer(&self) -> Installer<Verifier> {
        Installer::new(self.client.clone(), self.verifier())
    }

    pub(crate) async fn install(&self, name: &str) -> Result<Installed, Error> {
        self.install_by(&self.policy(), Limits::default(), name, &|_| {})
            .await
    }

    pub(crate) async fn install_by(
        &self,
        policy: &Policy,
        limits: Limits,
        name: &str,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Installed, Error> {
        let installer = self.installer().with_limits(limits);
        match self.carry_out(&installer, policy, name, events).await {
            Ok(Outcome::Installed { installed, .. }) => Ok(*installed),
            Ok(other) => panic!("expected an installation, found {other:?}"),
            Err(failure) => Err(failure.into_decisive().unwrap()),
        }
    }

    /// Installs the image `name` by itself.
    pub(crate) async fn carry_out<V: ImageVerifier>(
        &self,
        installer: &Installer<V>,
        policy: &Policy,
        name: &str,
        events: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Outcome, PlanFailure> {
        let plan = Plan::of_image(self.reference(name), policy.clone());
        let platform = amd64();
        let request = InstallRequest::new(&plan, &platform).with_events(events);
        installer.install(request, &self.target()).await
    }

    /// The error of an installation that must leave nothing.
    pub(crate) async fn refusal(&self, name: &str) -> Error {
        let error = self.install(name).await.unwrap_err();
        assert_eq!(self.names(), [""; 0]);
        error
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.directory.path().join("app")
    }

    /// A path beside the target.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.target().join(path)).unwrap()
    }

    /// What there is beside and at the target.
    pub(crate) fn names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    /// The requests to the registry for manifests and blobs, as `GET manifests/v1`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.registry.requests();
        let lines = requests.iter().map(|request| {
            let path = request.path.strip_prefix("/v2/app/");
            format!("{} {}", request.method, path.unwrap_or(&request.path))
        });
        lines.collect()
    }

    fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot::from_json("the sandbox", &self.sigstore.trusted_root_json()).unwrap()
    }
}

pub(crate) fn amd64() -> Platform {
    "linux/amd64".parse().unwrap()
}

/// An image of two layers, of which the upper has `version` in the file `version`.
pub(crate) fn app(platform: &str, version: &str) -> Image {
    image(platform)
        .layer(layer(Compression::Zstd, "version", version))
        .build()
}

/// An image of one layer, to be continued.
pub(crate) fn image(platform: &str) -> ImageBuilder {
    Image::builder(platform.parse().unwrap()).layer(layer(Compression::Gzip, "base", platform))
}

pub(crate) fn layer(compression: Compression, path: &str, content: &str) -> Layer {
    Layer::builder()
        .file(path, content, 0o644)
        .build(compression)
}
