//! Memory that hostile documents take: pages of referrers lists and indexes of 4 MiB, made of as many
//! small parts as fit in. Alone in its binary, because what is measured is the whole process.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use countersign_oci::{Digest, Error, Options, Registry, Repository, media_type};

const DOCUMENT: usize = 4 << 20;
/// KiB.
const BOUND: usize = 64 << 10;

/// Serves `body` to every request, for ever.
fn serve(body: Arc<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                media_type::OCI_INDEX,
                body.len()
            );
            // The client may have had enough.
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(body.as_bytes());
        }
    });
    address
}

/// A figure of this process, in KiB.
fn figure(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let figure = line.split_ascii_whitespace().nth(1).unwrap();
    figure.parse().unwrap()
}

/// `before`, then as many of `part` as fit into 4 MiB, then `after`.
fn filled(before: &str, part: impl Fn(usize) -> String, after: &str) -> String {
    let mut text = String::with_capacity(DOCUMENT);
    text.push_str(before);
    let mut number = 0;
    loop {
        let mut next = part(number);
        if number > 0 {
            next.insert(0, ',');
        }
        if text.len() + next.len() + after.len() > DOCUMENT {
            break;
        }
        text.push_str(&next);
        number += 1;
    }
    text.push_str(after);
    text
}

fn entry(number: usize, more: &str) -> String {
    let digest = Digest::sha256(&number.to_le_bytes());
    format!(r#"{{"mediaType":"","digest":"{digest}","size":0{more}}}"#)
}

#[expect(clippy::too_many_lines, reason = "a table of answers")]
fn pages() -> Vec<(&'static str, String)> {
    let list = |part: &str| {
        filled(
            r#"{"schemaVersion":2,"manifests":["#,
            |_| part.to_owned(),
            "]}",
        )
    };
    let long = |part: &str| part.repeat((DOCUMENT - 100) / part.len());
    vec![
        ("numbers", list("0")),
        ("empty entries", list("{}")),
        ("entries with a field", list(r#"{"":0}"#)),
        ("lists in the list", list("[]")),
        (
            "descriptors",
            filled(
                r#"{"schemaVersion":2,"manifests":["#,
                |n| entry(n, ""),
                "]}",
            ),
        ),
        (
            "descriptors with an annotation",
            filled(
                r#"{"schemaVersion":2,"manifests":["#,
                |n| entry(n, r#","annotations":{"":""}"#),
                "]}",
            ),
        ),
        (
            "descriptors with annotations that fill the page",
            filled(
                r#"{"schemaVersion":2,"manifests":["#,
                |n| {
                    let annotations: Vec<String> =
                        (0..24).map(|a| format!(r#""{a:02}":"y""#)).collect();
                    entry(
                        n,
                        &format!(r#","annotations":{{{}}}"#, annotations.join(",")),
                    )
                },
                "]}",
            ),
        ),
        (
            "one descriptor with many annotations",
            filled(
                format!(
                    r#"{{"schemaVersion":2,"manifests":[{}"#,
                    entry(0, r#","annotations":{"#)
                )
                .trim_end_matches('}'),
                |n| format!(r#""{n:x}":"""#),
                "}}]}",
            ),
        ),
        (
            "annotations of the index",
            filled(
                r#"{"schemaVersion":2,"manifests":[],"annotations":{"#,
                |n| format!(r#""{n:x}":"""#),
                "}}",
            ),
        ),
        ("fields", filled("{", |n| format!(r#""{n:x}":0"#), "}")),
        (
            "a long text",
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}"}}]}}"#,
                long("x")
            ),
        ),
        (
            "a long text of escapes",
            format!(
                r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}"}}]}}"#,
                long("\\u0001")
            ),
        ),
        (
            "a deep list",
            format!(r#"{{"schemaVersion":2,"manifests":[{}"#, long("[")),
        ),
    ]
}

/// What `work` takes beyond `before`. The memory that the documents before it left behind counts,
/// so that the figure is rather too high than too low.
async fn measured<T>(
    before: usize,
    name: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> usize {
    // Sets the peak to what is used now (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let start = std::time::Instant::now();
    let outcome = match work.await {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string().chars().take(100).collect(),
    };
    let taken = figure("VmHWM:").saturating_sub(before);
    let time = start.elapsed().as_millis();
    println!("{name}: {taken} KiB, {time} ms: {outcome}");
    taken
}

#[tokio::test]
async fn a_document_of_4_mib_takes_less_than_64_mib() {
    let mut over = Vec::new();
    let pages = pages();
    let before = figure("VmRSS:");
    for (name, page) in pages {
        let digest = Digest::sha256(page.as_bytes());
        let address = serve(Arc::new(page));
        let repository: Repository = format!("{address}/a/b").parse().unwrap();
        let pinned = repository.at(digest);
        let client = Registry::new(Options::default()).unwrap();
        let subject = repository.at(Digest::sha256(b"subject"));
        let list = measured(before, &format!("list, {name}"), client.referrers(&subject)).await;
        let index = measured(before, &format!("index, {name}"), client.manifest(&pinned)).await;
        if list > BOUND || index > BOUND {
            over.push(name);
        }
    }
    assert_eq!(over, [""; 0]);
}
