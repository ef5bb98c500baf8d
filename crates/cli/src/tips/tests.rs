use super::*;

mod others;

/// What is said of a line that is wrong.
fn said_of(line: &str) -> String {
    let words = std::iter::once("countersign").chain(line.split(' '));
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let mut error = Arguments::command()
        .try_get_matches_from(&words)
        .unwrap_err();
    improve(&mut error, &words);
    error.to_string()
}

const FORMS: &str = "tip: one image is copied by 'countersign copy SOURCE DESTINATION'; those of galleries by 'countersign copy --gallery FILE --to NAME', with '--entry NAME' for one of them; all of a kit by 'countersign copy ocifile://KIT NAME'";

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn a_tip_says_what_to_type() {
    for (line, tips) in [
        (
            "test p.yaml",
            "tip: the command is 'countersign policy test'",
        ),
        ("trust sign x", "tip: the command is 'countersign sign'"),
        ("policy chek", "tip: a similar subcommand exists: 'check'"),
        ("verify --json x", "tip: for JSON, pass '--output json'"),
        (
            "verify --certificate-identity-regexp=x y",
            "tip: pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it",
        ),
        (
            "verify --max-workers=4 x",
            "tip: leave it out: several images are verified side by side",
        ),
        (
            "triangulate x",
            "tip: to see what is attached to an image, run 'countersign tree'",
        ),
        (
            "verify --identity-regexp=x y",
            "tip: pass '--identity-regex'. It must match the whole identity; cosign's may match any part of it",
        ),
        (
            "verify --local-image x",
            "tip: name a layout on this machine as 'ocifile://DIR'",
        ),
        ("copy --to x.example.org/y", FORMS),
        ("copy ocifile://kit --to x.example.org/y", FORMS),
        ("copy ocifile://kit x.example.org/y --entry z", FORMS),
        ("copy --gallery x --to x.example.org/y chat", FORMS),
        ("remov x", "tip: a similar subcommand exists: 'remove'"),
        (
            "sign --key cosign.key x",
            "tip: images are signed without a key here, by who you are or by the CI's job; to sign with a key, run 'cosign sign --key FILE'. 'countersign verify --key FILE' verifies that",
        ),
        (
            "sign --tag v1 x",
            "tip: to write a tag once the image is signed, pass '--then-tag TAG'; a tag that the signature is to name stands in the reference, NAME:TAG@DIGEST",
        ),
        (
            "merge --tag x:v1 --then-tag latest x",
            "tip: to write one more tag, pass '--tag NAME:TAG' again",
        ),
        (
            "outdated --platform linux/arm64",
            "tip: leave it out: what is installed stays with its platform; for another one, run 'countersign install --platform OS/ARCH' with a '--store' of its own",
        ),
        (
            "upgrade --from ocifile://kit x",
            "tip: what is from a kit is upgraded by 'countersign install --from ocifile://KIT NAME'",
        ),
        (
            "--config x.toml list",
            "tip: write it behind the command: 'countersign list --config ...'",
        ),
        (
            "download attestation x",
            "tip: to write what a proven attestation says, run 'countersign verify --policy FILE --save-predicate FILE IMAGE'",
        ),
        (
            "save x",
            "tip: to copy an image with its signatures into a directory, run 'countersign copy --policy FILE IMAGE ocifile://DIR'; into a file, with 'ocifile://FILE.tar'",
        ),
        (
            "sign --output-signature s.sig x",
            "tip: leave it out: the signature is written to the registry; 'countersign verify --policy FILE --save DIR IMAGE' writes it into files",
        ),
        (
            "sign --registry-referrers-mode=oci-1-1 x",
            "tip: leave it out: the referrers of an image are always used, by the tag for them where a registry has no list",
        ),
        (
            "verify --timestamp-certificate-chain x y",
            "tip: the authorities are in a trusted root: pass '--trusted-root FILE'",
        ),
        (
            "verify --certificate-github-workflow-ref=refs/heads/main --certificate-github-workflow-repository acme/app x",
            "tip: write a policy file, and pass '--policy FILE' in the place of these options. The file: {issuer: '...', identity: '...', claims: {source_repository_ref: 'refs/heads/main', source_repository_uri: 'https://github.com/acme/app'}}",
        ),
        (
            "verify --certificate-identity=me --certificate-github-workflow-sha 12 --certificate-oidc-issuer-regexp https://a x",
            "tip: write a policy file, and pass '--policy FILE' in the place of these options; a pattern must match the whole text. The file: {identity: 'me', issuer_regex: 'https://a', claims: {source_repository_digest: '12'}}",
        ),
        (
            "verify --certificate-github-workflow-trigger=it's --certificate-github-workflow-name n x",
            "tip: write a policy file, and pass '--policy FILE' in the place of these options; no claim has a workflow's name: its file is in the identity. The file: {issuer: '...', identity: '...', claims: {build_trigger: 'it''s'}}",
        ),
        (
            "sign --timestamp-server-url x y",
            "tip: pass '--tsa-url URL'",
        ),
        (
            "sign -t v1 y",
            "tip: to write a tag once the image is signed, pass '--then-tag TAG'; for a time limit, '--timeout TIME'",
        ),
        ("verify -t 10s y", "tip: pass '--timeout TIME'"),
        ("merge -t x y", "tip: pass '--tag REPOSITORY:TAG'"),
        (
            "gallery list galleries.yaml",
            "tip: to see the entries of galleries, run 'countersign gallery show FILE'; what is installed, 'countersign list'",
        ),
        (
            "buildx imagetools inspect x",
            "tip: to see what an image is made of and what is attached to it, run 'countersign tree IMAGE'",
        ),
        (
            "delete docker://x.example.org/y:v1",
            "tip: nothing is deleted from registries here; 'crane delete' and 'skopeo delete' do that",
        ),
        (
            "delete chat",
            "tip: to remove what is installed, run 'countersign remove'",
        ),
        (
            "pull x",
            "tip: to verify an image and unpack it, run 'countersign install --policy FILE IMAGE DIRECTORY'",
        ),
        (
            "digest x",
            "tip: for the digest of a verified image, run 'countersign verify --policy FILE --print-digest IMAGE'",
        ),
        ("install --arch arm64 x y", "tip: pass '--platform OS/ARCH'"),
        (
            "install --force x y",
            "tip: to install the same digest again, pass '--reinstall'; an older image, '--allow-older'",
        ),
        (
            "verify --insecure-skip-verify x",
            "tip: there is no such option: nothing turns off what a policy asks for",
        ),
        (
            "install --dest d x",
            "tip: write the directory behind the image: 'countersign install IMAGE DIRECTORY'",
        ),
        (
            "install --gallery g.yaml --all",
            "tip: name the entries: 'countersign gallery show FILE' lists them",
        ),
        (
            "install --gallery g.yaml",
            "tip: write the names of entries behind it: 'countersign gallery show FILE' lists them",
        ),
        (
            "install --from ocifile://kit",
            "tip: write the names of entries behind it: 'countersign gallery show ocifile://KIT' lists them",
        ),
        (
            "upgrade --all",
            "tip: leave it out: without names, all that is installed from galleries is meant",
        ),
        (
            "audit --gallery g.yaml --entry chat",
            "tip: leave it out: all entries of the galleries are judged; 'countersign copy' has '--entry'",
        ),
        (
            "sign --new-bundle-format=false x",
            "tip: leave it out: signatures are bundles, the form of cosign 3. For the older form, 'sign' has '--format simple-signing' and '--format both', and a policy 'signature_formats'",
        ),
        (
            "sign --use-signing-config=false x",
            "tip: leave it out: the services are Sigstore's own, or those of '--signing-config FILE'",
        ),
        (
            "remove acme@chat",
            "tip: write 'chat': what is installed has one name, whatever gallery it is from",
        ),
        (
            "copy -a x.example.org/a:v1 y.example.org/b",
            "tip: skopeo's '-a' is '--all': leave it out, an index is copied with all that it lists",
        ),
        (
            "install --platform all x y",
            "tip: name one, such as linux/amd64; without '--platform' it is this machine's",
        ),
        (
            "copy x.example.org/a:v1 y.example.org/b -a",
            "tip: skopeo's '-a' is '--all': leave it out, an index is copied with all that it lists",
        ),
        (
            "ls x.example.org/a",
            "tip: tags are listed by 'crane ls' and 'skopeo list-tags'; only entries of galleries are listed here",
        ),
        (
            "list ./a",
            "tip: only entries of galleries are listed; 'countersign check DIRECTORY' compares what was installed into a directory",
        ),
        ("verify --verbose=true x", "tip: write '--verbose' alone"),
        ("sign --yes=true x", "tip: write '--yes' alone"),
        ("verify --offline=true x", "tip: write '--offline' alone"),
        (
            "verify --output text x",
            "tip: cosign's 'text' is 'human' here, which is the default",
        ),
        (
            "verify --rekor-url http://x y",
            "tip: the keys of logs are in a trusted root: pass '--trusted-root FILE'",
        ),
        (
            "version --format json",
            "tip: for JSON, pass '--output json'",
        ),
        (
            "copy --all x y",
            "tip: leave it out: an index is copied with all that it lists; name each tag",
        ),
        (
            "policy check --policy pol.yaml",
            "tip: the policy file stands by itself: 'countersign policy check FILE'",
        ),
        (
            "buildx imagetools create x",
            "tip: to join images into one and sign it, run 'countersign merge'",
        ),
        (
            "mutate x",
            "tip: images are made and tagged by other tools, such as docker and crane; then run 'countersign sign IMAGE@DIGEST'",
        ),
        ("copy --gallery g.yaml chat ocifile://kit", FORMS),
        ("copy --gallery g.yaml chat tool ocifile://kit", FORMS),
        (
            "upgrade --gallery x ./dir",
            "tip: entries are upgraded by their names in 'countersign list'; what was installed into a directory is upgraded by 'countersign install REFERENCE DIRECTORY'",
        ),
    ] {
        let said = said_of(line);
        let found: Vec<&str> = said.lines().filter(|line| line.contains("tip")).collect();
        assert_eq!(found, [format!("  {tips}")], "{line}");
    }
}

/// The commands of a group are about its subject: a command of that name elsewhere is not meant.
#[test]
fn a_tip_for_a_group_is_about_its_subject() {
    for (line, tips) in [
        (
            "trust list",
            "tip: to see the trusted root, run 'countersign trust show'",
        ),
        (
            "trust init",
            "tip: to fetch the trusted root now, run 'countersign trust update'",
        ),
        (
            "policy show",
            "tip: to see what a policy file asks for, run 'countersign policy check FILE'",
        ),
        (
            "gallery add x",
            "tip: a gallery is added by writing it into the gallery file, which 'countersign gallery check FILE' checks",
        ),
        (
            "gallery ls",
            "tip: to see the entries of galleries, run 'countersign gallery show FILE'; what is installed, 'countersign list'",
        ),
    ] {
        let said = said_of(line);
        let found: Vec<&str> = said.lines().filter(|line| line.contains("tip")).collect();
        assert_eq!(found, [format!("  {tips}")], "{line}");
    }
}

/// An operand where none is, or too many.
#[test]
fn an_operand_that_is_not_taken_is_answered_with_its_option() {
    for (line, tips) in [
        (
            "policy init quay.io/a/b:v1",
            "tip: to begin with the signers of an image, pass '--from REFERENCE'",
        ),
        (
            "policy test p.yaml case1",
            "tip: a file of cases, or the directory that 'verify --save' wrote, is named by '--case CASES'",
        ),
    ] {
        let said = said_of(line);
        let found: Vec<&str> = said.lines().filter(|line| line.contains("tip")).collect();
        assert_eq!(found, [format!("  {tips}")], "{line}");
    }
}

/// Whoever types `trim` does not mean `remove`.
#[test]
fn what_is_not_similar_is_not_suggested() {
    for name in [
        "trim",
        "stop",
        "resign-all",
        "mutter",
        "copy --clobbered x y",
        "verify --unity x",
    ] {
        let said = said_of(name);
        assert!(!said.contains("tip"), "{said}");
        // No lines are left where a tip was.
        assert!(!said.contains("\n\n\n"), "{said}");
    }
}

/// clap repeats what was typed, which has nothing to do with the mistake.
#[test]
fn the_usage_names_no_option_that_was_typed_by_the_way() {
    let said = said_of("--quiet verify --timeout 3s --nonsense x");
    let usage = said.lines().find(|line| line.starts_with("Usage: "));
    let expected = "Usage: countersign verify [OPTIONS] <REFERENCE>...";
    assert_eq!(usage, Some(expected), "{said}");
}

/// What is in a table must not be a command or an option by now.
#[test]
fn no_tip_hides_what_there_is() {
    let program = Arguments::command();
    for name in COMMANDS.iter().flat_map(|(names, _)| *names) {
        let known = program.find_subcommand(name).is_some();
        assert!(
            !known,
            "`{name}` is a command by now: its tip in COMMANDS goes"
        );
    }
    for option in OPTIONS.iter().flat_map(|(options, _)| *options) {
        let long = option.trim_start_matches('-');
        let mut commands = program.get_subcommands();
        assert!(
            commands.all(|command| command
                .get_arguments()
                .all(|known| known.get_long() != Some(long))),
            "`{option}` is an option by now: its tip in OPTIONS goes"
        );
    }
}

/// `audit` judges all entries, and a file of galleries has a flag.
#[test]
fn what_an_audit_is_of_is_said_where_something_else_is_named() {
    for (line, expected) in [
        (
            "audit galleries.yaml",
            "error: unexpected argument 'galleries.yaml': for a gallery file, pass '--gallery galleries.yaml'",
        ),
        (
            "audit --gallery g.yaml chat",
            "error: unexpected argument 'chat': all entries of the galleries are judged",
        ),
    ] {
        let said = said_of(line);
        assert!(said.starts_with(expected), "{said}");
    }
}

/// `audit` takes no references: clap would speak of a subcommand.
#[test]
fn an_image_to_audit_belongs_in_a_file() {
    for line in [
        "audit --policy p.yaml quay.io/a/b:v1",
        "audit quay.io/a/b:v1",
    ] {
        let said = said_of(line);
        assert!(
            said.starts_with(
                "error: unexpected argument 'quay.io/a/b:v1': images are read from a file"
            ),
            "{said}"
        );
        assert!(!said.contains("subcommand"), "{said}");
    }
}

#[test]
fn nothing_is_named_like_an_option() {
    let said = said_of("verify --experimental-nonsense x");
    assert!(!said.contains("as a value"), "{said}");
    assert!(!said.contains("tip:"), "{said}");
}

/// clap names all options of a group, whichever were typed.
#[test]
fn only_options_that_were_typed_are_in_conflict() {
    for (line, expected) in [
        (
            "audit --policy x --images y --issuer a",
            "the argument '--policy <FILE>' cannot be used with '--issuer <URL>'",
        ),
        (
            "audit --policy x --images y --certificate-identity=a",
            "the argument '--policy <FILE>' cannot be used with '--identity <IDENTITY>'",
        ),
    ] {
        let said = said_of(line);
        assert!(said.contains(expected), "{said}");
    }
}

/// Of each table: what a program of others has, and nothing twice.
#[test]
fn each_option_has_one_tip() {
    let mut all: Vec<&str> = OPTIONS
        .iter()
        .flat_map(|(options, _)| *options)
        .copied()
        .collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (commands, options, _) in OPTIONS_OF {
        for command in *commands {
            all.extend(options.iter().map(|option| (*command, *option)));
        }
    }
    all.extend(PAIRS.iter().map(|(first, second, _)| (*first, *second)));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "{all:?}");
}
