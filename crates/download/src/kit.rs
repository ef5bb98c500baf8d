//! Kits: galleries, their images, the trusted root and the policies, in one image layout.
//!
//! A kit is a manifest in the layout that the images are in. Its layers are the file of galleries, the keys that this
//! names, each gallery's index, the trusted root and a lock file. All are found by the manifest's digest, so who knows
//! that digest knows all of them. Without it, a kit is believed as a file of galleries is.

use std::collections::BTreeMap;

use countersign_oci::{
    Descriptor, Digest, Document, Error, LayoutDraft, LayoutPath, ListedAs, Location,
    ManifestError, Registry, ResolvedImage, media_type,
};
use serde_json::json;

/// By this name a layout lists its kit.
const NAME: &str = "countersign-kit";
const ARTIFACT_TYPE: &str = "application/vnd.countersign.kit.v1+json";
const GALLERIES: &str = "application/vnd.countersign.galleries.v1+yaml";
const KEY: &str = "application/vnd.countersign.key.v1+pem";
const INDEX: &str = "application/vnd.countersign.gallery-index.v1+yaml";
const TRUSTED_ROOT: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const LOCK: &str = "application/vnd.countersign.lock.v1+yaml";
/// The annotation with a layer's name (OCI image specification, "Pre-Defined Annotation Keys").
const TITLE: &str = "org.opencontainers.image.title";
/// The largest document of a kit, in bytes: 64 MiB.
const DOCUMENT_BYTES: u64 = 64 << 20;
/// All of them together: 256 MiB. They are held in memory.
const KIT_BYTES: u64 = 256 << 20;
/// How many documents a kit has at most.
const DOCUMENTS: usize = 1_000;

/// What a kit has beside its images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kit {
    /// The file of galleries.
    pub galleries: String,
    /// Keys that the file names, by the paths that it names them by.
    pub keys: BTreeMap<String, String>,
    /// The indexes of galleries, by the galleries' names.
    pub indexes: BTreeMap<String, String>,
    /// The trusted root that all its policies are judged with; `None` if they need none.
    pub trusted_root: Option<String>,
    /// The lock file that the images were chosen by.
    pub lock: Option<String>,
}

impl Kit {
    /// Reads the kit that a layout lists, or the one with this digest. `None` if the layout lists none, or the
    /// digest is that of something else.
    ///
    /// # Errors
    /// [`Error::Layout`]; [`Error::Manifest`], if it is not a kit; [`Error::Limit`].
    pub async fn read(
        registry: &Registry,
        path: &LayoutPath,
        digest: Option<&Digest>,
    ) -> Result<Option<Self>, Error> {
        let location = Location::from(path.clone());
        let manifest = match digest {
            Some(digest) => Some(registry.manifest(&location.at(digest.clone())).await?),
            None => match registry.layout_tagged(path, NAME).await {
                Err(error) if error.is_absence() => None,
                found => Some(found?),
            },
        };
        match manifest {
            Some(manifest) => Self::of(registry, &location, &manifest).await,
            None => Ok(None),
        }
    }

    /// The digest of the kit that a layout lists. `None` if it lists none.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn listed(registry: &Registry, path: &LayoutPath) -> Result<Option<Digest>, Error> {
        match registry.layout_tagged(path, NAME).await {
            Err(error) if error.is_absence() => Ok(None),
            found => Ok(Some(found?.digest().clone())),
        }
    }

    async fn of(
        registry: &Registry,
        location: &Location,
        image: &ResolvedImage,
    ) -> Result<Option<Self>, Error> {
        let wrong = |found: &str| Error::Manifest {
            what: format!("the kit {}", image.reference()),
            source: ManifestError::Unknown {
                found: found.to_owned(),
            },
        };
        let Document::Manifest(manifest) = image.document() else {
            return Ok(None);
        };
        if manifest.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            return Ok(None);
        }
        let parts = parts(&manifest.layers).map_err(|found| wrong(&found))?;
        let mut kit = Self::default();
        for (part, layer) in parts {
            let bytes = registry.blob(location, layer, DOCUMENT_BYTES).await?;
            let text = String::from_utf8(bytes.into())
                .map_err(|_| wrong("a document that is not UTF-8"))?;
            match part {
                Part::Galleries => kit.galleries = text,
                Part::Key(name) => {
                    kit.keys.insert(name.to_owned(), text);
                }
                Part::Index(name) => {
                    kit.indexes.insert(name.to_owned(), text);
                }
                Part::TrustedRoot => kit.trusted_root = Some(text),
                Part::Lock => kit.lock = Some(text),
            }
        }
        Ok(Some(kit))
    }

    /// Writes the kit into the layout with its images, which is to list it. Returns its digest.
    ///
    /// # Errors
    /// [`Error::Layout`].
    pub async fn write(&self, draft: &LayoutDraft) -> Result<Digest, Error> {
        let empty = b"{}".as_slice();
        let config = Descriptor::of(media_type::EMPTY, empty);
        draft.put(&config.digest, empty.into()).await?;
        let mut layers = Vec::new();
        for (kind, title, text) in self.documents() {
            let descriptor = Descriptor {
                annotations: BTreeMap::from([(TITLE.to_owned(), title.to_owned())]),
                ..Descriptor::of(kind, text.as_bytes())
            };
            draft
                .put(&descriptor.digest, text.to_owned().into())
                .await?;
            layers.push(descriptor);
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": config,
            "layers": layers,
        });
        let location = Location::from(draft.path().clone());
        let bytes = manifest.to_string().into();
        let image = ResolvedImage::from_bytes(&location, bytes, Some(media_type::OCI_MANIFEST))
            .map_err(|source| Error::Manifest {
                what: format!("the kit of {location}"),
                source,
            })?;
        draft.put_document(&image).await?;
        let turn = draft.turn().await;
        turn.list(&image, media_type::OCI_MANIFEST, ListedAs::Tag(NAME));
        turn.stage()?;
        turn.accept().await?;
        Ok(image.digest().clone())
    }

    /// Kinds, names and texts, in a fixed order.
    fn documents(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let galleries = [(GALLERIES, "galleries.yaml", self.galleries.as_str())];
        let keys = self
            .keys
            .iter()
            .map(|(name, text)| (KEY, name.as_str(), text.as_str()));
        let indexes = self
            .indexes
            .iter()
            .map(|(name, text)| (INDEX, name.as_str(), text.as_str()));
        let root = self.trusted_root.iter();
        let root = root.map(|text| (TRUSTED_ROOT, "trusted_root.json", text.as_str()));
        let lock = self.lock.iter();
        let lock = lock.map(|text| (LOCK, "countersign.lock", text.as_str()));
        galleries
            .into_iter()
            .chain(keys)
            .chain(indexes)
            .chain(root)
            .chain(lock)
    }
}

/// A document of a kit. Keys and indexes have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Galleries,
    Key(&'a str),
    Index(&'a str),
    TrustedRoot,
    Lock,
}

impl<'a> Part<'a> {
    /// `None` for something else: a later version may add to a kit.
    fn of(layer: &'a Descriptor) -> Option<Self> {
        let title = layer.annotations.get(TITLE).map_or("", String::as_str);
        match layer.media_type.as_str() {
            GALLERIES => Some(Self::Galleries),
            KEY => Some(Self::Key(title)),
            INDEX => Some(Self::Index(title)),
            TRUSTED_ROOT => Some(Self::TrustedRoot),
            LOCK => Some(Self::Lock),
            _ => None,
        }
    }
}

/// The documents of a kit, each once, before any of them is read. The error says what was found instead.
fn parts(layers: &[Descriptor]) -> Result<BTreeMap<Part<'_>, &Descriptor>, String> {
    let mut parts = BTreeMap::new();
    for layer in layers {
        let Some(part) = Part::of(layer) else {
            continue;
        };
        if let Part::Key("") | Part::Index("") = part {
            return Err(format!(
                "a kit with a document without a name, {}",
                layer.digest
            ));
        }
        if parts.insert(part, layer).is_some() {
            return Err(format!(
                "a kit that has one document twice, {}",
                layer.digest
            ));
        }
    }
    if parts.len() > DOCUMENTS {
        return Err(format!("a kit with more than {DOCUMENTS} documents"));
    }
    let sizes = parts.values().map(|layer| layer.size);
    if sizes.fold(0, u64::saturating_add) > KIT_BYTES {
        return Err(format!(
            "a kit with documents of more than {KIT_BYTES} bytes"
        ));
    }
    if !parts.contains_key(&Part::Galleries) {
        return Err("a kit without galleries".to_owned());
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: &str, title: &str, size: u64) -> Descriptor {
        Descriptor {
            annotations: BTreeMap::from([(TITLE.to_owned(), title.to_owned())]),
            size,
            ..Descriptor::of(kind, title.as_bytes())
        }
    }

    fn refused(more: Vec<Descriptor>) -> String {
        let layers = [vec![layer(GALLERIES, "", 1)], more].concat();
        let found = parts(&layers).unwrap_err();
        found.split(", sha").next().unwrap().to_owned()
    }

    #[test]
    fn a_kit_has_each_of_its_documents_once_and_one_bound_for_all() {
        let many = (0..DOCUMENTS).map(|at| layer(INDEX, &at.to_string(), 1));
        assert_eq!(
            refused(many.collect()),
            "a kit with more than 1000 documents"
        );
        let large = ["a", "b", "c", "d"].map(|name| layer(INDEX, name, DOCUMENT_BYTES));
        let too_large = "a kit with documents of more than 268435456 bytes";
        assert_eq!(refused(large.to_vec()), too_large);
        let endless = ["a", "b"].map(|name| layer(KEY, name, u64::MAX));
        assert_eq!(refused(endless.to_vec()), too_large);
        for kind in [GALLERIES, KEY, INDEX, TRUSTED_ROOT, LOCK] {
            let twice = [layer(kind, "a", 1), layer(kind, "a", 1)];
            assert_eq!(refused(twice.to_vec()), "a kit that has one document twice");
        }
        for kind in [KEY, INDEX] {
            let nameless = vec![layer(kind, "", 1)];
            assert_eq!(refused(nameless), "a kit with a document without a name");
        }
        assert_eq!(
            parts(&[layer(LOCK, "", 1)]).unwrap_err(),
            "a kit without galleries"
        );
    }

    #[test]
    fn what_a_later_version_adds_is_not_even_looked_at() {
        let later = layer("application/vnd.countersign.later", "", u64::MAX);
        let layers = [layer(GALLERIES, "", 1), later];
        let parts = parts(&layers).unwrap();
        assert_eq!(parts.into_keys().collect::<Vec<_>>(), [Part::Galleries]);
    }
}
