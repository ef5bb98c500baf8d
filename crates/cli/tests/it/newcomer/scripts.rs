//! An author of scripts, and somebody who knows docker, crane and cosign: exit codes, JSON, and flags from habit.

use insta::assert_snapshot;

use crate::shop::{EARLIER, FLAGS, Shop};

#[expect(clippy::too_many_lines, reason = "a transcript")]
#[tokio::test(flavor = "multi_thread")]
async fn a_script_branches_on_exit_codes_and_reads_json() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let mut shell = shop.shell();
    let install = "countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64";
    let verify = "countersign verify --policy galleries.yaml --trusted-root root.json";
    shell
        .line(&format!("{install} --quiet chat && echo installed"))
        .line(&format!("{install} chat"))
        .line(&format!("{install} --quiet draw || echo \"exit code $?\""))
        .line("countersign check --quiet && echo intact")
        .line("countersign list --output json | grep -E '\"(name|gallery|verified)\"'")
        .line(&format!(
            "{verify} -q registry.example.org/acme/app:latest-chat && echo proven"
        ))
        .line(&format!(
            "{verify} -o json registry.example.org/acme/app:none | grep -E '\"(kind|exit_code)\"'"
        ))
        .line("countersign verify --policy none.yaml -o json registry.example.org/acme/app:none")
        .line("COUNTERSIGN_LOG=loud countersign list")
        .line("countersign list --json")
        .line("countersign remove chat && countersign list");
    assert_snapshot!(shell.end(), @r#"
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --quiet chat && echo installed
    installed
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 chat
    chat in /srv/me/.local/share/countersign/chat is up to date by its record, which has the same digest as its source
      image      sha256:A…
      files      not checked; --check compares them, --reinstall replaces them
    $ countersign install --gallery galleries.yaml --trusted-root root.json --platform linux/amd64 --quiet draw || echo "exit code $?"
    error: `draw` can't be installed from any source
          primary registry.example.org/acme/app:latest-draw: registry.example.org/acme/app:latest-draw was not found
      hint: check the name and the tag; without a login, a registry may say this of a private repository
    exit code 6
    $ countersign check --quiet && echo intact
    chat in /srv/me/.local/share/countersign/chat is as it was unpacked: 1 file, 2 B
    intact
    $ countersign list --output json | grep -E '"(name|gallery|verified)"'
          "name": "chat",
          "verified": true,
              "gallery": "acme",
              "name": "chat",
    $ countersign verify --policy galleries.yaml --trusted-root root.json -q registry.example.org/acme/app:latest-chat && echo proven
    proven
    $ countersign verify --policy galleries.yaml --trusted-root root.json -o json registry.example.org/acme/app:none | grep -E '"(kind|exit_code)"'
            "kind": "not_found",
            "exit_code": 6,
    $ countersign verify --policy none.yaml -o json registry.example.org/acme/app:none
    {
      "results": [],
      "error": {
        "kind": "usage",
        "exit_code": 2,
        "message": "the policy none.yaml can't be read",
        "causes": [
          "No such file or directory (os error 2)"
        ],
        "hints": [
          "check the path, and that you may read it"
        ]
      }
    }
    [exit code 2]
    $ COUNTERSIGN_LOG=loud countersign list
    error: expected a level in COUNTERSIGN_LOG (error, warn, info, debug or trace), or levels by module such as countersign_oci=debug, found `loud`
      hint: set it to a level, or unset it
    [exit code 2]
    $ countersign list --json
    error: unexpected argument '--json' found

      tip: for JSON, pass '--output json'

    Usage: countersign list [OPTIONS] [NAME]...

    For more information, try '--help'.
    [exit code 2]
    $ countersign remove chat && countersign list
    removed chat from /srv/me/.local/share/countersign/chat
    no entry of a gallery is installed in /srv/me/.local/share/countersign
    only entries of galleries are listed; `countersign check DIRECTORY` looks at what was installed into a directory
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_and_commands_of_docker_crane_and_cosign_are_known_or_answered() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    let mut shell = shop.shell();
    let signer = "--certificate-identity me --certificate-oidc-issuer https://ci.example.org";
    shell
        .line("countersign ls -q")
        .line("countersign ps")
        .line("countersign images")
        .line("countersign rm chat")
        .line("countersign completion bash | head -c 12")
        .line("countersign -v")
        .line("countersign --version | sed s/[0-9.]*$/VERSION/")
        .line(&format!("countersign verify --trusted-root root.json {signer} -a a=b -q registry.example.org/acme/app:latest-chat 2>/dev/null || echo \"exit code $?\""))
        .line("countersign verify --certificate-identity-regexp me registry.example.org/acme/app:latest-chat")
        .line("countersign sign --yes -r registry.example.org/acme/app:latest-chat")
        .line("countersign pull registry.example.org/acme/app:latest-chat");
    assert_snapshot!(shell.end(), @r#"
    $ countersign ls -q
    $ countersign ps
    error: unrecognized subcommand 'ps'

      tip: to see what is installed, run 'countersign list'

    Usage: countersign [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit code 2]
    $ countersign images
    error: unrecognized subcommand 'images'

      tip: to see what is installed, run 'countersign list'

    Usage: countersign [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit code 2]
    $ countersign rm chat
    error: `chat` is not installed in /srv/me/.local/share/countersign
      hint: `countersign list` shows what is installed
    [exit code 6]
    $ countersign completion bash | head -c 12
    _countersign$ countersign -v
    error: 'countersign' requires a subcommand but one was not provided
      [subcommands: sign, merge, copy, verify, tree, audit, install, upgrade, outdated, gallery, list, ls, check, remove, rm, trust, config, policy, image-verifier, doctor, version, completions, completion, man, schema, help]

    Usage: countersign [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit code 2]
    $ countersign --version | sed s/[0-9.]*$/VERSION/
    countersign VERSION
    $ countersign verify --trusted-root root.json --certificate-identity me --certificate-oidc-issuer https://ci.example.org -a a=b -q registry.example.org/acme/app:latest-chat 2>/dev/null || echo "exit code $?"
    exit code 4
    $ countersign verify --certificate-identity-regexp me registry.example.org/acme/app:latest-chat
    error: unexpected argument '--certificate-identity-regexp' found

      tip: pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it

    Usage: countersign verify [OPTIONS] <REFERENCE>...

    For more information, try '--help'.
    [exit code 2]
    $ countersign sign --yes -r registry.example.org/acme/app:latest-chat
    error: expected a digest in each reference, found none in registry.example.org/acme/app:latest-chat: the registry decides what a tag names, and would decide what is signed
      hint: compare with the digest that the push printed; if they are the same, run `countersign sign registry.example.org/acme/app:latest-chat@sha256:A…` with the same flags
      hint: or pass --by-tag to sign whatever the registry answers
    [exit code 2]
    $ countersign pull registry.example.org/acme/app:latest-chat
    error: unrecognized subcommand 'pull'

      tip: to verify an image and unpack it, run 'countersign install --policy FILE IMAGE DIRECTORY'

    Usage: countersign [OPTIONS] <COMMAND>

    For more information, try '--help'.
    [exit code 2]
    "#);
}

/// Every wrong name has a result of its own, which says which it is; and nothing is done.
#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_name_is_named_in_json() {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    assert_eq!(shop.install(&["chat"]).0, 0);
    let upgrade = [&["upgrade"], &FLAGS[..]].concat();
    let outdated = [&["outdated"], &FLAGS[..]].concat();
    let copy = [
        "copy",
        "--gallery",
        "galleries.yaml",
        "--entry",
        "chat",
        "--entry",
        "one",
        "--entry",
        "two",
    ];
    let copy = [&copy[..], &FLAGS[2..], &["--to", "ocifile://kit"]].concat();
    let names = ["chat", "one", "two"];
    for (command, wrong) in [
        ([&["list"], &names[..]].concat(), 2),
        ([&["remove"], &names[..]].concat(), 2),
        ([&upgrade[..], &names].concat(), 2),
        ([&outdated[..], &names].concat(), 2),
        (copy, 2),
        // What is there is compared all the same.
        ([&["check"], &names[..]].concat(), 3),
    ] {
        let (code, document) = shop.run(&command);
        assert_eq!(code, 6, "{command:?}: {document}");
        let results = document["results"].as_array().unwrap();
        assert_eq!(results.len(), wrong, "{command:?}: {document}");
        let failed = results.iter().filter(|one| one["error"].is_object());
        let named: Vec<_> = failed.map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(named, ["one", "two"], "{command:?}");
    }
    assert!(shop.version("chat").is_some(), "nothing was removed");
    assert!(
        !shop.directory.path().join("kit").exists(),
        "nothing was copied"
    );
    let (_, document) = shop.run(&["list"]);
    assert_eq!(document["results"][0]["verified"], true);
}
