//! `deploy/kubernetes/audit-job.yaml`: what its pods run, run here, one part after the other.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use countersign_sandbox::Standing;
use serde_json::Value;

use crate::audit::{expected, filled};
use crate::stage::{RELEASE, Stage, run};

const INDEX: &str = "$(JOB_COMPLETION_INDEX)";

fn job() -> (String, Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("deploy/kubernetes/audit-job.yaml")).unwrap();
    let job = serde_saphyr::from_str(&text).unwrap();
    (text, job)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// With a gallery that has an image in every standing. A pod has nothing but this file.
async fn stage() -> Stage {
    let stage = filled(Stage::new().await);
    let entries = Standing::ALL.map(|one| {
        let name = one.as_str();
        let uri = stage.reference(&format!("app:{name}"));
        format!("- {{name: {name}, uri: '{uri}'}}\n")
    });
    stage.write("etc/index.yaml", entries.concat());
    let policy = stage.policy(RELEASE) + "  not_before: 2025-01-01T00:00:00Z\n";
    let policy = policy.replace('\n', "\n    ");
    let root = stage.path("trusted_root.json");
    let galleries = format!(
        "galleries:\n  - name: acme\n    url: file:index.yaml\n    {policy}  trust: {{trusted_root: '{}'}}\n",
        root.display()
    );
    stage.write("etc/galleries.yaml", galleries);
    stage
}

/// What the container is, where it is right about the Job that it is in.
fn container(job: &Value) -> &Value {
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"], "Indexed");
    let container = &spec["template"]["spec"]["containers"][0];
    // As many pods as parts, whichever way the file is changed.
    let shard = format!("--shard={INDEX}+1/{}", spec["completions"]);
    assert!(
        container["args"]
            .as_array()
            .unwrap()
            .contains(&shard.into())
    );
    let mut environment = container["env"].as_array().unwrap().iter();
    let index = environment.find(|one| one["name"] == "JOB_COMPLETION_INDEX");
    // Kubernetes API, "Indexed Jobs".
    assert_eq!(
        index.unwrap()["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    );
    let mounts = container["volumeMounts"].as_array().unwrap().iter();
    let mounts: HashSet<String> = mounts.map(|one| text(&one["mountPath"])).collect();
    assert!(mounts.contains("/etc/countersign") && mounts.contains("/cache"));
    container
}

/// What the pod with this index prints.
fn pod(stage: &Stage, container: &Value, index: u64) -> String {
    let here = |path: &str| {
        let etc = stage.path("etc").display().to_string();
        let cache = stage.path("cache").display().to_string();
        path.replace("/etc/countersign", &etc)
            .replace("/cache", &cache)
            .replace(INDEX, &index.to_string())
    };
    let arguments = container["args"].as_array().unwrap().iter();
    let arguments: Vec<String> = arguments.map(|one| here(&text(one))).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = stage.command(&arguments);
    command.env_remove("HOME");
    for one in container["env"].as_array().unwrap() {
        let value = one["value"]
            .as_str()
            .map_or_else(|| index.to_string(), here);
        command.env(text(&one["name"]), value);
    }
    let audited = run(&mut command);
    assert_eq!(audited.code, 0, "{index}: {}", audited.shown());
    audited.stdout
}

#[tokio::test]
async fn the_pods_of_a_job_audit_all_of_a_gallery() {
    let stage = stage().await;
    let (job_text, job) = job();
    let container = container(&job);
    let parts = 0..job["spec"]["completions"].as_u64().unwrap();
    let files = parts.map(|index| {
        let file = format!("countersign-audit-{index}.jsonl");
        stage.write(&file, pod(&stage, container, index));
        file
    });
    let files: Vec<String> = files.collect();

    // The last line of what the file says to do.
    let merge = "countersign audit merge --html report.html countersign-audit-*.jsonl";
    assert!(job_text.contains(&format!("#   {merge}\n")));
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let merge = ["audit", "merge", "--html", "report.html"];
    let merged = stage.run(&[&merge, &["--output=json", "--fail-on=none"], &files]);
    assert_eq!(merged.code, 0, "{}", merged.shown());
    assert!(stage.path("report.html").exists());
    let merged = merged.json();
    let results = merged["results"].as_array().unwrap().iter();
    let mut states: Vec<String> = results.map(|one| text(&one["state"])).collect();
    let mut wanted = Standing::ALL.map(|one| expected(one).to_owned()).to_vec();
    states.sort();
    wanted.sort();
    assert_eq!(states, wanted);
    let whole = ["audit", "--gallery=etc/galleries.yaml", "--output=json"];
    let whole = stage.run(&[&whole]).json();
    assert_eq!(merged["summary"]["states"], whole["summary"]["states"]);
}
