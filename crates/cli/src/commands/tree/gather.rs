//! Reads an image, what it lists, and what refers to each. Each number has a limit.

use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_oci::{
    CosignTag, Descriptor, Document, INDEX_DEPTH_MAX, Manifest, Platform, Registry, ResolvedImage,
    excerpt, in_one_line,
};
use countersign_policy::{COSIGN_SIGN_PREDICATE, Policy};
use countersign_verify::{
    Attached, AttachedContent, AttachedPlace, AttachedSignature, Failure as Unproven,
    VerifiedDocument, Verifier,
};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};

use super::model::{
    TreeAttached, TreeAttachedKind, TreeImage, TreeImageKind, TreePlace, TreeVerdict, may_be_signed,
};
use super::verdict::Verdict;
use crate::failure::Failure;

/// How many manifests are looked at in one tree, besides signatures.
const MANIFESTS_MAX: usize = 256;
/// How many of what an index lists are read at the same time.
const AT_ONCE: usize = 4;
/// How deep what refers to something may itself be referred to: an SBOM may be signed.
const ARTIFACT_DEPTH_MAX: usize = 2;
/// Where BuildKit says what one of its attestations is.
const BUILDKIT_TYPE: &str = "in-toto.io/predicate-type";
/// The layers in which cosign stored attestations before bundles.
const OLD_ATTESTATION: &str = "application/vnd.dsse.envelope.v1+json";
/// The most characters of a reason.
const REASON_MAX: usize = 400;

/// By what signatures are checked.
#[derive(Clone, Copy)]
pub(super) enum Judging<'a> {
    /// By a trusted root and, if there is one, by a policy.
    ByRoot(Option<&'a Policy>),
    /// There is no trusted root, so nothing is judged. What the keys of a policy signed is shown.
    KeysOnly(Option<&'a Policy>),
}

impl<'a> Judging<'a> {
    /// The policy that judges; `None` also if there is no trusted root to judge with.
    pub(super) fn by_policy(self) -> Option<&'a Policy> {
        match self {
            Self::ByRoot(policy) => policy,
            Self::KeysOnly(_) => None,
        }
    }

    /// The policy whose keys are known, whether it judges or not.
    fn with_keys(self) -> Option<&'a Policy> {
        match self {
            Self::ByRoot(policy) | Self::KeysOnly(policy) => policy,
        }
    }

    /// Whether there is a trusted root. Only with one it is known that a signature is not genuine.
    fn has_root(self) -> bool {
        match self {
            Self::ByRoot(_) => true,
            Self::KeysOnly(_) => false,
        }
    }
}

pub(super) struct Gatherer<'a> {
    registry: &'a Registry,
    verifier: &'a Verifier,
    judging: Judging<'a>,
    /// How many more manifests may be looked at.
    left: AtomicUsize,
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        verifier: &'a Verifier,
        judging: Judging<'a>,
    ) -> Self {
        Self {
            registry,
            verifier,
            judging,
            left: AtomicUsize::new(MANIFESTS_MAX),
        }
    }

    /// An image and everything below it.
    pub(super) async fn image(&self, image: ResolvedImage) -> Result<TreeImage, Failure> {
        self.take();
        self.node(image, None, 1, None).await
    }

    /// What `verify` says of a digest, if a policy judges.
    async fn verdict(&self, image: &ResolvedImage) -> Result<Option<Verdict>, Failure> {
        let Some(policy) = self.judging.by_policy() else {
            return Ok(None);
        };
        let verdict = Verdict::of(image, self.registry, self.verifier, policy);
        Ok(Some(verdict.await?))
    }

    /// Whether one more manifest may be looked at.
    fn take(&self) -> bool {
        let one_less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        self.left.fetch_update(order, order, one_less).is_ok()
    }

    /// `above` is the proof of the index that lists it, if there is one.
    fn node<'s>(
        &'s self,
        image: ResolvedImage,
        platform: Option<&Platform>,
        depth: usize,
        above: Option<&'s VerifiedDocument>,
    ) -> BoxFuture<'s, Result<TreeImage, Failure>> {
        let platform = platform.map(ToString::to_string);
        async move {
            let verdict = self.verdict(&image).await?;
            let covered = above.and_then(|above| above.child(image.clone()).ok());
            let (attached, not_read) = self.attached(&image, verdict.as_ref(), 1).await?;
            let mut children = Vec::new();
            let mut children_not_read = 0;
            let (kind, stated_types) = match image.document() {
                Document::Manifest(manifest) => kind_of(manifest),
                Document::Index(index) => {
                    let listed = index.manifests.iter().cloned();
                    let (read, left_out): (Vec<_>, Vec<_>) =
                        listed.partition(|_| depth < INDEX_DEPTH_MAX && self.take());
                    children_not_read = left_out.len();
                    let location = image.reference().location();
                    let own = verdict.as_ref().and_then(|verdict| verdict.proof.as_ref());
                    let proof = own.or(covered.as_ref());
                    let nodes = stream::iter(read)
                        .map(|child| self.child(location, child, depth + 1, proof))
                        .buffered(AT_ONCE);
                    children = nodes.try_collect().await?;
                    (TreeImageKind::Index, Vec::new())
                }
            };
            Ok(TreeImage {
                digest: image.digest().to_string(),
                kind,
                platform,
                stated_types,
                signed: self.signed(&attached, not_read),
                accepted: verdict.as_ref().map(|verdict| verdict.accepted),
                covered: covered.is_some(),
                denied: verdict.as_ref().is_some_and(|verdict| verdict.denied),
                reason: verdict.and_then(|verdict| verdict.reason),
                attached,
                not_read,
                children,
                children_not_read,
            })
        }
        .boxed()
    }

    /// Whether a genuine signature is among what is attached. `None` if nobody knows.
    fn signed(&self, attached: &[TreeAttached], not_read: usize) -> Option<bool> {
        if attached
            .iter()
            .any(|one| one.kind == TreeAttachedKind::Signature)
        {
            return Some(true);
        }
        let is_known = if self.judging.has_root() {
            let is_read = |one: &TreeAttached| one.kind != TreeAttachedKind::Unreadable;
            not_read == 0 && attached.iter().all(is_read)
        } else {
            !may_be_signed(attached, not_read)
        };
        is_known.then_some(false)
    }

    async fn child(
        &self,
        location: &countersign_oci::Location,
        child: Descriptor,
        depth: usize,
        above: Option<&VerifiedDocument>,
    ) -> Result<TreeImage, Failure> {
        match self.registry.child(location, &child).await {
            Ok(image) => {
                let platform = child.platform.as_ref();
                self.node(image, platform, depth, above).await
            }
            Err(error) if error.is_absence() => Ok(TreeImage {
                digest: child.digest.to_string(),
                kind: TreeImageKind::Missing,
                platform: child.platform.as_ref().map(ToString::to_string),
                stated_types: Vec::new(),
                // What is attached to it was not asked for.
                signed: None,
                accepted: self.judging.by_policy().map(|_| false),
                covered: false,
                denied: false,
                reason: None,
                attached: Vec::new(),
                not_read: 0,
                children: Vec::new(),
                children_not_read: 0,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// A signature, with the reason for it. `image` is what `verify` says of the image that is signed.
    fn signature(
        &self,
        mut signature: AttachedSignature,
        manifest: String,
        place: TreePlace,
        image: Option<&Verdict>,
    ) -> TreeAttached {
        let has_root = self.judging.has_root();
        if !has_root {
            signature.verdict = None;
        }
        let why = match &signature.record {
            Err(Unproven::KeyForCertificate) if signature.verdict.is_none() => {
                let named = self
                    .judging
                    .with_keys()
                    .is_some_and(|policy| policy.keys().count() > 0);
                Some(if named {
                    "signed by another key than the one that is named"
                } else {
                    "signed by a key; name it with --key"
                })
            }
            Err(_) if !has_root => Some("there is no trusted root to check it with"),
            _ => None,
        };
        let one = one_signature(signature, manifest, place, image);
        TreeAttached {
            reason: why.map(ToOwned::to_owned).or(one.reason),
            ..one
        }
    }

    /// What refers to this manifest, and how many of these were not read.
    fn attached<'s>(
        &'s self,
        image: &'s ResolvedImage,
        verdict: Option<&'s Verdict>,
        depth: usize,
    ) -> BoxFuture<'s, Result<(Vec<TreeAttached>, usize), Failure>> {
        async move {
            let survey = self
                .verifier
                .survey(image, self.judging.with_keys())
                .await?;
            let mut all = Vec::new();
            for attached in survey.attached {
                let (manifest, place) = (attached.manifest.to_string(), place(&attached));
                match attached.content {
                    AttachedContent::Signatures(signatures) => {
                        let one =
                            |signature| self.signature(signature, manifest.clone(), place, verdict);
                        all.extend(signatures.into_iter().map(one));
                    }
                    AttachedContent::Artifact(artifact) => {
                        let mut one = one_artifact(&artifact, place);
                        if depth < ARTIFACT_DEPTH_MAX && self.take() {
                            let verdict = self.verdict(&artifact).await?;
                            let below = self.attached(&artifact, verdict.as_ref(), depth + 1);
                            (one.attached, one.not_read) = below.await?;
                        } else {
                            one.below_not_read = true;
                        }
                        all.push(one);
                    }
                    AttachedContent::Unreadable(failure) => all.push(TreeAttached {
                        reason: Some(in_one_line(&failure, REASON_MAX)),
                        ..bare(TreeAttachedKind::Unreadable, manifest, place)
                    }),
                }
            }
            Ok((all, survey.untried))
        }
        .boxed()
    }
}

fn bare(kind: TreeAttachedKind, manifest: String, place: TreePlace) -> TreeAttached {
    TreeAttached {
        kind,
        manifest,
        place,
        type_name: None,
        evidence: None,
        verdict: None,
        reason: None,
        attached: Vec::new(),
        not_read: 0,
        below_not_read: false,
    }
}

/// `image` is what `verify` says of the image that is signed.
fn one_signature(
    signature: AttachedSignature,
    manifest: String,
    place: TreePlace,
    image: Option<&Verdict>,
) -> TreeAttached {
    let AttachedSignature {
        stated_type,
        record,
        verdict,
        ..
    } = signature;
    let refusal = verdict.as_ref().and_then(|verdict| verdict.as_ref().err());
    let unproven = record.as_ref().err();
    let kind = match &record {
        Ok(evidence) if evidence.predicate_type == COSIGN_SIGN_PREDICATE => {
            TreeAttachedKind::Signature
        }
        Ok(_) => TreeAttachedKind::Attestation,
        Err(_) => TreeAttachedKind::Unproven,
    };
    TreeAttached {
        type_name: stated_type.map(|name| excerpt(&name)),
        reason: refusal
            .or(unproven)
            .map(|failure| in_one_line(failure, REASON_MAX))
            .or_else(|| image.filter(|image| image.denied)?.reason.clone()),
        evidence: record.as_ref().ok().map(Into::into),
        verdict: verdict.as_ref().map(|verdict| match verdict {
            Ok(()) => image.map_or(TreeVerdict::NotEnough, Verdict::of_a_proof),
            Err(_) => TreeVerdict::Refused,
        }),
        ..bare(kind, manifest, place)
    }
}

fn one_artifact(artifact: &ResolvedImage, place: TreePlace) -> TreeAttached {
    let names = names_of(artifact.document());
    let sbom = |name: &String| {
        let name = name.to_ascii_lowercase();
        ["spdx", "cyclonedx", "syft"]
            .iter()
            .any(|form| name.contains(form))
    };
    let kind = match place {
        TreePlace::AttestationTag => TreeAttachedKind::OldAttestation,
        TreePlace::SbomTag => TreeAttachedKind::Sbom,
        TreePlace::Referrers | TreePlace::SignatureTag => match names.iter().any(sbom) {
            true => TreeAttachedKind::Sbom,
            false if names.iter().any(|name| name == OLD_ATTESTATION) => {
                TreeAttachedKind::OldAttestation
            }
            false => TreeAttachedKind::Artifact,
        },
    };
    let name = names.iter().find(|name| sbom(name)).or(names.first());
    TreeAttached {
        type_name: name.map(|name| excerpt(name)),
        ..bare(kind, artifact.digest().to_string(), place)
    }
}

/// The types that an artifact names for itself: its own, its configuration's, and its layers'.
fn names_of(document: &Document) -> Vec<String> {
    let Document::Manifest(manifest) = document else {
        return vec![document.media_type().to_owned()];
    };
    let own = manifest.artifact_type.iter().cloned();
    let layers = manifest.layers.iter().map(|layer| layer.media_type.clone());
    let config = [manifest.config.media_type.clone()];
    own.chain(layers).chain(config).collect()
}

fn kind_of(manifest: &Manifest) -> (TreeImageKind, Vec<String>) {
    let types = manifest.layers.iter();
    let types = types.filter_map(|layer| layer.annotations.get(BUILDKIT_TYPE));
    let types: Vec<String> = types.map(|name| excerpt(name)).collect();
    if types.is_empty() {
        (TreeImageKind::Manifest, types)
    } else {
        (TreeImageKind::AttestationManifest, types)
    }
}

fn place(attached: &Attached) -> TreePlace {
    match attached.place {
        AttachedPlace::Referrer => TreePlace::Referrers,
        AttachedPlace::Tag(CosignTag::Signatures) => TreePlace::SignatureTag,
        AttachedPlace::Tag(CosignTag::Attestations) => TreePlace::AttestationTag,
        AttachedPlace::Tag(CosignTag::Sbom) => TreePlace::SbomTag,
    }
}
