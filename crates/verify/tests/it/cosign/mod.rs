//! What real cosign wrote verifies, and is refused where anything about it is not as it should be.
//! `fixtures/README.md` says how it was made.

mod changes;

use std::fs;
use std::path::PathBuf;

use countersign_oci::{Digest, ResolvedImage};
use countersign_policy::{Policy, PolicySpec};
use countersign_verify::{
    Evidence, Failure, RefusalKind, TrustedRoot, VerifiedDocument, judge_digest, verify_bundle,
};
use jiff::Timestamp;
use serde::Deserialize;

const RECORDED: [&str; 3] = ["cosign2-sandbox-v1", "cosign3-real", "cosign3-sandbox-v2"];

#[test]
fn bundles_by_cosign_are_accepted() {
    for name in RECORDED {
        let recorded = Recorded::read(name);
        let proof = recorded
            .verify(&recorded.trusted_root(), recorded.signer.spec())
            .unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let evidence = proof.evidence();
        assert_eq!(
            evidence.signer.to_string(),
            recorded.signer.identity,
            "{name}"
        );
        let holder = evidence.signer.certificate().unwrap();
        assert_eq!(holder.issuer, recorded.signer.issuer, "{name}");
        assert_eq!(&evidence.digest, recorded.image().digest(), "{name}");
        assert_eq!(evidence.subject_name, None, "{name}: cosign writes no name");
    }
}

#[test]
fn another_identity_is_refused_by_the_policy() {
    for name in RECORDED {
        let recorded = Recorded::read(name);
        let spec = PolicySpec {
            identity: Some(format!("{}0", recorded.signer.identity)),
            ..recorded.signer.spec()
        };
        let failure = recorded.verify(&recorded.trusted_root(), spec).unwrap_err();
        assert_eq!(failure.kind(), RefusalKind::Policy, "{name}: {failure}");
    }
}

#[test]
fn another_instance_is_not_trusted() {
    for (name, other) in RECORDED.iter().zip(RECORDED.iter().cycle().skip(1)) {
        let recorded = Recorded::read(name);
        let foreign = Recorded::read(other).trusted_root();
        // The sandbox's two logs belong to one instance.
        if name.ends_with("real") || other.ends_with("real") {
            let failure = recorded
                .verify(&foreign, recorded.signer.spec())
                .unwrap_err();
            assert_eq!(failure.kind(), RefusalKind::Invalid, "{name}: {failure}");
        }
    }
}

#[test]
fn a_digest_alone_is_judged_as_its_image_is() {
    for name in RECORDED {
        let recorded = Recorded::read(name);
        let (root, signer) = (recorded.trusted_root(), &recorded.signer);
        let image = recorded.image();
        let evidence = recorded.judge(image.digest(), signer.spec()).unwrap();
        let proof = recorded.verify(&root, signer.spec()).unwrap();
        assert_eq!(&evidence, proof.evidence(), "{name}");

        let other = recorded.judge(&Digest::sha256(b"other"), signer.spec());
        assert!(
            matches!(other, Err(Failure::SubjectDigest { .. })),
            "{name}: {other:?}"
        );
        let spec = PolicySpec {
            bind_name: true,
            ..signer.spec()
        };
        let unnamed = recorded.judge(image.digest(), spec);
        assert!(
            matches!(unnamed, Err(Failure::Policy(_))),
            "{name}: {unnamed:?}"
        );
    }
}

/// What one directory holds.
struct Recorded {
    directory: PathBuf,
    signer: Signer,
}

#[derive(Deserialize)]
struct Signer {
    issuer: String,
    identity: String,
}

impl Signer {
    fn spec(&self) -> PolicySpec {
        PolicySpec {
            issuer: Some(self.issuer.clone()),
            identity: Some(self.identity.clone()),
            ..PolicySpec::default()
        }
    }
}

impl Recorded {
    fn read(name: &str) -> Self {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
        let directory = PathBuf::from(fixtures).join(name);
        let signer = serde_json::from_slice(&fs::read(directory.join("signer.json")).unwrap());
        Self {
            signer: signer.unwrap(),
            directory,
        }
    }

    fn trusted_root(&self) -> TrustedRoot {
        let json = fs::read_to_string(self.directory.join("trusted_root.json")).unwrap();
        TrustedRoot::from_json("trusted_root.json", &json).unwrap()
    }

    fn image(&self) -> ResolvedImage {
        let repository: countersign_oci::Repository = "registry.example/app".parse().unwrap();
        let bytes = fs::read(self.directory.join("image.json")).unwrap();
        ResolvedImage::from_bytes(&repository.into(), bytes.into(), None).unwrap()
    }

    fn bundle(&self) -> Vec<u8> {
        fs::read(self.directory.join("bundle.json")).unwrap()
    }

    fn judge(&self, digest: &Digest, spec: PolicySpec) -> Result<Evidence, Failure> {
        let bundle = self.bundle();
        let policy = Policy::try_from(spec).unwrap();
        let asked = "registry.example/app:v1".parse().unwrap();
        judge_digest(
            digest,
            &asked,
            &bundle,
            &self.trusted_root(),
            &policy,
            Timestamp::now(),
        )
    }

    fn verify(&self, root: &TrustedRoot, spec: PolicySpec) -> Result<VerifiedDocument, Failure> {
        let bundle = self.bundle();
        let policy = Policy::try_from(spec).unwrap();
        verify_bundle(&self.image(), &bundle, root, &policy, Timestamp::now())
    }
}
