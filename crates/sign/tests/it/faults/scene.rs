//! What is merged, where, and what can be seen of it afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_oci::{Digest, Document, Reference, Registry, media_type};
use countersign_sandbox::{
    BUNDLE, BundleSpec, RegistryOptions, Service, ServiceRequest, Statement,
};
use countersign_sign::{Merge, Merged, Publication, PublicationFailure, RekorVersion};
use countersign_verify::Verifier;

use crate::common::{IDENTITY, PATH, Stage, client, image, index};
use crate::merge::two;

/// The tags that are written. Before, the first names a signed image, and the second does not exist.
pub(super) const TAGS: [&str; 2] = ["v1", "latest"];
/// A run that takes longer than this hangs.
pub(super) const RUN_MAX: Duration = Duration::from_secs(120);

/// The registry and the log of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// With the referrers API, and Rekor v1.
    ReferrersApi,
    /// Without the referrers API, and Rekor v2 with a timestamp authority.
    FallbackTags,
}

impl Setting {
    pub(super) fn log(self) -> RekorVersion {
        match self {
            Self::ReferrersApi => RekorVersion::V1,
            Self::FallbackTags => RekorVersion::V2,
        }
    }

    pub(super) fn services(self) -> &'static [Service] {
        match self {
            Self::ReferrersApi => &[Service::Fulcio, Service::RekorV1],
            Self::FallbackTags => &[
                Service::Fulcio,
                Service::RekorV2,
                Service::TimestampAuthority,
            ],
        }
    }

    pub(super) fn log_service(self) -> Service {
        match self.log() {
            RekorVersion::V1 => Service::RekorV1,
            RekorVersion::V2 => Service::RekorV2,
        }
    }

    pub(super) async fn stage(self) -> Scene {
        let options = RegistryOptions {
            referrers_api: self == Self::ReferrersApi,
            ..RegistryOptions::default()
        };
        let stage = Stage::with(options).await;
        let old = image("linux/s390x");
        old.push(&stage.registry, PATH, Some(TAGS[0]));
        let spec = BundleSpec::new(Statement::of(old.digest()), IDENTITY);
        let signature = stage.signature(old.descriptor(), &spec).unwrap();
        signature.push(&stage.registry, PATH, None);
        if self == Self::FallbackTags {
            let mut listed = signature.descriptor();
            listed.artifact_type = Some(BUNDLE.into());
            let listed = serde_json::to_vec(&index(vec![listed])).unwrap();
            let tag = old.digest().to_string().replace(':', "-");
            stage
                .registry
                .put_manifest(PATH, media_type::OCI_INDEX, listed, Some(&tag));
        }
        let old = old.digest();
        let sources = stage.cached(&two());
        stage.registry.reset_requests();
        Scene {
            setting: self,
            stage,
            sources,
            old,
        }
    }
}

/// Two images to merge, and the image that the first tag names.
pub(super) struct Scene {
    pub(super) setting: Setting,
    pub(super) stage: Stage,
    pub(super) sources: Vec<Reference>,
    pub(super) old: Digest,
}

/// Why a run failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// Before anything was written.
    Planning(#[expect(dead_code, reason = "shown by a test that fails")] countersign_sign::Error),
    Publishing(Box<PublicationFailure>),
}

impl Scene {
    pub(super) async fn plan(&self, registry: &Registry) -> Result<Merge, countersign_sign::Error> {
        Merge::plan(registry, &self.sources, &BTreeMap::new()).await
    }

    /// The digest of the merged image.
    pub(super) async fn index(&self) -> Digest {
        self.plan(&client()).await.unwrap().digest().clone()
    }

    /// Merges, as a process of its own does it.
    pub(super) async fn run(&self) -> Result<Result<Merged, Failed>, String> {
        let merging = async {
            let none = BTreeMap::new();
            let plan = self.plan(&client()).await.map_err(Failed::Planning)?;
            let signer = self.stage.signer_by(self.setting.log());
            let token = self.stage.token();
            let with = Publication::new(signer, &token, &none).map_err(Failed::Planning)?;
            let tags = TAGS.map(|tag| self.stage.reference(&format!(":{tag}")));
            let published = plan.publish(&with, &tags, &|_| {}).await;
            published.map_err(|failure| Failed::Publishing(Box::new(failure)))
        };
        tokio::time::timeout(RUN_MAX, merging)
            .await
            .map_err(|_| "a run did not end".to_owned())
    }

    /// What a run says about the tags is so.
    pub(super) fn tags_are_told(
        &self,
        outcome: &Result<Merged, Failed>,
        index: &Digest,
    ) -> Result<(), String> {
        let (moved, left) = match outcome {
            Ok(merged) => (&merged.tags[..], &[][..]),
            Err(Failed::Planning(_)) => return Ok(()),
            Err(Failed::Publishing(failure)) => (&failure.moved[..], &failure.left[..]),
        };
        let named = |tag: &Reference| {
            let tag = tag.tag().unwrap_or_default();
            self.stage.registry.tagged(PATH, tag).as_ref() == Some(index)
        };
        if moved.iter().all(named) && !left.iter().any(named) {
            Ok(())
        } else {
            Err(format!("the tags are not where the run says: {outcome:?}"))
        }
    }

    /// After its first tag, a run writes only tags. So whatever is proven after the run was there when
    /// the tag was written.
    pub(super) fn tags_come_last(&self) -> Result<(), String> {
        let lines: Vec<String> = self.stage.writes();
        let is_tag = |line: &String| {
            TAGS.iter()
                .any(|tag| *line == format!("PUT /v2/{PATH}/manifests/{tag}"))
        };
        let later = lines.iter().skip_while(|line| !is_tag(line));
        let later: Vec<&String> = later.filter(|line| !is_tag(line)).collect();
        if later.is_empty() {
            Ok(())
        } else {
            Err(format!("written after a tag: {later:?}"))
        }
    }

    /// How many signatures anybody finds.
    pub(super) async fn listed(&self) -> usize {
        let mut count = 0;
        let plan = self.plan(&client()).await.unwrap();
        let images = plan.members().map(|(image, _)| image.digest().clone());
        let digests: Vec<Digest> = images.chain([plan.digest().clone()]).collect();
        for digest in digests {
            count += self.stage.listed(&digest).await.len();
        }
        count
    }

    /// How many entries the log was asked for, and answered.
    pub(super) fn logged(&self) -> usize {
        let requests = self.stage.sigstore.requests().into_iter();
        let of_log = |request: &ServiceRequest| {
            request.service == self.setting.log_service() && request.method == "POST"
        };
        requests.filter(of_log).count()
    }

    /// The image that a tag names is signed, with all that it lists, for a client that has seen nothing.
    pub(super) async fn verify(&self, tag: &str) -> Result<(), String> {
        let registry = client();
        let verifier = Verifier::new(registry.clone(), self.stage.trusted_root());
        let policy = self.stage.policy(|_| {});
        let refused = |error: &dyn std::fmt::Debug| format!("{tag} is not signed: {error:?}");
        let tagged = self.stage.reference(&format!(":{tag}"));
        let image = registry.resolve(&tagged).await.map_err(|e| refused(&e))?;
        let mut images = vec![image.clone()];
        if let Document::Index(index) = image.document() {
            for child in &index.manifests {
                let location = image.reference().location();
                let child = registry.child(location, child).await;
                images.push(child.map_err(|e| refused(&e))?);
            }
        }
        for image in images {
            let verified = verifier.verify(&image, &policy).await;
            let _proof = verified.map_err(|e| refused(&e))?;
        }
        Ok(())
    }
}
