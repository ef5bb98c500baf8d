//! Every error of every library, as a user meets it: exit code, kind and hints.
//!
//! The libraries list a value of each variant (`samples`), and the compiler keeps those lists
//! complete. A new variant shows up here, so that somebody reads what is said of it.

mod installing;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Debug;

use countersign_verify::Error as VerifyError;
use insta::assert_snapshot;

use super::{Failure, Kind};

/// The exit code, the kind and the hints, each followed by the errors that have them.
fn table<E>(errors: Vec<E>, label: impl Fn(&E) -> String) -> String
where
    Failure: From<E>,
{
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for error in errors {
        let label = label(&error);
        let failure = Failure::from(error);
        let hints = failure.hints();
        assert!(!hints.is_empty(), "{label} has no hint");
        assert!(hints.iter().all(|hint| !hint.is_empty()), "{label}");
        let blamed = failure.line().starts_with("this machine: ");
        assert_eq!(blamed, failure.kind == Kind::Machine, "{label}");
        let (code, kind) = (failure.exit_code(), failure.kind);
        let row = format!("{code} {kind:?}: {}", hints.join(" + "));
        let labels = rows.entry(row).or_default();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let rows = rows.into_iter();
    rows.map(|(row, labels)| format!("{row}\n    {}\n", labels.join(", ")))
        .collect()
}

/// The names of the variants: of the error, of those in it and of its causes.
fn label<E: Error>(error: &E) -> String {
    let mut label = names(error);
    let mut source = error.source();
    while let Some(error) = source {
        for name in names(&error).split('/') {
            if !name.is_empty() && !label.split('/').any(|there| there == name) {
                label.push_str(&format!("/{name}"));
            }
        }
        source = error.source();
    }
    label
}

fn names(error: &impl Debug) -> String {
    let debug = format!("{error:?}");
    let mut names = Vec::new();
    let mut rest = debug.as_str();
    loop {
        let end = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if !name.starts_with(char::is_uppercase) {
            break names.join("/");
        }
        names.push(name);
        match behind.strip_prefix('(') {
            Some(inner) => rest = inner,
            None => break names.join("/"),
        }
    }
}

#[test]
fn what_is_said_of_registries_and_layouts() {
    let errors = countersign_oci::samples::errors();
    assert_snapshot!(table(errors, label), @"
    1 Machine: the disk can't be read or written: check it (`dmesg`) before you go on + check who may read it
        Layout/Io/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Io/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again + check the path, and who may write there
        Layout/Write/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Network/Os
    1 Machine: wait until the other run has ended
        Layout/Busy
    2 Usage: check --registry-ca and the proxy's variables
        Configuration
    2 Usage: check the path, and who may write there
        Layout/Write/Os
    2 Usage: check who may read it
        Layout/Io/Os
    2 Usage: convert it to an image layout, as the message says
        Layout/DockerArchive, Layout/Version
    2 Usage: correct the credential file or the helper, or log in again with `docker login` or `podman login`
        Credentials/Os
    2 Usage: decompress it (`gunzip`, `zstd -d`), then use the decompressed file
        Layout/Compressed
    2 Usage: make one with `countersign copy --policy FILE IMAGE ocifile://DIR`, `oras copy --recursive --to-oci-layout` or `skopeo copy docker://IMAGE oci-archive:FILE`
        Layout/NoMarker, Layout/NoArchive
    2 Usage: make that directory first, or correct the path
        Layout/NoDirectoryAbove
    2 Usage: name a directory that is missing, empty or a layout, or a new file FILE.tar
        Layout/NotEmpty, Layout/NotADirectory
    2 Usage: name a repository in a registry
        Layout/NeedsRegistry
    2 Usage: name another file, or remove this one first
        Layout/Exists
    2 Usage: name one of them by its digest: ocifile://PATH@DIGEST; an index can't do that: for it, make a layout of one image with `countersign copy --policy FILE ocifile://PATH@DIGEST ocifile://DIR`
        Layout/SeveralImages
    5 Invalid: a verifier tries no more signatures of one image: delete those that nobody needs, or pass --format bundle
        Full
    5 Invalid: copy the archive again, and compare its size
        Layout/Truncated, Layout/Header/Checksum
    5 Invalid: copy the image again: an earlier copy has not ended, or the file was lost
        Layout/NoIndex
    5 Invalid: do not use it: the layout was changed or damaged; copy the image again
        DigestMismatch, SizeMismatch, Layout/Marker, Layout/Index/NoIndex, Layout/NoFile, Layout/Twice, Layout/Headers
    5 Invalid: do not use it: the registry, or a server between, sent other bytes than the digest names
        DigestMismatch, SizeMismatch
    5 Invalid: report the message to the image's publisher or to the registry
        Limit, Manifest/SchemaOne
    6 NotFound: check the name and the tag; without a login, a registry may say this of a private repository
        NotFound
    6 NotFound: check the path, and that the whole image was copied
        Layout/NoImage, Layout/Nothing, Layout/NoName
    6 NotFound: check the reference; if it is right, report the answer to the registry's operator
        Status
    6 NotFound: choose one of these with --platform
        Platform/NoSuchPlatform
    6 NotFound: copy the image again from where it is whole; if it was copied with --platform, the layout has those platforms alone: to copy it on into a layout, pass --platform again
        Layout/NoBlob
    6 NotFound: pass the platform that the image has to --platform
        WrongPlatform
    6 NotFound: the index lists nothing for a platform: check the name and the tag; if they are right, tell its publisher
        Platform/NoSuchPlatform
    7 Unreachable: check the host name, the network and the proxy; a name without a host is on Docker Hub; a registry without TLS needs --plain-http
        Network/Os
    7 Unreachable: the registry has a problem: try again later, or tell its operator
        Status
    7 Unreachable: the registry wants fewer requests: log in, or try again later
        Status
    7 Unreachable: try again later, or from a faster network; a registry nearer to you may help
        TooSlow
    7 Unreachable: wait until nobody else signs this image, then try again
        Contended
    9 Rejected: check that this is the address of a registry: login pages and proxies answer like this
        Protocol
    9 Rejected: check the reference; if it is right, report the answer to the registry's operator
        Status
    9 Rejected: if this is your own network and you expect the redirect, pass --allow-private-redirects; for an address in a gallery's index, pass --allow-private-addresses
        Redirect
    9 Rejected: log in with `docker login` or `podman login`; countersign uses these logins
        Unauthorized
    9 Rejected: the server redirects to a place that is not allowed; tell its operator, or use another server
        Redirect
    9 Rejected: the signature was pushed, but nobody can find it; use a registry with the referrers API of OCI 1.1, or one that accepts the tag
        NoReferrers
    ");
}

#[test]
fn what_is_said_of_policy_files() {
    let errors = countersign_policy::samples::errors();
    let label = |error: &countersign_policy::PolicyError| names(error.problem());
    assert_snapshot!(table(errors, label), @r"
    2 Usage: a signer has an issuer and an identity, or a `key` in place of both
        Neither
    2 Usage: copy the `verification` block of one gallery into a file of its own, and pass that file
        SeveralPolicies
    2 Usage: correct the file at that place
        Both, SignerBesideIdentities, BesideRequire, SameProof, BesideKey, IgnoreTlogWithoutKey, NoTime, PublicKey, KeyFile, Empty, Timestamp, UnknownKey, MissingKey, DuplicateKey, Form, Digest/UnsupportedAlgorithm, Repository, Url, Trust, ImagePattern, Demand, Exclusive, Budget, PolicyBesideGalleries, Index, PolicyInList, NotIndented, DuplicateGallery, NoPolicy
    2 Usage: correct the option; `countersign COMMAND --help` explains each
        Empty
    2 Usage: indent with spaces and not tabs; the tab may be on the line below
        Syntax
    2 Usage: put a backslash before a character that is meant literally: `\.`, `\(`, `\+`, `\?`
        Regex
    ");
}

#[test]
fn what_is_said_of_signatures_that_are_refused() {
    let errors = countersign_verify::samples::errors();
    let label = |error: &VerifyError| match error {
        VerifyError::Refused(refusal) => match refusal.candidates.first() {
            Some(candidate) => format!("Refused/{}", label(&candidate.failure)),
            None => "Refused".into(),
        },
        other => label(other),
    };
    assert_snapshot!(table(errors, label), @r"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        AnybodyPolicy/PolicyError
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Trust/Tuf/Unreachable/Io/Os
    2 Usage: pass a trusted_root.json from the TUF repository of the Sigstore instance
        Trust/Malformed, Trust/Incomplete
    2 Usage: run it once without --offline and with a network, or pass --trusted-root FILE; where the policy has `trust`, write `trust: {trusted_root: FILE}` there instead
        Trust/Tuf/Cache/NotRefreshed
    3 Unsigned: sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)
        Refused, BothRefused, Refused/LegacySignature, Refused/OldAttestation, Refused/Attestation, Refused/OtherArtifact
    4 Policy: do not use it: the policy's `deny_digests` has its digest, or the digest of an index that contains it; use a newer version
        Denied/Denied
    4 Policy: do not use the image under this name: the signature is for another one (`bind_name`), as it is where somebody moved the tag; if you asked for a copy, ask for the name that is signed, have this name signed too, or make the copy a mirror in a gallery, where the name of the entry counts
        Refused/Policy/Name
    4 Policy: do not use the image yet: wait until the time that the message names, then try again
        Refused/Policy/TooYoung
    4 Policy: do not use the image: it was signed before the time that is asked for (`not_before` in the policy, or --not-before); use one that was signed since, or have it signed again
        Refused/Policy/SignedBefore
    4 Policy: do not use the image; if you are sure that it is the right one, correct the annotations that are asked for: `annotations` in the policy, or -a
        Refused/Policy/Annotation
    4 Policy: do not use the image; if you are sure that the policy is wrong, correct it: `countersign policy check FILE` tells of patterns and names that no signer has
        Refused/Policy/DeniedDigest, Refused/Policy/Format, Refused/Policy/PredicateType, Refused/Policy/Signer/SignerMismatch, Refused/Policy/NoTime, Refused/Policy/Predicate, Refused/Policy/Several
    4 Policy: if the publisher signs with a key, pass --key FILE in the place of the policy or the identity, or write it into the policy as `key`, in the place of `issuer` and `identity`
        Refused/KeyForCertificate
    4 Policy: if the publisher signs without a key, pass --issuer and --identity in the place of the policy or the key, or write `issuer` and `identity` into the policy in the place of `key`
        Refused/CertificateForKey
    5 Invalid: ask the publisher: if the signatures are in no log on purpose, use a policy file with `ignore_tlog: true` beside `key`; else the publisher has to sign again, with a log
        Refused/KeyNotLogged
    5 Invalid: check the address of the TUF repository, and the proxy if there is one; if they are right, ask whoever runs the repository
        Trust/Tuf/WrongAnswer/NotRefreshed
    5 Invalid: compare the policy's key with the one that the publisher names now; if they are the same, the signature is damaged or somebody else's
        Refused/OtherKey
    5 Invalid: do not use it: it is damaged, or somebody changed it; tell the publisher
        UnknownBelow, OtherProof, OtherPolicy, NotListed/NotListed
    5 Invalid: do not use the image: the signature can't be trusted; the publisher has to sign again
        Refused/OtherTrust, Refused/Unreadable/NotFound, Refused/OtherSubject, Refused/LayerCount, Refused/MissingAnnotation, Refused/Malformed, Refused/TooMany, Refused/TooLarge, Refused/Disagreement, Refused/CertificateLost, Refused/Aborted, Refused/Repeated, Refused/BundleVersion, Refused/Content, Refused/NoKeyMaterial, Refused/PayloadType, Refused/StatementType, Refused/SubjectCount, Refused/SubjectRepeated, Refused/Signature, Refused/NoInclusionProof, Refused/UnsupportedLogKey, Refused/NoLogEntry, Refused/EntryWithoutLog, Refused/NoInclusionPromise, Refused/EntryKind, Refused/Identity, Refused/NoIssuer, Refused/NoVerifiedTime, Refused/Sigstore/InvalidBundle
    5 Invalid: do not use the image: the signature is of another one; if it is from a file (--bundle), pass the file of this image
        Refused/SubjectDigest
    5 Invalid: do not use the image: the trusted root in use does not prove its signature; if another Sigstore instance signed it, the trusted root is the wrong one: use that instance's own; else the publisher has to sign again
        Refused/Certificate/Malformed, Refused/TransparencyLog/InclusionProof, Refused/Timestamp/Invalid, Refused/CheckpointLog, Refused/UnknownLog, Refused/LogNotInUse
    6 NotFound: check the name and the tag; without a login, a registry may say this of a private repository
        Registry/NotFound
    7 Unreachable: check the network, or pass --trusted-root FILE: then no TUF repository is needed; where the policy has `trust`, write `trust: {trusted_root: FILE}` there instead
        Trust/Tuf/Unreachable/NotRefreshed, Trust/Tuf/Unreachable/Io/Os
    7 Unreachable: the registry is very slow: try again later
        Late
    9 Rejected: check the address of the TUF repository, and the proxy if there is one; if they are right, ask whoever runs the repository
        Trust/Tuf/WrongAnswer/Transport
    ");
}

#[test]
fn what_is_said_of_signing() {
    let errors = countersign_sign::samples::errors();
    assert_snapshot!(table(errors, label), @"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Encode, Key, NoCertificate, Login/Random
    1 Machine: pass --login device, which needs no port on this machine
        Login/Listener/Kind/AddrInUse
    1 Machine: set this machine's clock, best by NTP, and sign again
        Clock, Token/Clock/Skew
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Service/Os
    2 Usage: choose another tag, such as `v1`: the image is found by its digest without a tag
        Publication/OfSignatures
    2 Usage: compare with the digest that the build printed; if they are the same, run `countersign merge registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` with the same flags
        Merge/ByTag
    2 Usage: compare with the digest that the push printed; if they are the same, run `countersign sign registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` with the same flags + or pass --by-tag to sign whatever the registry answers
        ByTag
    2 Usage: compare with the digest that the push printed; if they are the same, run `countersign sign registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` with the same flags
        Publication/ByTag
    2 Usage: correct the signing config, leave out --rekor-version if it is there, or pass --fulcio-url URL with --rekor-url URL in the place of the config (and --tsa-url URL for Rekor 2)
        Services
    2 Usage: give each annotation a key and a value
        Annotations/PolicyError
    2 Usage: give one image for each platform
        Merge/SamePlatform
    2 Usage: leave --platform out
        Copy/NoPlatforms
    2 Usage: name each image once; another image may be missing
        Merge/Twice
    2 Usage: name the images to merge, by digest: NAME@DIGEST, or --digests-from DIR
        Merge/Nothing
    2 Usage: pass --format bundle; for simple signing, name a log of Rekor version 1 with --rekor-version 1 or --rekor-url URL, and allow `simple_signing` in the policy's `signature_formats`
        Format
    2 Usage: pass --identity-token TOKEN or @FILE; SIGSTORE_ID_TOKEN holds the token itself, never @FILE
        Token/NotJwt
    2 Usage: pass --login browser
        Login/NoDevices
    2 Usage: pass --login device, and log in with a browser elsewhere
        Login/NoBrowser
    2 Usage: pass --tag NAME:TAG
        Publication/Target
    2 Usage: pass --tag NAME:TAG to merge, or --then-tag TAG to sign
        Publication/NoTag
    2 Usage: pass --then-tag TAG, such as `v1` or `latest`
        Publication/NotATag
    2 Usage: pass a trusted_root.json from the TUF repository of the Sigstore instance
        Trust/Incomplete
    2 Usage: sign one of the two images by itself
        Publication/SameTag
    3 Unsigned: an installer would refuse this image too: check that the trusted root belongs to the signing services, and that the policy names the signer
        Refused/Refusal
    3 Unsigned: no tag was written, and no layout lists it; if the destination lost what was pushed, run the same command again
        Copy/Refused/Refusal
    4 Policy: an installer would refuse this signature: compare the policy with the job that signs, the references and the annotations
        Policy/DeniedDigest, Policy/Format, Policy/Signer/SignerMismatch, Policy/SignedBefore, Policy/NoTime, Policy/TooYoung, Policy/Annotation, Policy/Predicate, Policy/Name, Policy/Several
    4 Policy: the policy asks for an attestation, and `sign` makes none: for both, use `require` in the policy; `cosign attest` and GitHub's `actions/attest` make attestations
        Policy/PredicateType
    5 Invalid: an installer would refuse this image too: check that the trusted root belongs to the signing services, and that the policy names the signer
        Refused/Refusal
    5 Invalid: build the image with its platform, as `docker buildx build --platform` does
        Merge/NoPlatform
    5 Invalid: copy the images of the index one by one, by digest
        Copy/Entry
    5 Invalid: find out which of the two digests your build pushed, or sign without the tag: registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; if your build sets the tag after signing, pass --tag-later
        Tag
    5 Invalid: look at what is attached with `countersign tree`, or copy the images of the index one by one
        Copy/Limit
    5 Invalid: merge the images of the index one by one, by digest
        Merge/Entry
    5 Invalid: name the issuer as its tokens do: in the signing config, or by --oidc-issuer URL
        Login/OtherIssuer
    5 Invalid: no tag was written, and no layout lists it; for what was not copied, the source is damaged there, or lacks it: copy the source again from where it came; if none of that is a signature, run the same command again
        Copy/Refused/Refusal
    5 Invalid: read what the other program says; what is signed stays signed
        FurtherCheck
    5 Invalid: run the same command again
        Login/OtherLogin
    5 Invalid: run the same command again; if it stays so, the registry did not keep what was pushed
        Publication/Unsigned
    5 Invalid: sign the images of the index one by one, by digest
        Limit, Entry/UnreadEntries
    5 Invalid: use the trusted root of the Sigstore instance that signed
        Bundle/NoIssuer
    6 NotFound: check the name and the tag; without a login, a registry may say this of a private repository
        Registry/NotFound
    6 NotFound: choose some of these with --platform, or leave it out to copy all
        Copy/Platform
    6 NotFound: push the tag first, or sign without the tag: registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; if your build sets the tag after signing, pass --tag-later
        Tag
    7 Unreachable: another job may have set the tag, or the registry shows old tags for a while: look at the tag, and run the same command again
        Publication/TagMoved
    7 Unreachable: check the network, the service's URL and its status; for the public instance: https://status.sigstore.dev
        Service
    7 Unreachable: sign again; if it fails again, the registry's support for referrers has a fault
        NotListed
    9 Rejected: ask the issuer for a token with the audience `sigstore`
        Token/Audience
    9 Rejected: get a new token right before signing: most live for five to ten minutes + if the token is new, this machine's clock is fast: set it
        Token/Expired
    9 Rejected: run the same command again, a CI's in a new job: it signs what is not signed yet
        Renewal
    9 Rejected: run the same command again, and log in with a browser while it waits
        Login/Late, Login/CodeExpired
    9 Rejected: run the same command again, and log in with an account that the issuer accepts
        Login/Refused
    ");
}

/// Whatever fails for a reason of the command line's own has a hint too.
#[test]
fn a_failure_without_a_hint_of_its_own_gets_the_usual_one() {
    for kind in [
        Kind::Internal,
        Kind::Machine,
        Kind::Usage,
        Kind::Unsigned,
        Kind::Policy,
        Kind::Invalid,
        Kind::NotFound,
        Kind::Unreachable,
    ] {
        let failure = Failure::new(kind, "x");
        assert_eq!(failure.hints(), [super::kind::usual_hint(kind)]);
    }
}
