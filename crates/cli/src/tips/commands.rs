//! What other programs call commands, and what is run here in their place.

use super::table::LOGIN;

/// Commands of two words of other programs, and what is run here in their place.
pub(super) const PAIRS: &[(&str, &str, &str)] = &[
    (
        "gallery",
        "list",
        "to see the entries of galleries, run 'countersign gallery show FILE'; what is installed, 'countersign list'",
    ),
    (
        "gallery",
        "ls",
        "to see the entries of galleries, run 'countersign gallery show FILE'; what is installed, 'countersign list'",
    ),
    (
        "gallery",
        "add",
        "a gallery is added by writing it into the gallery file, which 'countersign gallery check FILE' checks",
    ),
    ("trust", "list", TRUST),
    ("trust", "ls", TRUST),
    (
        "trust",
        "init",
        "to fetch the trusted root now, run 'countersign trust update'",
    ),
    ("policy", "explain", POLICY),
    ("policy", "show", POLICY),
    ("policy", "list", POLICY),
    ("buildx", "imagetools inspect", TREE),
    ("imagetools", "inspect", TREE),
    ("image", "inspect", TREE),
    ("config", "IMAGE", TREE),
    ("image", "ls", LIST),
    ("image", "list", LIST),
    ("image", "rm", REMOVE),
    ("image", "remove", REMOVE),
    ("image", "prune", REMOVE),
    ("attach", "sbom", ATTEST),
    ("attach", "attestation", ATTEST),
    ("delete", "docker:", NO_DELETE),
    (
        "dockerfile",
        "verify",
        "name the base images: 'countersign verify --policy FILE IMAGE...'",
    ),
    (
        "signing-config",
        "create",
        "a signing configuration is written by 'cosign signing-config create'; pass it as '--signing-config FILE'",
    ),
    (
        "bundle",
        "create",
        "signatures are bundles when they are made, by 'countersign sign'; 'countersign verify --policy FILE --save DIR IMAGE' writes them into files",
    ),
    (
        "download",
        "attestation",
        "to write what a proven attestation says, run 'countersign verify --policy FILE --save-predicate FILE IMAGE'",
    ),
    (
        "download",
        "signature",
        "to write the signatures of an image, run 'countersign verify --policy FILE --save DIR IMAGE'",
    ),
    (
        "download",
        "sbom",
        "to see what is attached to an image, run 'countersign tree'; of a proven attestation 'countersign verify --save-predicate FILE' writes the SBOM",
    ),
];

const TREE: &str =
    "to see what an image is made of and what is attached to it, run 'countersign tree IMAGE'";
const TRUST: &str = "to see the trusted root, run 'countersign trust show'";
const POLICY: &str = "to see what a policy file asks for, run 'countersign policy check FILE'";
const LIST: &str = "to see what is installed, run 'countersign list'";
const REMOVE: &str = "to remove what is installed, run 'countersign remove NAME'; in registries nothing is deleted here";
const ATTEST: &str = "only signatures are made here; an SBOM is attached by 'cosign attest --type TYPE --predicate FILE IMAGE'";
const COPY: &str =
    "to copy an image with its signatures, run 'countersign copy --policy FILE IMAGE DESTINATION'";
const NO_DELETE: &str =
    "nothing is deleted from registries here; 'crane delete' and 'skopeo delete' do that";

/// Commands of other programs, and what is run here in their place.
pub(super) const COMMANDS: &[(&[&str], &str)] = &[
    (
        &["save"],
        "to copy an image with its signatures into a directory, run 'countersign copy --policy FILE IMAGE ocifile://DIR'; into a file, with 'ocifile://FILE.tar'",
    ),
    (
        &["load"],
        "to copy an image from a directory into a registry, run 'countersign copy --policy FILE ocifile://DIR REPOSITORY:TAG'; from a file, with 'ocifile://FILE.tar'",
    ),
    (
        &["triangulate"],
        "to see what is attached to an image, run 'countersign tree'",
    ),
    (
        &["initialize"],
        "for another Sigstore, pass '--tuf-url URL --tuf-root FILE' or '--trusted-root FILE' to each command, or write 'trust' into the policy",
    ),
    (
        &["generate-key-pair"],
        "keys are only verified with here; for a key there is 'cosign generate-key-pair'",
    ),
    (
        &["attach"],
        "signatures are attached when they are made, by 'countersign sign'",
    ),
    (
        &[
            "pull", "export", "unpack", "extract", "fetch", "download", "add",
        ],
        "to verify an image and unpack it, run 'countersign install --policy FILE IMAGE DIRECTORY'",
    ),
    (
        &["update"],
        "to install what is current, run 'countersign upgrade'",
    ),
    (
        &["uninstall", "delete"],
        "to remove what is installed, run 'countersign remove'",
    ),
    (
        &["ps", "images"],
        "to see what is installed, run 'countersign list'",
    ),
    (
        &["digest"],
        "for the digest of a verified image, run 'countersign verify --policy FILE --print-digest IMAGE'",
    ),
    (
        &["manifest"],
        "to see what an image is made of, run 'countersign tree'; to join images into one and sign it, 'countersign merge'",
    ),
    (
        &["inspect"],
        "to see what an image is made of, run 'countersign tree'; of what is installed, 'countersign list --long'",
    ),
    (
        &["imagetools", "index", "buildx"],
        "to join images into one and sign it, run 'countersign merge'",
    ),
    (
        &["verify-attestation"],
        "name the type in a policy's 'predicate_types', and run 'countersign verify --policy'",
    ),
    (
        &["sign-blob", "standalone-sign"],
        "only images are signed; for files there is 'cosign sign-blob'",
    ),
    (
        &["verify-blob", "standalone-verify"],
        "only images are verified; for files there is 'cosign verify-blob'",
    ),
    (
        &["attest", "attest-blob"],
        "only signatures are made; for attestations there is 'cosign attest'",
    ),
    (
        &["tag", "push", "append", "mutate", "rebase", "flatten"],
        "images are made and tagged by other tools, such as docker and crane; then run 'countersign sign IMAGE@DIGEST'",
    ),
    (
        &["run", "exec", "create"],
        "nothing is run here; to verify an image and unpack it, run 'countersign install --policy FILE IMAGE DIRECTORY'",
    ),
    (
        &["clean"],
        "signatures stay where they are; for cosign's there is 'cosign clean'",
    ),
    (
        &["env"],
        "to see settings and where they are from, run 'countersign config show'",
    ),
    (
        &["public-key", "import-key-pair"],
        "keys are only verified with here; for keys there is 'cosign public-key' and 'cosign import-key-pair'",
    ),
    (&["trusted-root"], TRUST),
    (
        &["list-tags"],
        "tags are listed by 'crane ls' and 'skopeo list-tags'; what is installed, by 'countersign list'",
    ),
    (&["history", "blob", "image", "discover", "referrers"], TREE),
    (&["cp"], COPY),
    (
        &["lock"],
        "a lock file is written by 'countersign install --gallery FILE --lock NAME'; what it has is installed by '--from-lock'",
    ),
    (
        &["sync", "mirror"],
        "images of galleries are copied by 'countersign copy --gallery FILE --to NAME'; one image, by 'countersign copy'",
    ),
    (
        &["upload"],
        "images are pushed by other tools, such as docker and crane; 'countersign copy' carries a signed one elsewhere",
    ),
    (
        &["catalog"],
        "repositories are listed by 'crane catalog'; of what is installed, 'countersign list'",
    ),
    (
        &["validate"],
        "to check a policy file, run 'countersign policy check'; to check an image, 'countersign verify'",
    ),
    (&["login", "logout", "auth"], LOGIN),
    (
        &["docker", "podman", "crane", "skopeo", "cosign", "oras"],
        "leave it out: 'countersign --help' lists the commands",
    ),
];
