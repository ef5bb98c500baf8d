//! What people type who know cosign, and what they mistype: each is answered with what to type here.

use insta::assert_snapshot;

use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_from_habit_is_answered_with_what_to_type_here() {
    let shop = Shop::open().await;
    let mut shell = shop.shell();
    shop.write(
        "weak.yaml",
        "{ issuer: \"https://ci.example\", identity_regex: m. }\n",
    );
    shop.write(
        "two.yaml",
        "- {name: one, url: 'file:index.yaml', verification: {issuer: 'https://ci.example', identity: me}}\n\
         - {name: two, url: 'file:index.yaml', verification: {issuer: 'https://ci.example', identity: you}}\n",
    );
    let install = "countersign install --gallery galleries.yaml --trusted-root root.json";
    shell
        .line(&format!("{install} chat /tmp/chat"))
        .line(&format!("{install} --from-lock"))
        .line("mkdir -p .local/share/countersign/notes && countersign remove notes")
        .line("countersign policy check --strict weak.yaml")
        .line("countersign verify --policy two.yaml registry.example.org/acme/app:latest-chat")
        .line("countersign verify --type slsaprovenance registry.example.org/acme/app:latest-chat")
        .line("countersign initialize")
        .line("countersign version | sed s/[0-9.]*$/VERSION/");
    assert_snapshot!(shell.end(), @r"
    $ countersign install --gallery galleries.yaml --trusted-root root.json chat /tmp/chat
    error: expected names of entries, found `/tmp/chat`
      hint: entries of a gallery or a kit are named as that has them, and installed to the store; --store DIR says where it is
    [exit code 2]
    $ countersign install --gallery galleries.yaml --trusted-root root.json --from-lock
    error: there is no lock file countersign.lock
      hint: `countersign install --gallery FILE --lock=countersign.lock NAME` writes it
      hint: with --from, leave --from-lock out: the lock file that a kit was made by counts without it
    [exit code 2]
    $ mkdir -p .local/share/countersign/notes && countersign remove notes
    error: /srv/me/.local/share/countersign/notes has no record of an installation: expected a directory that `install` made
      hint: look at it; if you don't need it, `countersign remove --unrecorded notes` removes it
    [exit code 2]
    $ countersign policy check --strict weak.yaml
    A signature is accepted if all of this is true:
    - it is a cosign signature, not another kind of statement;
    - its certificate says:
        issuer is exactly https://ci.example
        identity as a whole matches m.
    - a log or a timestamp authority proves when it was made; any time is accepted;
    - it is valid by the trusted root in use.
    Signatures are looked for in the repository of the image.

    warning: in the pattern `m.`, a `.` matches any character; write `m\.` [unescaped-dot]
    note: there is no `not_before`, so signatures of any age are accepted; after an incident, set it to the time from which signatures are good again [no-not-before]
    weak.yaml is refused by --strict, with 1 warning and 1 note
    [exit code 4]
    $ countersign verify --policy two.yaml registry.example.org/acme/app:latest-chat
    error: two.yaml: the galleries have different policies; name one of them: `one`, `two`
      hint: copy the `verification` block of one gallery into a file of its own, and pass that file
    [exit code 2]
    $ countersign verify --type slsaprovenance registry.example.org/acme/app:latest-chat
    error: unexpected argument '--type' found

      tip: write a policy file with 'predicate_types: [URL]'

    Usage: countersign verify [OPTIONS] <REFERENCE>...

    For more information, try '--help'.
    [exit code 2]
    $ countersign initialize
    error: unrecognized subcommand 'initialize'

      tip: for another Sigstore, pass '--tuf-url URL --tuf-root FILE' or '--trusted-root FILE' to each command, or write 'trust' into the policy

    Usage: countersign [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit code 2]
    $ countersign version | sed s/[0-9.]*$/VERSION/
    countersign VERSION
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_a_key_and_standard_output_are_answered() {
    let shop = Shop::open().await;
    let mut shell = shop.shell();
    shell
        .line("countersign verify --key awskms:///alias/key registry.example.org/acme/app:v1")
        .line("countersign install --key cosign.pub registry.example.org/acme/app:v1 -")
        .line("countersign verify --new-bundle-format registry.example.org/acme/app:v1")
        .line("countersign copy --key cosign.pub registry.example.org/acme/app:v1 oci:lay")
        .line("countersign copy --key cosign.pub registry.example.org/acme/app:v1 ./lay")
        .line("countersign verify --key cosign.pub docker-archive:app.tar")
        .line("countersign verify --key cosign.pub -a a=b,c=d registry.example.org/acme/app:v1")
        .line("countersign verify --experimental-oci11 registry.example.org/acme/app:v1");
    assert_snapshot!(shell.end(), @"
    $ countersign verify --key awskms:///alias/key registry.example.org/acme/app:v1
    error: expected a file with a public key, found an address (awskms://)
      hint: write the key to a file: `cosign public-key --key awskms:///alias/key > cosign.pub`
    [exit code 2]
    $ countersign install --key cosign.pub registry.example.org/acme/app:v1 -
    error: expected a directory, found `-`: nothing is written to standard output
      hint: name a directory; for one that is named `-`, write ./-
    [exit code 2]
    $ countersign verify --new-bundle-format registry.example.org/acme/app:v1
    error: unexpected argument '--new-bundle-format' found

      tip: leave it out: signatures are bundles, the form of cosign 3. For the older form, 'sign' has '--format simple-signing' and '--format both', and a policy 'signature_formats'

    Usage: countersign verify [OPTIONS] <REFERENCE>...

    For more information, try '--help'.
    [exit code 2]
    $ countersign copy --key cosign.pub registry.example.org/acme/app:v1 oci:lay
    error: invalid value 'oci:lay' for '[DESTINATION]': `oci:lay` is not an image reference (registry/repository:tag or registry/repository@sha256:…): `oci:lay` of skopeo and podman is written `ocifile://lay`

    For more information, try '--help'.
    [exit code 2]
    $ countersign copy --key cosign.pub registry.example.org/acme/app:v1 ./lay
    error: invalid value './lay' for '[DESTINATION]': `./lay` is not an image reference (registry/repository:tag or registry/repository@sha256:…): `./lay` is a path; for an image layout on this machine write `ocifile://./lay`

    For more information, try '--help'.
    [exit code 2]
    $ countersign verify --key cosign.pub docker-archive:app.tar
    error: invalid value 'docker-archive:app.tar' for '<REFERENCE>...': `docker-archive:app.tar` is not an image reference (registry/repository:tag or registry/repository@sha256:…): `docker-archive:` of skopeo and podman holds no signatures that could be read: name the image in its registry, or a layout as `ocifile://DIR`

    For more information, try '--help'.
    [exit code 2]
    $ countersign verify --key cosign.pub -a a=b,c=d registry.example.org/acme/app:v1
    error: invalid value 'a=b,c=d' for '--annotation <KEY=VALUE>': expected one KEY=VALUE, found a comma and another `=`, which cosign takes for several: write -a 'a=b' -a 'c=d'

    For more information, try '--help'.
    [exit code 2]
    $ countersign verify --experimental-oci11 registry.example.org/acme/app:v1
    error: unexpected argument '--experimental-oci11' found

      tip: leave it out: the referrers of an image are always used, by the tag for them where a registry has no list

    Usage: countersign verify [OPTIONS] <REFERENCE>...

    For more information, try '--help'.
    [exit code 2]
    ");
}
