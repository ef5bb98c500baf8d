//! Signatures in cosign's legacy form.

use std::collections::BTreeMap;
use std::sync::Mutex;

use countersign_oci::{Digest, Document, Reference, Registry, ResolvedImage};
use countersign_policy::{PolicySpec, SignatureFormat};
use countersign_sandbox::RegistryOptions;
use countersign_sandbox::image::Image;
use countersign_sign::{
    Error, RekorVersion, Signed, Signer, SigningEvent, SigningOutcome, Tags, WrittenFormats,
};
use countersign_verify::Verifier;

use crate::common::{Stage, client, client_pausing};

impl Stage {
    async fn signed_as(&self, formats: WrittenFormats) -> Result<Vec<Signed>, Error> {
        let signer = self.signer_by(RekorVersion::V1).with_formats(formats);
        self.sign_with(&signer).await
    }

    /// The manifest with the legacy signatures of an image.
    async fn signatures(&self, digest: &Digest) -> Option<ResolvedImage> {
        let tag = self.reference(&format!(":sha256-{}.sig", digest.hex()));
        client().resolve(&tag).await.ok()
    }

    async fn layers(&self, digest: &Digest) -> usize {
        match self.signatures(digest).await.unwrap().document() {
            Document::Manifest(manifest) => manifest.layers.len(),
            Document::Index(index) => panic!("{index:?}"),
        }
    }

    pub(crate) async fn accepts(&self, digest: &Digest, format: SignatureFormat) -> bool {
        let registry = client();
        let image = self.reference(":v1").pinned_to(digest.clone());
        let image = registry.resolve(&image).await.unwrap();
        let policy = self.policy(|spec| {
            spec.bind_name = true;
            spec.signature_formats = vec![format.as_str().to_owned()];
        });
        let verifier = Verifier::new(registry, self.trusted_root());
        verifier.verify(&image, &policy).await.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_that_is_written_is_accepted_and_no_other() {
    for (formats, bundle, simple) in [
        (WrittenFormats::Bundle, true, false),
        (WrittenFormats::SimpleSigning, false, true),
        (WrittenFormats::Both, true, true),
    ] {
        let stage = Stage::new().await;
        let index = stage.two_platforms();
        let signed = stage.signed_as(formats).await.unwrap();
        assert_eq!(signed.len(), 3 * formats.each().len());
        let mut digests: Vec<Digest> = index.images().iter().map(Image::digest).collect();
        digests.push(index.digest());
        for digest in &digests {
            assert_eq!(stage.accepts(digest, SignatureFormat::Bundle).await, bundle);
            assert_eq!(
                stage.accepts(digest, SignatureFormat::SimpleSigning).await,
                simple
            );
        }
        // A run that is repeated adds nothing.
        let writes = stage.writes();
        let again = stage.signed_as(formats).await.unwrap();
        assert_eq!(again.len(), signed.len());
        let mut outcomes = again.iter().map(|one| one.outcome);
        assert!(outcomes.all(|outcome| outcome == SigningOutcome::AlreadySigned));
        assert_eq!(stage.writes(), writes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_missing_is_added_and_others_signatures_stay() {
    let stage = Stage::with(RegistryOptions::default()).await;
    let digest = stage.one_image().digest();
    stage.signed_as(WrittenFormats::Bundle).await.unwrap();
    assert!(stage.signatures(&digest).await.is_none());
    let both = stage.signed_as(WrittenFormats::Both).await.unwrap();
    // An entry for each form: what was there, and what is new.
    let told: Vec<_> = both
        .iter()
        .map(|one| (one.evidence.format, one.outcome))
        .collect();
    let expected = [
        (SignatureFormat::Bundle, SigningOutcome::AlreadySigned),
        (SignatureFormat::SimpleSigning, SigningOutcome::Signed),
    ];
    assert_eq!(told, expected);
    assert_eq!(stage.listed(&digest).await.len(), 1);
    assert_eq!(stage.layers(&digest).await, 1);
    // By force, another signature lies beside the first.
    let signer = stage
        .signer_by(RekorVersion::V1)
        .with_formats(WrittenFormats::SimpleSigning);
    stage.sign_again(signer).await.unwrap();
    assert_eq!(stage.layers(&digest).await, 2);
}

#[tokio::test]
async fn a_signature_that_the_installers_policy_refuses_does_not_count() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let signer = |policy: Option<&dyn Fn(&mut PolicySpec)>| {
        let signer = stage
            .signer_by(RekorVersion::V1)
            .with_formats(WrittenFormats::SimpleSigning);
        match policy {
            None => signer,
            Some(change) => signer.with_consumer_policy(stage.policy(|spec| {
                spec.signature_formats = vec!["simple_signing".to_owned()];
                change(spec);
            })),
        }
    };
    let first = stage.sign_with(&signer(None)).await.unwrap().remove(0);
    let signed = stage.sign_with(&signer(Some(&|_| {}))).await.unwrap();
    assert_eq!(signed[0].outcome, SigningOutcome::AlreadySigned);

    // Certificates count in whole seconds.
    let certified = first.evidence.signer.certificate().unwrap();
    let later = certified.certificate_not_before + jiff::SignedDuration::from_secs(2);
    let wait = later.duration_since(jiff::Timestamp::now());
    tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
    let since = |spec: &mut PolicySpec| spec.not_before = Some(later.to_string());
    let strict = signer(Some(&since));
    for expected in [SigningOutcome::Signed, SigningOutcome::AlreadySigned] {
        let signed = stage.sign_with(&strict).await.unwrap();
        assert_eq!(signed[0].outcome, expected);
        assert_eq!(stage.layers(&digest).await, 2);
    }
}

#[tokio::test]
async fn a_policy_says_nothing_of_a_form_that_it_does_not_read() {
    for format in ["bundle", "simple_signing"] {
        let stage = Stage::new().await;
        stage.one_image();
        let policy = stage.policy(|spec| spec.signature_formats = vec![format.to_owned()]);
        let signer = stage
            .signer_by(RekorVersion::V1)
            .with_formats(WrittenFormats::Both)
            .with_consumer_policy(policy);
        for expected in [SigningOutcome::Signed, SigningOutcome::AlreadySigned] {
            let signed = stage.sign_with(&signer).await.unwrap();
            assert_eq!(signed[0].outcome, expected, "{format}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_names_and_several_jobs_no_signature_is_lost() {
    let stage = Stage::new().await;
    let digest = stage.one_image().digest();
    let none = BTreeMap::new();
    let registry: Registry = client_pausing(std::time::Duration::from_millis(50));
    let sign = async |tag: &str| {
        let services = stage.services(RekorVersion::V1);
        let signer = Signer::new(registry.clone(), &services, stage.trusted_root())
            .unwrap()
            .with_tags(Tags::Later)
            .with_formats(WrittenFormats::SimpleSigning);
        let names: Vec<Reference> = [tag.to_owned(), format!("{tag}-too")]
            .iter()
            .map(|tag| {
                stage
                    .reference(&format!(":{tag}"))
                    .pinned_to(digest.clone())
            })
            .collect();
        signer.sign(&names, &stage.token(), &none, &|_| {}).await
    };
    let (one, two, three) = tokio::join!(sign("v1"), sign("v2"), sign("v3"));
    for signed in [one, two, three] {
        assert_eq!(signed.unwrap().len(), 2);
    }
    assert_eq!(stage.layers(&digest).await, 6);
}

#[tokio::test]
async fn a_log_without_a_promise_is_refused_before_anything_is_asked() {
    let stage = Stage::new().await;
    stage.one_image();
    for formats in [WrittenFormats::SimpleSigning, WrittenFormats::Both] {
        let signer = stage.signer_by(RekorVersion::V2).with_formats(formats);
        let error = stage.sign_with(&signer).await.unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error:?}");
    }
    // A policy that takes bundles alone is of no use either.
    let signer = stage
        .signer_by(RekorVersion::V1)
        .with_formats(WrittenFormats::SimpleSigning)
        .with_consumer_policy(stage.policy(|_| {}));
    let error = stage.sign_with(&signer).await.unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error:?}");
    assert_eq!(stage.sigstore.requests(), []);
    assert_eq!(stage.writes(), [] as [String; 0]);
}

#[tokio::test]
async fn a_signature_that_was_pushed_is_told_before_it_is_verified() {
    let stage = Stage::new().await;
    stage.one_image();
    let signer = stage.signer().with_formats(WrittenFormats::SimpleSigning);
    let (steps, references) = (Mutex::new(Vec::new()), [stage.reference(":v1")]);
    let note = |event| {
        steps.lock().unwrap().push(match event {
            SigningEvent::Begun { .. } => "begun".to_owned(),
            SigningEvent::Signed { .. } => "signed".to_owned(),
            SigningEvent::Pushed { signature, .. } => format!("pushed {signature}"),
            SigningEvent::Verified { .. } => "verified".to_owned(),
        });
    };
    let (token, none) = (stage.token(), BTreeMap::new());
    let signed = signer
        .sign(&references, &token, &none, &note)
        .await
        .unwrap();
    let pushed = format!("pushed {}", signed[0].signature_manifest);
    let steps = steps.into_inner().unwrap();
    assert_eq!(steps, ["begun", "signed", &pushed, "verified"]);
}
