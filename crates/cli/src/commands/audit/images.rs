//! The images of `--images`: a reference a line, or a list of pods as Kubernetes prints it.
//!
//! Lines are read as they are needed, so that a list may be longer than the memory. What is no reference is counted
//! as unusable, and never left out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use countersign_download::AuditSubject;
use countersign_oci::{Digest, Reference};
use futures_util::Stream;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::failure::{Failure, Kind};

/// How many lines are read ahead.
const AHEAD: usize = 256;
/// The longest line. The longest reference is far shorter.
const LINE_MAX: u64 = 8 << 10;
/// The largest list of pods. A cluster of 5,000 nodes prints about 1 GiB.
const PODS_MAX: u64 = 2 << 30;

/// The images of one list.
pub(super) struct Images {
    subjects: mpsc::Receiver<AuditSubject>,
    ended: oneshot::Receiver<Result<(), Failure>>,
}

impl Images {
    /// Opens the list; `-` is standard input. A thread of its own reads it.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let from: Box<dyn Read + Send> = match path.to_str() {
            Some("-") => Box::new(io::stdin()),
            _ => {
                let opened = File::open(path);
                Box::new(opened.map_err(|error| Failure::unreadable(path, WHAT, error))?)
            }
        };
        let (send, subjects) = mpsc::channel(AHEAD);
        let (end, ended) = oneshot::channel();
        let path = path.to_owned();
        std::thread::spawn(move || {
            // Whoever hung up is not interested any more.
            let _ = end.send(read(BufReader::new(from), &path, &send));
        });
        Ok(Self { subjects, ended })
    }

    /// The subjects, in their order.
    pub(super) fn subjects(&mut self) -> impl Stream<Item = AuditSubject> {
        futures_util::stream::poll_fn(|context| self.subjects.poll_recv(context))
    }

    /// Whether the list was read to its end.
    ///
    /// # Errors
    /// Why it was not. Then the verdicts so far are not all.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.ended.try_recv().unwrap_or_else(|_| {
            let message = "the list of images was not read to its end";
            Err(Failure::new(Kind::Internal, message))
        })
    }
}

const WHAT: &str = "list of images";

fn read(
    mut from: impl BufRead,
    path: &Path,
    subjects: &mpsc::Sender<AuditSubject>,
) -> Result<(), Failure> {
    let unreadable = |error| Failure::unreadable(path, WHAT, error);
    if begins_with_brace(&mut from).map_err(unreadable)? {
        for image in pods(from, path)? {
            let subject = match image {
                Image::Named(name) => subject(&name),
                Image::Unnamed { image, runs } => {
                    let reason =
                        format!("the node runs {runs}, and does not say of which repository it is");
                    AuditSubject::unusable(image, reason)
                }
            };
            if subjects.blocking_send(subject).is_err() {
                return Ok(());
            }
        }
        return Ok(());
    }
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = from.by_ref().take(LINE_MAX).read_until(b'\n', &mut line);
        if read.map_err(unreadable)? == 0 {
            return Ok(());
        }
        if line.len() as u64 == LINE_MAX && line.last() != Some(&b'\n') {
            let message = format!(
                "a line of the {WHAT} {} is longer than {LINE_MAX} bytes",
                path.display()
            );
            return Err(Failure::new(Kind::Usage, message).hint(
                "write one reference a line, or pass the JSON of `kubectl get pods -o json`",
            ));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if subjects.blocking_send(subject(text)).is_err() {
            return Ok(());
        }
    }
}

fn subject(text: &str) -> AuditSubject {
    // Never `ocifile://`: a list that others wrote must not lead to files of this machine.
    match text.parse::<Reference>() {
        Ok(reference) => AuditSubject::of_image(reference),
        Err(error) => AuditSubject::unusable(text.to_owned(), error.to_string()),
    }
}

/// Whether the first character that is not white space begins a JSON object. No reference begins so.
fn begins_with_brace(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = from.fill_buf()?;
        let Some(first) = buffer.first() else {
            return Ok(false);
        };
        if !first.is_ascii_whitespace() {
            return Ok(*first == b'{');
        }
        from.consume(1);
    }
}

/// A list of pods (Kubernetes API, `v1`), as far as it names images.
#[derive(Deserialize)]
struct PodList {
    kind: String,
    items: Vec<Pod>,
}

#[derive(Deserialize)]
struct Pod {
    /// Items of a `List` have one, those of a `PodList` may not.
    #[serde(default)]
    kind: Option<String>,
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
    #[serde(default)]
    ephemeral_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    name: String,
    image: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus {
    #[serde(default)]
    container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(default)]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(default, rename = "imageID")]
    image_id: String,
}

/// The images of all containers, each once. Where a container runs, its image is asked for by the digest that runs,
/// not by what the tag names now.
fn pods(from: impl Read, path: &Path) -> Result<BTreeSet<Image>, Failure> {
    let unusable = |cause: String| {
        let message = format!("{} is no list of pods: {cause}", path.display());
        Failure::new(Kind::Usage, message).hint("pass what `kubectl get pods -o json` prints")
    };
    let mut from = from.take(PODS_MAX);
    let list = serde_json::from_reader(&mut from);
    let list: PodList = list.map_err(|error| match from.limit() {
        0 => unusable(format!("it has more than {} GiB", PODS_MAX >> 30)),
        _ => unusable(error.to_string()),
    })?;
    let mut images = BTreeSet::new();
    if !["List", "PodList"].contains(&list.kind.as_str()) {
        let found = countersign_oci::excerpt(&list.kind);
        return Err(unusable(format!(
            "expected a List or a PodList, found {found}"
        )));
    }
    for pod in list.items {
        if let Some(kind) = pod.kind.filter(|kind| kind != "Pod") {
            let found = countersign_oci::excerpt(&kind);
            return Err(unusable(format!(
                "expected items of the kind Pod, found {found}"
            )));
        }
        let PodStatus {
            container_statuses,
            init_container_statuses,
            ephemeral_container_statuses,
        } = pod.status;
        let PodSpec {
            containers,
            init_containers,
            ephemeral_containers,
        } = pod.spec;
        for (containers, statuses) in [
            (containers, container_statuses),
            (init_containers, init_container_statuses),
            (ephemeral_containers, ephemeral_container_statuses),
        ] {
            images.extend(containers.into_iter().map(|one| running(one, &statuses)));
        }
    }
    Ok(images)
}

/// The image of a container.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Image {
    /// By the digest that runs, where the status names one.
    Named(String),
    /// A digest runs, of no repository. What the tag names now may be another image.
    Unnamed { image: String, runs: Digest },
}

fn running(container: Container, statuses: &[ContainerStatus]) -> Image {
    let status = statuses.iter().find(|one| one.name == container.name);
    // With containerd and CRI-O it is `repository@digest`; docker writes `docker-pullable://` before it.
    let id = status.map_or("", |status| status.image_id.as_str());
    let id = id.split_once("://").map_or(id, |(_, id)| id);
    if let Ok(runs) = id.parse::<Digest>() {
        let image = container.image;
        return Image::Unnamed { image, runs };
    }
    let runs = id.parse::<Reference>().ok();
    let runs = runs.and_then(|reference| reference.digest().cloned());
    Image::Named(match (container.image.parse::<Reference>(), runs) {
        (Ok(reference), Some(digest)) => reference.pinned_to(digest).to_string(),
        (Ok(_) | Err(_), _) => container.image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn listed(text: &str) -> Result<Vec<String>, String> {
        let (send, mut receive) = mpsc::channel(AHEAD);
        let done = read(text.as_bytes(), Path::new("list"), &send);
        drop(send);
        done.map_err(|failure| failure.to_json().message)?;
        let mut found = Vec::new();
        while let Ok(subject) = receive.try_recv() {
            found.push(subject.to_string());
        }
        Ok(found)
    }

    #[test]
    fn a_list_has_a_reference_a_line() {
        let text = "\n  quay.io/a/b:1\r\n# not this\n\nquay.io/a/c:2";
        assert_eq!(listed(text).unwrap(), ["quay.io/a/b:1", "quay.io/a/c:2"]);
        assert_eq!(listed(""), Ok(Vec::new()));
        // It is audited as unusable.
        assert_eq!(listed("no reference"), Ok(vec!["no reference".into()]));
        let long = "a".repeat(9 << 10);
        assert!(listed(&long).unwrap_err().contains("longer than 8192"));
    }

    #[test]
    fn pods_are_asked_for_what_runs() {
        let pod = |image_id: &str| {
            format!(
                r#"{{"kind": "Pod", "spec": {{"containers": [{{"name": "a", "image": "quay.io/a/b:1"}}],
                "initContainers": [{{"name": "a", "image": "quay.io/a/init:1"}}]}},
                "status": {{"containerStatuses": [{{"name": "a", "imageID": "{image_id}"}}]}}}}"#
            )
        };
        let running = format!("quay.io/a/b@{DIGEST}");
        let docker = format!("docker-pullable://quay.io/a/b@{DIGEST}");
        let items = [pod(&running), pod(&docker), pod(""), pod(DIGEST)].join(",");
        let list = format!(r#" {{"kind": "List", "apiVersion": "v1", "items": [{items}]}}"#);
        assert_eq!(
            listed(&list).unwrap(),
            [
                "quay.io/a/b:1".to_owned(),
                format!("quay.io/a/b:1@{DIGEST}"),
                "quay.io/a/init:1".to_owned(),
                // A digest runs that names no repository. It is told, and the tag is not judged in its place.
                "quay.io/a/b:1".to_owned(),
            ]
        );
    }

    #[test]
    fn what_is_no_list_of_pods_is_refused() {
        for (text, says) in [
            (r#"{"kind": "Pod"}"#, "missing field `items`"),
            (
                r#"{"kind": "NodeList", "items": []}"#,
                "expected a List or a PodList",
            ),
            (
                r#"{"kind": "List", "items": [{"kind": "Node", "spec": {"containers": []}}]}"#,
                "expected items of the kind Pod, found Node",
            ),
            (r#"{"kind": "List", "items": ["#, "EOF"),
        ] {
            let said = listed(text).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
