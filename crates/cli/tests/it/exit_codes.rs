//! Every exit code from its real cause, as a person sees it and as JSON.

use countersign_oci::Descriptor;
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{ClosedPort, Effect, Fault, Sigstore};

use crate::stage::{POLICY, RELEASE, STRANGER, Stage, TRUST, image};

const JSON: [&str; 2] = ["--output", "json"];

#[tokio::test]
async fn signing_verifying_and_installing_succeed_with_0() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let signed = stage.sign(&["--identity-token", "@token", &app]);
    assert_eq!(signed.code, 0);
    stage.snapshot("success_sign", &signed);

    let verified = stage.verify(&[&app]);
    assert_eq!(verified.code, 0);
    stage.snapshot("success_verify", &verified);

    let installed = stage.install(&[&app, "here"]);
    assert_eq!(installed.code, 0);
    stage.snapshot("success_install", &installed);
    let content = std::fs::read_to_string(stage.path("here/bin/app")).unwrap();
    assert_eq!(content, "linux/amd64");
}

#[tokio::test]
async fn success_in_json() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let signed = stage.sign(&["--identity-token", "@token", &app, JSON[0], JSON[1]]);
    let document = signed.json();
    assert_eq!(document["results"].as_array().unwrap().len(), 3);
    stage.snapshot("json_sign", &signed);

    let verified = stage.verify(&[&app, JSON[0], JSON[1]]);
    assert_eq!(verified.json()["results"][0]["verified"], true);
    stage.snapshot("json_verify", &verified);

    let installed = stage.install(&[&app, "here", JSON[0], JSON[1]]);
    assert_eq!(installed.json()["results"][0]["directory"], "here");
    stage.snapshot("json_install", &installed);
}

/// Verify and install end with the same code; the JSON says what the text says.
fn fails(stage: &Stage, name: &str, code: i32, kind: &str) {
    let app = stage.reference("app:v1");
    let verified = stage.verify(&[&app]);
    assert_eq!(verified.code, code, "{}", verified.stderr);
    assert_eq!(verified.stdout, "");
    stage.snapshot(&format!("{name}_verify"), &verified);

    let installed = stage.install(&[&app, "here"]);
    assert_eq!(installed.code, code, "{}", installed.stderr);
    assert_eq!(installed.stdout, "");
    stage.snapshot(&format!("{name}_install"), &installed);
    assert!(!stage.path("here").exists(), "nothing is left behind");

    let installed = stage.install(&[&app, "here", JSON[0], JSON[1]]);
    assert_eq!(installed.code, code);
    let error = &installed.json()["results"][0]["error"];
    assert_eq!(error["kind"], kind);
    assert_eq!(error["exit_code"], code);
    assert!(error["message"].is_string());
    assert!(error["causes"].is_array());
    assert!(error["hints"].is_array());
    let verified = stage.verify(&[&app, JSON[0], JSON[1]]);
    let result = &verified.json()["results"][0];
    assert_eq!(result["verified"], false);
    assert_eq!(result["error"]["kind"], kind);
    stage.snapshot(&format!("{name}_json"), &verified);
}

#[tokio::test]
async fn a_result_that_can_not_be_written_is_1() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let full = std::fs::File::create("/dev/full").unwrap();
    let arguments = [
        "verify",
        "--policy",
        "policy.yaml",
        "--trusted-root",
        "trusted_root.json",
        &app,
    ];
    let mut command = stage.command(&arguments);
    command.stdout(full).stderr(std::process::Stdio::piped());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("can't be written to standard output"),
        "{said}"
    );
}

#[tokio::test]
async fn no_signature_is_3() {
    let stage = Stage::new().await;
    fails(&stage, "unsigned", 3, "unsigned");
}

#[tokio::test]
async fn another_signer_is_4() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    fails(&stage, "other_signer", 4, "policy");
}

#[tokio::test]
async fn a_denied_index_is_4_though_the_platforms_manifest_is_signed() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    let platform = ["--platform", "linux/amd64"];
    assert_eq!(stage.verify(&[platform[0], platform[1], &app]).code, 0);
    let index = stage.index.digest();
    let denying = format!("{}  deny_digests: [\"{index}\"]\n", stage.policy(RELEASE));
    stage.write("policy.yaml", denying);
    let pinned = stage.reference(&format!("app@{index}"));
    for (reference, named) in [
        (&app, format!("{app} ({index})")),
        (&pinned, pinned.clone()),
    ] {
        let run = stage.verify(&[platform[0], platform[1], reference, JSON[0], JSON[1]]);
        assert_eq!(run.code, 4);
        let error = &run.json()["results"][0]["error"];
        assert_eq!(error["kind"], "policy");
        assert_eq!(error["message"], format!("the policy denies {named}"));
    }
}

#[tokio::test]
async fn a_signature_by_an_instance_that_is_not_trusted_is_5() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let other = Sigstore::start().await.unwrap();
    stage.write("trusted_root.json", other.trusted_root_json());
    fails(&stage, "untrusted", 5, "invalid");
}

#[tokio::test]
async fn no_such_tag_is_6() {
    let stage = Stage::new().await;
    let missing = stage.reference("app:missing");
    let verified = stage.verify(&[&missing]);
    assert_eq!(verified.code, 6);
    stage.snapshot("no_such_tag", &verified);
    assert_eq!(stage.install(&[&missing, "here"]).code, 6);
    let sign = stage.sign(&["--identity-token", "@token", &missing, JSON[0], JSON[1]]);
    assert_eq!(sign.code, 6);
    assert_eq!(sign.json()["error"]["kind"], "not_found");
}

#[tokio::test]
async fn no_such_platform_is_6_and_those_that_there_are_are_named() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let run = stage.verify(&["--platform", "windows/amd64", &app]);
    assert_eq!(run.code, 6);
    stage.snapshot("no_such_platform", &run);
}

#[tokio::test]
async fn a_single_image_for_another_platform_is_6_too() {
    let stage = Stage::new().await;
    stage.push_unsigned("single");
    stage.signed("app:single", RELEASE);
    let app = stage.reference("app:single");
    assert_eq!(stage.verify(&["--platform", "linux/s390x", &app]).code, 0);
    let run = stage.verify(&["--platform", "linux/amd64", &app]);
    assert_eq!(run.code, 6, "{}", run.shown());
    let says = "is for another platform: expected linux/amd64, found linux/s390x";
    assert!(run.stderr.contains(says), "{}", run.shown());
}

#[tokio::test]
async fn an_image_that_is_installed_is_for_no_other_platform_because_of_that() {
    let stage = Stage::new().await;
    stage.push_unsigned("single");
    stage.signed("app:single", RELEASE);
    let app = stage.reference("app:single");
    let install = |platform: &str, more: &[&str]| {
        let words = ["install", "--platform", platform, &app, "here"];
        stage.run(&[&words, &TRUST, &POLICY, more])
    };
    let first = install("linux/s390x", &[]);
    assert_eq!(first.code, 0, "{}", first.shown());
    let nothing: &[&str] = &[];
    for more in [nothing, &["--dry-run"], &["--reinstall"]] {
        let run = install("linux/amd64", more);
        assert_eq!(run.code, 6, "{more:?}: {}", run.shown());
        let says = "is for another platform: expected linux/amd64, found linux/s390x";
        assert!(run.stderr.contains(says), "{more:?}: {}", run.shown());
    }
    let same = install("linux/s390x", &[]);
    assert!(same.stdout.contains("is up to date"), "{}", same.shown());
}

#[tokio::test]
async fn an_index_that_names_another_platform_for_an_image_is_6_whichever_is_signed() {
    let stage = Stage::new().await;
    let child = stage.index.images()[1].clone();
    assert_eq!(child.descriptor().platform, "linux/arm64".parse().ok());
    let descriptor = Descriptor {
        platform: "linux/amd64".parse().ok(),
        ..child.descriptor()
    };
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [descriptor] });
    let bytes = serde_json::to_vec(&index).unwrap();
    let index_type = countersign_oci::media_type::OCI_INDEX;
    stage
        .registry
        .put_manifest("app", index_type, bytes, Some("lie"));
    let lie = stage.reference("app:lie");
    // First the manifest alone is signed, and then the index too.
    stage.signed(&format!("app@{}", child.digest()), RELEASE);
    for signed in ["manifest", "index"] {
        if signed == "index" {
            stage.signed("app:lie", RELEASE);
        }
        let run = stage.verify(&["--platform", "linux/amd64", &lie, JSON[0], JSON[1]]);
        assert_eq!(run.code, 6, "{}", run.shown());
        let error = &run.json()["results"][0]["error"];
        let message = error["message"].as_str().unwrap();
        let says = "is for another platform: expected linux/amd64, found linux/arm64";
        assert!(message.ends_with(says), "{message}");
        let installed = stage.install(&[&lie, "here", JSON[0], JSON[1]]);
        assert_eq!(installed.code, 6, "{}", installed.shown());
        assert_eq!(installed.json()["results"][0]["error"]["message"], *message);
    }
}

#[tokio::test]
async fn verify_and_install_accept_a_signature_of_either_and_verify_says_which() {
    let stage = Stage::new().await;
    let app = stage.reference("app:v1");
    let manifest = stage.index.images()[0].digest();
    let platform = ["--platform", "linux/amd64"];
    stage.signed(&format!("app@{manifest}"), RELEASE);
    for signed in ["manifest", "index"] {
        if signed == "index" {
            stage.signed("app:v1", RELEASE);
        }
        let run = stage.verify(&[platform[0], platform[1], &app, JSON[0], JSON[1]]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let result = &run.json()["results"][0];
        assert_eq!(result["signed"], signed);
        assert_eq!(result["manifest"], manifest.to_string());
        let text = stage.verify(&[platform[0], platform[1], &app]).stdout;
        assert!(text.contains(&format!("by         the {signed}")), "{text}");
        let installed = stage.install(&[&app, signed]);
        assert_eq!(installed.code, 0, "{}", installed.shown());
    }
}

#[tokio::test]
async fn a_registry_that_is_down_is_7() {
    let stage = Stage::new().await;
    let nobody = ClosedPort::hold().unwrap();
    let app = format!("{}/app:v1", nobody.address());
    let run = stage.verify(&[&app, JSON[0], JSON[1]]);
    assert_eq!(run.code, 7);
    assert_eq!(run.json()["results"][0]["error"]["kind"], "unreachable");
}

/// 7 is for what may work later, and for nothing else.
#[tokio::test]
async fn an_answer_that_stays_the_same_is_9() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let app = stage.reference("app:v1");
    for effect in [
        Effect::status(401),
        Effect::status(403),
        Effect::status(400),
        Effect::Redirect("http://10.0.0.1".to_owned()),
    ] {
        let fault = Fault::on("GET /v2/app/manifests/v1", effect);
        stage.registry.add_fault(fault);
        let run = stage.verify(&[&app, JSON[0], JSON[1]]);
        stage.registry.clear_faults();
        assert_eq!(run.code, 9, "{}", run.shown());
        let error = &run.json()["results"][0]["error"];
        assert_eq!(error["kind"], "rejected");
        assert_eq!(error["exit_code"], 9);
    }
    stage
        .registry
        .add_fault(Fault::on("GET /v2/app/manifests/v1", Effect::status(503)));
    assert_eq!(stage.verify(&[&app]).code, 7);
}

#[tokio::test]
async fn all_references_are_judged_and_the_worst_failure_gives_the_code() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.push_unsigned("unsigned");
    let (unsigned, good, missing) = (
        stage.reference("app:unsigned"),
        stage.reference("app:v1"),
        stage.reference("app:missing"),
    );
    let run = stage.verify(&[&unsigned, &good, &missing]);
    assert_eq!(run.code, 3);
    stage.snapshot("several_references", &run);
    let run = stage.verify(&[&missing, &good, &unsigned, JSON[0], JSON[1]]);
    assert_eq!(run.code, 3);
    let document = run.json();
    let verdicts: Vec<_> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["verified"].as_bool().unwrap())
        .collect();
    assert_eq!(verdicts, [false, true, false]);
}

#[tokio::test]
async fn many_references_are_told_in_the_order_they_were_given() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.push_unsigned("unsigned");
    let (good, unsigned) = (stage.reference("app:v1"), stage.reference("app:unsigned"));
    let references: Vec<&str> = (0..30)
        .map(|number| if number % 7 == 3 { &unsigned } else { &good }.as_str())
        .collect();
    let run = stage.verify(&[&references[..], &JSON].concat());
    assert_eq!(run.code, 3);
    let document = run.json();
    let told = document["results"].as_array().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|result| result["reference"].as_str().unwrap())
        .collect();
    assert_eq!(told, references);
}

#[tokio::test]
async fn a_proven_digest_is_printed_for_another_program() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let run = stage.verify(&[&stage.reference("app:v1"), JSON[0], JSON[1]]);
    let index = run.json()["results"][0]["evidence"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    stage.push_unsigned("unsigned");
    let (good, unsigned) = (stage.reference("app:v1"), stage.reference("app:unsigned"));
    let repository = good.strip_suffix(":v1").unwrap();
    let run = stage.verify(&["--print-digest", &unsigned, &good]);
    assert_eq!(run.code, 3);
    assert_eq!(run.stdout, format!("{repository}@{index}\n"));
    let run = stage.verify(&["--print-digest", "--quiet", &good]);
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("{repository}@{index}\n"))
    );
    let run = stage.verify(&["--print-digest", &good, "--output", "human"]);
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("{repository}@{index}\n"))
    );
    let run = stage.verify(&["--print-digest", &good, JSON[0], JSON[1]]);
    assert_eq!(run.code, 2, "{}", run.shown());
}

#[tokio::test]
async fn each_platform_is_told_on_its_own_and_the_worst_gives_the_code() {
    let stage = Stage::new().await;
    let (app, all) = (stage.reference("app:v1"), "--all-platforms");
    let manifest = stage.index.images()[0].digest();
    stage.signed(&format!("app@{manifest}"), RELEASE);
    let run = stage.verify(&[all, &app, JSON[0], JSON[1]]);
    assert_eq!(run.code, 3);
    let told = run.json()["results"].clone();
    assert_eq!(told[0]["platform"], "linux/amd64");
    assert_eq!(told[0]["signed"], "manifest");
    assert_eq!(told[0]["manifest"], manifest.to_string());
    assert_eq!(told[1]["platform"], "linux/arm64");
    assert_eq!(told[1]["error"]["kind"], "unsigned");
    let run = stage.verify(&[all, "--print-digest", &app]);
    let repository = app.strip_suffix(":v1").unwrap();
    assert_eq!(run.stdout, format!("{repository}@{manifest}\n"));

    stage.signed("app:v1", RELEASE);
    stage.registry.reset_requests();
    let run = stage.verify(&[all, &app]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let requests = stage.registry.requests();
    let listed = requests
        .iter()
        .filter(|request| request.line().contains("/referrers/"));
    assert_eq!(
        listed.count(),
        1,
        "the index is verified once for all: {requests:?}"
    );
    for platform in ["linux/amd64", "linux/arm64"] {
        let line = format!("verified {app} for {platform}: sha256:");
        assert!(run.stdout.contains(&line), "{}", run.stdout);
    }
    assert_eq!(run.stdout.lines().count(), 2, "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| line.ends_with(RELEASE)));
    let details = stage.verify(&[all, "--verbose", &app]);
    assert!(
        details.stdout.contains("  log entry  "),
        "{}",
        details.stdout
    );
    // An image that is no index has one verdict.
    let run = stage.verify(&[all, &format!("{repository}@{manifest}"), JSON[0], JSON[1]]);
    assert_eq!(run.json()["results"].as_array().unwrap().len(), 1);
    assert_eq!(run.code, 0);
}

#[tokio::test]
async fn of_several_images_for_one_platform_each_is_judged() {
    let stage = Stage::new().await;
    let amd64 = "linux/amd64".parse().unwrap();
    let hidden = Image::builder(amd64).annotation("build", "2").build();
    let index = ImageIndex::new(vec![image("linux/amd64"), hidden.clone()]);
    index.push(&stage.registry, "app", Some("v2"));
    let (app, first) = (stage.reference("app:v2"), index.images()[0].digest());
    stage.signed(&format!("app@{first}"), RELEASE);
    assert_eq!(stage.verify(&["--platform", "linux/amd64", &app]).code, 0);
    let run = stage.verify(&["--all-platforms", &app, JSON[0], JSON[1]]);
    assert_eq!(run.code, 3, "{}", run.shown());
    let told = run.json()["results"].clone();
    assert_eq!(told[0]["manifest"], first.to_string());
    assert_eq!(told[1]["platform"], "linux/amd64");
    assert_eq!(told[1]["error"]["kind"], "unsigned");

    stage.signed(&format!("app@{}", hidden.digest()), RELEASE);
    let run = stage.verify(&["--all-platforms", "--print-digest", &app]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 2));
}
