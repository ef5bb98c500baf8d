//! Every error of every library, as a user meets it: exit code, kind and hints.
//!
//! The libraries list a value of each variant (`samples`), and the compiler keeps those lists
//! complete. A new variant shows up here, so that somebody reads what is said of it.

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
        let says_so = failure.line().contains("this machine");
        assert!(says_so || failure.kind != Kind::Machine, "{label}");
        let blamed = failure.line().starts_with("this machine: ");
        assert!(!blamed || failure.kind == Kind::Machine, "{label}");
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
    assert_snapshot!(table(errors, label), @r#"
    1 Machine: the disk can't be read or written: check it (`dmesg`) before you go on + check who may read it
        Layout/Io/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Io/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Network/Os
    2 Usage: `skopeo copy oci:LAYOUT:NAME oci:OTHER` copies one of them
        Layout/SeveralImages
    2 Usage: check --registry-ca and the proxy's variables
        Configuration
    2 Usage: check who may read it
        Layout/Io/Os
    2 Usage: correct the credential file or the helper, or log in again with `docker login` or `podman login`
        Credentials/Os
    2 Usage: decompress it (`gunzip`, `zstd -d`), then name the file that this leaves
        Layout/Compressed
    2 Usage: make an image layout of it, as the message says
        Layout/DockerArchive, Layout/Version
    2 Usage: make one with `oras copy --recursive --to-oci-layout`, `skopeo copy docker://IMAGE oci-archive:FILE` or `crane pull --format=oci`
        Layout/NoMarker, Layout/NoArchive
    2 Usage: name a repository in a registry
        Layout/ReadOnly
    2 Usage: the layout was changed or damaged; do not use it, copy the image anew
        Layout/NoIndex
    5 Invalid: copy the archive again, and compare its size
        Layout/Truncated, Layout/Header/Checksum
    5 Invalid: tell whoever published the image, or runs the registry, what the message says
        Limit, Manifest/SchemaOne
    5 Invalid: the layout was changed or damaged; do not use it, copy the image anew
        DigestMismatch, SizeMismatch, Layout/Marker, Layout/Index/NoIndex, Layout/NoFile, Layout/Twice, Layout/Headers
    5 Invalid: the registry, or something between, serves other bytes than those asked for; do not use them
        DigestMismatch, SizeMismatch
    6 NotFound: ask for the platform that there is with --platform
        WrongPlatform
    6 NotFound: check the name and the tag; a registry also answers so for a private repository without a login
        NotFound
    6 NotFound: check the path, and that whoever copied the image copied all of it
        Layout/NoImage, Layout/Nothing, Layout/NoBlob
    6 NotFound: choose one of these with --platform
        Platform/NoSuchPlatform
    7 Unreachable: check that this is a registry's address: login pages and proxies answer like this
        Protocol
    7 Unreachable: check the host's name, the network and the proxy; a name without a host is Docker Hub's, and a registry without TLS needs --plain-http unless it is on a loopback address
        Network/Os
    7 Unreachable: check the reference; if it is right, tell whoever runs the registry what it answers
        Status
    7 Unreachable: if that is your own network, and the server may lead there, pass --allow-private-redirects; where a gallery's index leads there, pass --allow-private-addresses
        Redirect
    7 Unreachable: log in with `docker login` or `podman login`; countersign reads the same credential files and helpers
        Unauthorized
    7 Unreachable: the manifest was pushed, but nobody can find it; keep the image in a registry with the referrers API of OCI 1.1, or in one that takes the tag
        NoReferrers
    7 Unreachable: the registry has a fault: try again later, or tell whoever runs it
        Status
    7 Unreachable: the registry wants fewer requests: log in, or try again later
        Status
    7 Unreachable: the server leads elsewhere than it may; tell whoever runs it, or use another server
        Redirect
    7 Unreachable: wait until nobody else signs this image, then try again
        Contended
    "#);
}

#[test]
fn what_is_said_of_policy_files() {
    let errors = countersign_policy::samples::errors();
    let label = |error: &countersign_policy::PolicyError| names(error.problem());
    assert_snapshot!(table(errors, label), @r#"
    2 Usage: correct the file there; `countersign policy check FILE` says what a policy file asks for
        Neither, Both, SignerBesideIdentities, Empty, Timestamp, UnknownKey, MissingKey, DuplicateKey, Form, Digest/UnsupportedAlgorithm, Repository, Url, Trust, Budget, PolicyBesideGalleries, DuplicateGallery, NoPolicy, SeveralPolicies, NoSuchGallery
    2 Usage: correct the option; `countersign COMMAND --help` explains each
        Empty
    2 Usage: keys of one mapping begin in the same column, after spaces and never tabs; in "double quotes" a backslash is written twice, in 'single quotes' once
        Syntax
    2 Usage: write a backslash before what stands for itself: `\.`, `\(`, `\+`, `\?`
        Regex
    "#);
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
    assert_snapshot!(table(errors, label), @r#"
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Trust/Tuf/Mirror/Io/Os
    2 Usage: pass a trusted_root.json as the instance's TUF repository distributes it
        Trust/Malformed, Trust/Incomplete
    3 Unsigned: sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)
        Refused, BothRefused, Refused/LegacySignature, Refused/Attestation, Refused/OtherArtifact
    4 Policy: do not use it: somebody put its digest, or that of an index that lists it, on the policy's list `deny_digests`; take a newer version
        Denied/Denied
    4 Policy: do not use the image, unless you are sure that the policy is wrong: then correct the policy
        Refused/Policy/DeniedDigest
    5 Invalid: do not use it: it is damaged, or somebody changed it; tell whoever published it
        OtherProof, OtherPolicy
    5 Invalid: the signature can't be trusted: do not use the image; its publisher has to sign it again
        Refused/OtherTrust, Refused/Unreadable/NotFound, Refused/OtherSubject, Refused/LayerCount, Refused/Malformed, Refused/TooMany, Refused/TooLarge, Refused/Disagreement, Refused/Aborted, Refused/Repeated, Refused/BundleVersion, Refused/Content, Refused/NoCertificate, Refused/PayloadType, Refused/StatementType, Refused/SubjectCount, Refused/SubjectDigest, Refused/Signature, Refused/Certificate/Malformed, Refused/TransparencyLog/InclusionProof, Refused/Timestamp/Invalid, Refused/NoInclusionProof, Refused/CheckpointLog, Refused/UnsupportedLogKey, Refused/NoInclusionPromise, Refused/Identity, Refused/NoIssuer, Refused/NoVerifiedTime, Refused/Sigstore/InvalidBundle
    6 NotFound: check the name and the tag; a registry also answers so for a private repository without a login
        Registry/NotFound
    7 Unreachable: check the network, or pass --trusted-root FILE to do without the TUF repository
        Trust/Tuf/Mirror/NotRefreshed, Trust/Tuf/Mirror/Io/Os
    7 Unreachable: run it once without --offline, where the network reaches the TUF repository, or pass --trusted-root FILE
        Trust/Tuf/Cache/NotRefreshed
    7 Unreachable: the registry is very slow, or holds the verification up: try again later
        Late
    "#);
}

#[test]
fn what_is_said_of_signing() {
    let errors = countersign_sign::samples::errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Encode, Key
    1 Machine: set the clock of this machine, by NTP best, and sign again
        Clock, Token/Clock/Skew
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Service/Os
    2 Usage: ask the issuer for a token with the audience `sigstore`
        Token/Audience
    2 Usage: compare with the digest that the push printed; if it is the one that the tag names now, run `countersign sign registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` with the same flags + or pass --by-tag, to sign whatever the registry answers
        ByTag
    2 Usage: correct the signing config, or pass --fulcio-url URL with --rekor-url URL (and --tsa-url URL for Rekor 2)
        Services
    2 Usage: give one image for each platform
        Merge/SamePlatform
    2 Usage: name the images to merge, by digest: NAME@DIGEST, or --digests-from DIR
        Merge/Nothing
    2 Usage: pass --identity-token TOKEN or @FILE; SIGSTORE_ID_TOKEN holds the token itself, never @FILE
        Token/NotJwt
    2 Usage: pass --tag NAME:TAG
        Merge/Target
    2 Usage: pass a trusted_root.json as the instance's TUF repository distributes it
        Trust/Incomplete
    3 Unsigned: an installer would refuse this image too: compare the trusted root with the services that signed, and the policy with the signer
        Refused/Refusal
    4 Policy: an installer would refuse what would be signed here: compare the policy with the job that signs, and with the references and annotations given
        Policy/DeniedDigest
    5 Invalid: an installer would refuse this image too: compare the trusted root with the services that signed, and the policy with the signer
        Refused/Refusal
    5 Invalid: build the image with its platform, as `docker buildx build --platform` does
        Merge/NoPlatform
    5 Invalid: find out which of the two digests your build pushed, or sign without the tag: registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; if your build sets the tag after it signs, pass --tag-later
        Tag
    5 Invalid: merge the images of the index one by one, by digest
        Merge/Entry
    5 Invalid: run the same command again; if it stays so, the registry did not keep what was pushed
        Merge/Unproven
    5 Invalid: sign the images of the index one by one, by digest
        Limit
    5 Invalid: the trusted root has to be of the instance whose services signed
        Bundle/NoIssuer
    6 NotFound: check the name and the tag; a registry also answers so for a private repository without a login
        Registry/NotFound
    6 NotFound: push the tag first, or sign without the tag: registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; if your build sets the tag after it signs, pass --tag-later
        Tag
    7 Unreachable: another job may have set the tag, or the registry shows old tags for a while: look at the tag, and run the same command again
        Merge/TagMoved
    7 Unreachable: check the network, the service's URL and its status; for the public instance: https://status.sigstore.dev
        Service
    7 Unreachable: get a new token right before signing: most live for five to ten minutes + if the token is new, the clock of this machine is ahead: set it
        Token/Expired
    7 Unreachable: run the same command in a new job: it signs what is not signed yet
        Renewal
    7 Unreachable: sign again; if it stays so, the registry's referrers support is at fault
        NotListed
    "#);
}

#[test]
fn what_is_said_of_content_that_is_not_installed() {
    let errors = countersign_download::samples::errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        NoVerifier, Record/Error, Cancelled, Layer/Cancelled
    1 Machine: correct what the system's message names, then run the same command again
        Io/Os
    1 Machine: leave out --no-wait, or wait for the other run to end
        Busy
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again
        Tree/Write/Os, Io/Os, Layer/Write/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again + remove it first, or name another directory
        Immovable/Os
    1 Machine: the disk or the quota is full, or has no inodes left: free some space (`df -h`, `df -i`), then run the same command again + the old installation is whole in /srv/kept; installing again puts it back first
        Displaced/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Io/Os, Layer/Read/Os, Http/Unreachable/Os
    2 Usage: check --registry-ca and the proxy's variables
        Http/Configuration
    2 Usage: move the directory away or remove it, then install again; `countersign remove` removes what is in the store
        UnreadableRecord
    2 Usage: name a directory that can be read, in the gallery's index
        Directory
    2 Usage: name a directory that is missing, empty or an earlier installation; the directory above it must exist
        Target
    2 Usage: nothing was changed: unmount it (`umount`), run the same command again, and mount it again
        Mounted
    2 Usage: remove it first, or name another directory
        Immovable/Os
    4 Policy: find out why somebody else signed it; if that is right, install it with --lock again
        OtherSigner
    4 Policy: if it is wanted all the same, `countersign remove` what is installed first
        Weaker
    4 Policy: publish it as a signed image, or tell the gallery's maintainer
        Unverifiable
    4 Policy: somebody may have moved the tag back; if the older image is wanted, pass --allow-older
        Older
    5 Invalid: do not use it: it is damaged, or somebody changed it; tell whoever published it
        OtherPermit
    5 Invalid: if the lock file was edited, restore it; if the content was, and that is right, install it with --lock again
        OtherContent
    5 Invalid: if you trust the content to be that large, raise the limit with --max-download
        Http/TooLarge
    5 Invalid: if you trust the content to be that large, raise the limit with --max-files
        Layer/Limit
    5 Invalid: if you trust the content to be that large, raise the limit with --max-layers
        Limit
    5 Invalid: nothing was installed; tell whoever published it what the message says, or have it built again with another tool
        Configuration/Error, LayerCount, LayerType, Layer/TrailingData, Archive/TrailingData, Layer/Read/Kind/InvalidData, Layer/Truncated, Layer/Checksum, Layer/Header, Layer/Extension, Layer/Compression, Layer/Sparse, Layer/EntryType, Layer/ParentName, Layer/Name, Layer/ReservedName, Layer/Whiteout, Layer/OwnWhiteout, Layer/DanglingLink, Layer/NotADirectory, Layer/HardLink, Layer/DiffId
    5 Invalid: the file was changed, or the gallery's `sha256` is of another one; do not use it
        Checksum
    5 Invalid: the signature can't be trusted: do not use the image; its publisher has to sign it again
        Verify/Refused/Refusal
    5 Invalid: this file system has no place for that name: install on another file system, or tell whoever published it
        Layer/Write/Kind/InvalidFilename
    5 Invalid: this limit is fixed; tell whoever published it to make the content smaller
        Layer/Limit
    6 NotFound: ask for the platform that there is with --platform
        WrongPlatform
    6 NotFound: check the URL, or give the entry or the gallery `mirrors`
        Http/NotFound
    6 NotFound: check the name and the tag; a registry also answers so for a private repository without a login
        Registry/NotFound
    6 NotFound: check the path after `file://` in the gallery's index
        NoDirectory
    6 NotFound: choose one of these with --platform
        Platform/NoSuchPlatform
    6 NotFound: name the image itself: signatures, attestations and Helm charts can't be installed
        NotAnImage
    7 Unreachable: check the network and the proxy, and whether the service works; then try again
        Http/Unreachable, Http/Unavailable, Http/Status
    7 Unreachable: name the URL that it leads to, if that is an https URL you trust
        Http/Redirect
    "#);
}

#[test]
fn what_is_said_of_galleries() {
    let errors = countersign_download::samples::gallery_errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs
        Http/Unreachable/Os
    1 Machine: too many files are open: raise the limit with `ulimit -n`, or end other programs + check the path, and who may read it
        File/Os
    2 Usage: check --registry-ca and the proxy's variables
        Http/Configuration
    2 Usage: check the path, and who may read it
        File/Os
    2 Usage: correct the gallery's `url`; an index beside the file that names the gallery is `file:index.yaml`
        Location/Form
    2 Usage: correct the index, or the gallery's `url` if that isn't an index's: a list of entries, each with `name` and `uri`
        NotText, Index/PolicyError
    5 Invalid: if you trust the content to be that large, raise the limit with --max-index
        Http/TooLarge
    6 NotFound: check the URL, or give the entry or the gallery `mirrors`
        Http/NotFound
    6 NotFound: check the path after `file:`: it starts in the directory of the file that names the gallery
        NoFile
    6 NotFound: correct the gallery's `url`, or give it `mirrors`; after `file:` stands a path from the directory of the file that names the gallery
        NotFetched
    7 Unreachable: check the network and the proxy, and whether the service works; then try again
        Http/Unreachable, Http/Unavailable, Http/Status
    7 Unreachable: check the network and the proxy, or give the gallery `mirrors`
        NotFetched
    7 Unreachable: name the URL that it leads to, if that is an https URL you trust
        Http/Redirect
    "#);
}

#[test]
fn what_is_said_of_entries_and_of_what_is_not_as_locked() {
    let errors = countersign_download::samples::plan_errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Requirement/NoSource
    2 Usage: choose one of these galleries
        UnknownGallery
    2 Usage: choose one of these names
        Entry/Ambiguous
    2 Usage: correct the entry in the gallery's index, or tell the gallery's maintainer
        Entry/NoContent, Source/Empty, Mirrors, Entry/MissingTarget, Entry/Cycle, Entry/TooManySteps
    2 Usage: pass the file with the gallery that it was locked from, or install it with --lock again
        Locked/Gallery
    2 Usage: write the gallery before the name: its policy decides who must have signed
        Ambiguous
    4 Policy: add the tarball's `sha256` to the entry, or tell the gallery's maintainer
        Requirement/NoDigest
    4 Policy: give the gallery a `verification` block that says who must have signed
        Requirement/NoPolicy
    4 Policy: give the gallery a `verification` block, and install it with --lock again
        Locked/Unverified
    4 Policy: if the gallery's content is the one that is wanted, install it with --lock again
        Locked/Digest
    4 Policy: if the policy is right, do not use what is locked: install with --lock again
        Locked/Signer
    4 Policy: if you trust whoever serves the index, pass --allow-private-addresses
        Inward
    4 Policy: pass the --capability that it was locked for; if the gallery has changed and this is wanted, install it with --lock again
        Locked/Entry
    4 Policy: publish it as a signed image, or tell the gallery's maintainer
        Requirement/Unsignable, Requirement/Unverifiable
    4 Policy: somebody took it out of the gallery: put the `verification` block, or the `sha256`, back
        Locked/Weaker
    4 Policy: to install from there, save the index as a file and name it by `url: file:…`
        Inward
    4 Policy: to install from this machine, save the index as a file and name it by `url: file:…`
        Local
    6 NotFound: `--all --dry-run` shows every entry that there is
        Entry/Unknown
    6 NotFound: choose one of these with --capability
        Entry/NotForCapability
    6 NotFound: install it for this platform with --lock first; what is locked for the others stays as it is
        Locked/Platform
    6 NotFound: install it with --lock first, and what there is now is locked
        Locked/Unknown
    "#);
}

#[test]
fn what_is_said_of_lock_files() {
    let errors = countersign_download::samples::lock_errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Write
    2 Usage: a later countersign wrote it: use that one
        Version
    2 Usage: restore it from version control, or remove it and install with --lock again
        TooLarge, UnknownKey, Value, Missing, OutOfPlace, Duplicate, Syntax
    "#);
}

#[test]
fn what_is_said_of_stores() {
    let errors = countersign_download::samples::store_errors();
    assert_snapshot!(table(errors, label), @r#"
    1 Internal: this is a bug in countersign; please report it, with the output of COUNTERSIGN_LOG=debug
        Installation/Cancelled
    2 Usage: `countersign list` shows the names of what is installed
        Name/NameError
    2 Usage: look at what it is; if it can go, `countersign remove --unrecorded` removes it
        NoRecord
    6 NotFound: `countersign list` shows what is installed
        NotInstalled
    "#);
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
