//! The installer: its clients and limits, and how it resolves and admits images. `carry_out` does the
//! rest.

use std::sync::{Arc, OnceLock};

use countersign_oci::{
    AddressLimit, Document, Options, Platform, Reference, Registry, ResolvedImage,
};
use countersign_policy::Policy;
use countersign_verify::verify_platform_ahead;

use crate::admitted::{AdmittedImage, ImageVerifier, UnverifiedPermit};
use crate::error::Error;
use crate::events::{Event, Events};
use crate::http::{Http, shown};
use crate::layer_cache::LayerCache;
use crate::limited::{options_within, registry_within};
use crate::limits::Limits;
use crate::source::Tarball;

/// Is told which manifest was selected, before anything proves it.
pub(crate) type Selected<'a> = &'a (dyn Fn(&ResolvedImage) + Send + Sync);

/// Installs images that a verifier admits.
pub struct Installer<V> {
    registry: Registry,
    verifier: Option<Arc<V>>,
    limits: Limits,
    layers: Option<LayerCache>,
    connection: Options,
    // Set up when the first tarball is asked for.
    http: OnceLock<Http>,
}

impl<V: ImageVerifier> Installer<V> {
    /// An installer with the default [`Limits`].
    pub fn new(registry: Registry, verifier: V) -> Self {
        Self::with_or_without(registry, Some(verifier))
    }

    /// An installer without a verifier: it refuses every plan that requires a signature.
    pub fn without_verifier(registry: Registry) -> Self {
        Self::with_or_without(registry, None)
    }

    fn with_or_without(registry: Registry, verifier: Option<V>) -> Self {
        Self {
            registry,
            verifier: verifier.map(Arc::new),
            limits: Limits::default(),
            layers: None,
            connection: Options::default(),
            http: OnceLock::new(),
        }
    }

    /// The same, with these options for tarballs, which are in no registry. Proxy and exceptions from
    /// it, extra roots, user agent, timeouts, retries and the number of redirects are taken from
    /// `connection`; logins are not.
    #[must_use]
    pub fn with_connection(self, connection: Options) -> Self {
        Self {
            connection,
            http: OnceLock::new(),
            ..self
        }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The same with layers that were kept. What is fetched from a registry is kept there, too. By default no layer is
    /// kept.
    #[must_use]
    pub fn with_layer_cache(self, layers: LayerCache) -> Self {
        Self {
            layers: Some(layers),
            ..self
        }
    }

    /// An installer for sources that an index from a server names. None of them may have an address
    /// that is further inside than the limit, also after its name is resolved. The verifier has no such limit: the
    /// user's policy says where it looks, and it asks an image's registry only after that was asked
    /// here.
    pub(crate) fn within(&self, limit: &AddressLimit) -> Result<Self, Error> {
        Ok(Self {
            registry: registry_within(&self.registry, limit.clone())?,
            verifier: self.verifier.clone(),
            limits: self.limits.clone(),
            layers: self.layers.clone(),
            connection: options_within(&self.connection, limit.clone()),
            http: OnceLock::new(),
        })
    }

    /// Resolves `reference`. After this nothing is asked for by tag.
    pub(crate) async fn resolve(
        &self,
        reference: &Reference,
        events: Events<'_>,
    ) -> Result<ResolvedImage, Error> {
        let resolved = self.registry.resolve(reference).await?;
        events(Event::Resolved {
            digest: resolved.digest().clone(),
        });
        Ok(resolved)
    }

    /// Verifies the resolved image, without fetching any content.
    ///
    /// The index is asked about first; only a refusal of its signatures, and no other error, lets
    /// the platform's manifest be asked about. An index that the policy denies ends it.
    pub(crate) async fn admit_resolved(
        &self,
        resolved: ResolvedImage,
        platform: &Platform,
        policy: &Policy,
        selected: Selected<'_>,
        events: Events<'_>,
    ) -> Result<AdmittedImage, Error> {
        let verifier = self.verifier.as_deref().ok_or_else(|| Error::NoVerifier {
            image: resolved.reference().clone(),
        })?;
        let verified = verify_platform_ahead(
            &self.registry,
            verifier,
            &resolved,
            platform,
            policy,
            selected,
        );
        // Its configuration is compared with the platform when that is there, before any layer is unpacked.
        let image = AdmittedImage::new(verified.await?.not_yet_compared())?;
        if let Some(evidence) = image.grounds().evidence() {
            events(Event::Verified {
                digest: evidence.digest.clone(),
            });
        }
        Ok(image)
    }

    /// Admits what was resolved unverified, in `platform`'s build, by a permit for its digest.
    pub(crate) async fn admit_unverified(
        &self,
        permit: UnverifiedPermit,
        resolved: &ResolvedImage,
        platform: &Platform,
    ) -> Result<AdmittedImage, Error> {
        let selected = match resolved.document() {
            Document::Manifest(_) => None,
            Document::Index(_) => Some(self.registry.select(resolved, platform).await?),
        };
        AdmittedImage::unverified(permit, resolved, selected.as_ref())
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn layers(&self) -> Option<&LayerCache> {
        self.layers.as_ref()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What reaches `tarball`.
    ///
    /// # Errors
    /// Where everything is read from a layout: then no server is asked.
    pub(crate) fn http(&self, tarball: &Tarball) -> Result<&Http, Error> {
        let options = [self.registry.connection().options(), &self.connection];
        let mut layouts = options.iter().map(|one| &one.instead_of_registries);
        if let Some(layout) = layouts.find_map(Option::as_ref) {
            return Err(Error::NotInLayout {
                location: shown(tarball.url()),
                layout: layout.clone(),
            });
        }
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = Http::new(self.connection.clone())?;
        Ok(self.http.get_or_init(|| http))
    }
}
