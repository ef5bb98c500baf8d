//! What other programs call options, and what they are called here.

/// What is said where a login is passed.
pub(super) const LOGIN: &str = "log in with 'docker login', 'podman login' or 'crane auth login'";

const NO_LOG: &str = "only signatures by a key count without a log: write a policy file with 'key: FILE' and 'ignore_tlog: true'. For an identity leave it out: its log entry or timestamp is always asked for";

/// Options of other programs, and what is passed here in their place. Those that mean the same here are aliases.
pub(super) const OPTIONS: &[(&[&str], &str)] = &[
    (&["--json", "-j"], "for JSON, pass '--output json'"),
    (
        &[
            "--insecure",
            "--allow-http-registry",
            "--allow-insecure-registry",
            "-k",
            "--tls-verify",
            "--src-tls-verify",
            "--dest-tls-verify",
        ],
        "for a registry without TLS, pass '--plain-http'; for one with its own authority, '--registry-ca FILE'",
    ),
    (
        &[
            "--registry-username",
            "--registry-password",
            "--registry-token",
            "--username",
            "--password",
            "--creds",
            "--src-creds",
            "--dest-creds",
            "--k8s-keychain",
            "--authfile",
        ],
        LOGIN,
    ),
    (
        &["--insecure-ignore-tlog", "--private-infrastructure"],
        NO_LOG,
    ),
    (
        &["--tlog-upload"],
        "every signature has a log entry; leave it out",
    ),
    (
        &["--oidc-provider", "--oidc-disable-ambient-providers"],
        "leave it out: the token of a CI is found; '--identity-token @FILE' takes one from elsewhere",
    ),
    (
        &[
            "--oidc-client-id",
            "--oidc-client-secret-file",
            "--oidc-redirect-url",
        ],
        "leave it out: a login asks as the client 'sigstore'; '--identity-token @FILE' takes a token that was got in another way",
    ),
    (
        &[
            "--output-signature",
            "--output-certificate",
            "--output-payload",
        ],
        "leave it out: the signature is written to the registry; 'countersign verify --policy FILE --save DIR IMAGE' writes it into files",
    ),
    (
        &["--registry-referrers-mode", "--experimental-oci11"],
        "leave it out: the referrers of an image are always used, by the tag for them where a registry has no list",
    ),
    (
        &[
            "--timestamp-certificate-chain",
            "--ca-roots",
            "--ca-intermediates",
            "--certificate-chain",
            "--sct",
        ],
        "the authorities are in a trusted root: pass '--trusted-root FILE'",
    ),
    (
        &["--use-signed-timestamps"],
        "leave it out: a signed timestamp counts if the trusted root has its authority",
    ),
    (&["--timestamp-server-url"], "pass '--tsa-url URL'"),
    (
        &[
            "--upload",
            "--issue-certificate",
            "--record-creation-timestamp",
            "--sign-container-identity",
            "--payload",
        ],
        "leave it out: there is no such choice here",
    ),
    (
        &["--fulcio-auth-flow"],
        "to log in by a code, pass '--login device'; in a browser, '--login browser'; a token is passed as '--identity-token @FILE'",
    ),
    (
        &["--attachment", "--attachment-tag-prefix"],
        "leave it out, and name what is attached by its digest: 'countersign tree' shows it",
    ),
    (
        &["--sk", "--slot"],
        "keys are files here, and are only verified with: 'cosign public-key --sk' writes one for 'countersign verify --key FILE'",
    ),
    (
        &["-d", "-D", "--debug", "--log-level"],
        "for diagnostics, pass '-vv'",
    ),
    (&["--certificate-identity-regexp"], IDENTITY_REGEX),
    (
        &["--certificate-oidc-issuer-regexp"],
        "pass '--issuer-regex'. It must match the whole issuer; cosign's may match any part of it",
    ),
    (
        &["--cert-dir", "--src-cert-dir", "--dest-cert-dir"],
        "for a registry with its own authority, pass '--registry-ca FILE'",
    ),
    (
        &["--retry-times", "--retry"],
        "leave it out: a request that may work later is tried again",
    ),
    (
        &["--no-color", "--no-colour"],
        "pass '--color never', or set NO_COLOR=1",
    ),
    (
        &["--type"],
        "write a policy file with 'predicate_types: [URL]'",
    ),
    (
        &["--max-workers"],
        "leave it out: several images are verified side by side",
    ),
    (
        &["--signature"],
        "signatures are read from the registry; a policy's 'signature_sources' names another repository",
    ),
    (
        &["--certificate", "--cert"],
        "certificates are read from the signature; name the signer with '--identity' and '--issuer'",
    ),
    (&["--identity-regexp"], IDENTITY_REGEX),
    (&["--certificate-identity-regex"], IDENTITY_REGEX),
    (
        &["--new-bundle-format"],
        "leave it out: signatures are bundles, the form of cosign 3. For the older form, 'sign' has '--format simple-signing' and '--format both', and a policy 'signature_formats'",
    ),
    (
        &["--local-image"],
        "name a layout on this machine as 'ocifile://DIR'",
    ),
    (
        &["--insecure-ignore-sct"],
        "leave it out: a certificate has to be in a log only if the trusted root has such logs",
    ),
    (
        &["--use-signing-config"],
        "leave it out: the services are Sigstore's own, or those of '--signing-config FILE'",
    ),
    (
        &[
            "--arch",
            "--os",
            "--variant",
            "--override-arch",
            "--override-os",
        ],
        "pass '--platform OS/ARCH'",
    ),
    (
        &[
            "--allow-unsigned",
            "--skip-verification",
            "--no-verify",
            "--insecure-skip-verify",
            "--skip-verify",
            "--insecure-policy",
            "--disable-content-trust",
        ],
        "there is no such option: nothing turns off what a policy asks for",
    ),
    (
        &["--check-claims"],
        "leave it out: what the signature says of the image is always checked",
    ),
];

const IDENTITY_REGEX: &str =
    "pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it";

/// Options that one command lacks and another has, with what to do instead.
pub(super) const OPTIONS_OF: &[(&[&str], &[&str], &str)] = &[
    (&["sign", "merge"], &["--key"], SIGN_BY_KEY),
    (
        &["sign", "merge"],
        &["--bundle"],
        "leave it out: the signature is written to the registry; 'countersign verify --policy FILE --save DIR IMAGE' writes it into files",
    ),
    (
        &["sign"],
        &["--tag"],
        "to write a tag once the image is signed, pass '--then-tag TAG'; a tag that the signature is to name stands in the reference, NAME:TAG@DIGEST",
    ),
    (
        &["merge"],
        &["--then-tag"],
        "to write one more tag, pass '--tag NAME:TAG' again",
    ),
    (
        &["upgrade", "outdated"],
        &["--from"],
        "what is from a kit is upgraded by 'countersign install --from ocifile://KIT NAME'",
    ),
    (
        &[
            "list", "version", "verify", "tree", "check", "audit", "install", "outdated",
        ],
        &["--format"],
        "for JSON, pass '--output json'",
    ),
    (
        &["verify", "tree", "copy", "install", "audit"],
        &["--rekor-url"],
        "the keys of logs are in a trusted root: pass '--trusted-root FILE'",
    ),
    (&["merge"], &["-t"], "pass '--tag REPOSITORY:TAG'"),
    (
        &["sign"],
        &["-t"],
        "to write a tag once the image is signed, pass '--then-tag TAG'; for a time limit, '--timeout TIME'",
    ),
    (
        &["verify", "copy", "tree"],
        &["-t"],
        "pass '--timeout TIME'",
    ),
    (
        &["list"],
        &["--digests"],
        "pass '--long': it shows the digests",
    ),
    (
        &["verify"],
        &["--all"],
        "name each image; for all that an index lists, pass '--all-platforms'",
    ),
    (
        &["list"],
        &["--all"],
        "leave it out: all that is installed is listed",
    ),
    (
        &["remove"],
        &["-f", "--force"],
        "leave it out: nothing is asked; '--unrecorded' also removes what has no record that can be read",
    ),
    (
        &["remove"],
        &["--all"],
        "name what is to be removed: 'countersign list' shows the names",
    ),
    (
        &["install"],
        &["-d", "-C", "-x", "--directory"],
        "write the directory behind the image: 'countersign install IMAGE DIRECTORY'",
    ),
    (
        &["tree"],
        &["--platform"],
        "leave it out: the images of all platforms are shown",
    ),
    (
        &["copy"],
        &["--all", "--all-tags", "-a"],
        "leave it out: an index is copied with all that it lists; name each tag",
    ),
    (
        &["install"],
        &["--force", "-f", "--overwrite"],
        "to install the same digest again, pass '--reinstall'; an older image, '--allow-older'",
    ),
    (
        &["upgrade"],
        &["--force", "-f"],
        "to install the same digest again, pass '--reinstall'; an older image, '--allow-older'",
    ),
    (
        &["install"],
        &["--dest", "--dir", "--output-dir", "--untardir"],
        "write the directory behind the image: 'countersign install IMAGE DIRECTORY'",
    ),
    (
        &["install"],
        &["--all"],
        "name the entries: 'countersign gallery show FILE' lists them",
    ),
    (
        &["upgrade", "outdated"],
        &["--all", "-a"],
        "leave it out: without names, all that is installed from galleries is meant",
    ),
    (
        &["audit"],
        &["--entry"],
        "leave it out: all entries of the galleries are judged; 'countersign copy' has '--entry'",
    ),
    (
        &["verify"],
        &["--gallery"],
        "an entry is verified by 'countersign install --gallery FILE --dry-run NAME'; all of a gallery, by 'countersign audit --gallery FILE'",
    ),
    (
        &["list", "check", "remove"],
        &["--gallery"],
        "leave it out: what is installed is meant; 'countersign gallery show FILE' shows what a gallery has",
    ),
    (
        &["copy"],
        &["--no-clobber", "-n"],
        "leave it out: what is there already is not sent again, but the tag of the destination is moved",
    ),
    (
        &["copy"],
        &["--format", "--multi-arch", "--preserve-digests", "-f"],
        "leave it out: an image is copied as it is, with all platforms and with its digests; '--platform OS/ARCH' copies some",
    ),
    (
        &["copy"],
        &["--remove-signatures"],
        "leave it out: an image is copied with its signatures",
    ),
    (
        &["copy"],
        &["--jobs", "-j"],
        "leave it out: images are copied side by side",
    ),
    (
        &["copy"],
        &["--recursive", "-r"],
        "leave it out: an image is copied with what is attached to it",
    ),
    (
        &["copy"],
        &[
            "--to-oci-layout",
            "--from-oci-layout",
            "--to-oci-layout-path",
        ],
        "leave it out, and name a layout as 'ocifile://DIR' or 'ocifile://FILE.tar'",
    ),
    (
        &["copy"],
        &["--dry-run"],
        "there is none: 'countersign verify --policy FILE IMAGE' says whether an image is proven, 'countersign tree IMAGE' what is attached to it",
    ),
    (
        &["sign"],
        &["--platform"],
        "leave it out: an index is signed with all that it lists; for one image of it, name that one's digest",
    ),
    (&["sign"], &["-f"], "leave it out: nothing is asked"),
    (
        &["merge"],
        &["--by-tag"],
        "leave it out: images are merged by digest alone, NAME@DIGEST",
    ),
    (
        &["countersign check"],
        &["--fix", "--repair", "--reinstall", "--force"],
        "to install an entry again, run 'countersign upgrade --reinstall NAME'; an image, 'countersign install --reinstall REFERENCE DIRECTORY'",
    ),
    (
        &["upgrade", "outdated"],
        &["--from-lock", "--lock-file"],
        "to install what is locked, run 'countersign install --gallery FILE --from-lock'",
    ),
    (
        &["upgrade", "outdated"],
        &["--platform"],
        "leave it out: what is installed stays with its platform; for another one, run 'countersign install --platform OS/ARCH' with a '--store' of its own",
    ),
    (
        &["copy"],
        &["--only", "--sig-only"],
        "leave it out: an image is copied with its signatures, and what is there already is not sent again",
    ),
    (
        &["copy", "verify", "install"],
        &["-p"],
        "pass '--platform OS/ARCH', or '--policy FILE'",
    ),
    (
        &["check", "test", "export"],
        &["--policy"],
        "the policy file stands by itself: 'countersign policy check FILE'",
    ),
];
const SIGN_BY_KEY: &str = "images are signed without a key here, by who you are or by the CI's job; to sign with a key, run 'cosign sign --key FILE'. 'countersign verify --key FILE' verifies that";
