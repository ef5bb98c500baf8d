//! Streaming blobs over connections that break.

use std::sync::Mutex;
use std::time::Duration;

use countersign_oci::{Descriptor, Error, Registry, Result};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::common::{answer, client, options, repository, requests, text_of};
use super::script::{Script, Then, raw};

const OCTETS: &str = "application/octet-stream";
const CONTENT: &str = "0123456789";

fn descriptor() -> Descriptor {
    Descriptor::of(OCTETS, CONTENT.as_bytes())
}

/// What is written before the transfer ends or fails.
async fn fetch(
    client: &Registry,
    repository: &countersign_oci::Repository,
    descriptor: &Descriptor,
) -> (Result<()>, String) {
    let mut into = Vec::new();
    let result = client
        .fetch_blob(&repository.clone().into(), descriptor, &mut into, &|_| {})
        .await;
    (result, String::from_utf8(into).unwrap())
}

async fn fetch_script(answers: Vec<(String, Then)>) -> (Result<()>, String, Vec<String>) {
    let script = Script::start(answers).await;
    let (result, written) = fetch(&client(), &script.repository(), &descriptor()).await;
    (result, written, script.heads().await)
}

/// The first four bytes of ten, and the end of the connection.
fn cut(headers: &str) -> (String, Then) {
    let headers = format!("{headers}content-length: 10\n");
    (raw("200 OK", &headers, "0123"), Then::Close)
}

fn rest(range: &str) -> (String, Then) {
    let headers = format!("content-length: 6\ncontent-range: bytes {range}\n");
    (raw("206 Partial Content", &headers, "456789"), Then::Close)
}

#[tokio::test]
async fn a_blob_is_taken_as_it_is_sent_whatever_coding_it_is_said_to_have() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(answer(OCTETS, CONTENT).insert_header("content-encoding", "gzip"))
        .mount(&server)
        .await;
    let (result, written) = fetch(&client(), &repository(&server), &descriptor()).await;
    result.unwrap();
    assert_eq!(written, CONTENT);
    let asked = server.received_requests().await.unwrap();
    let codings = asked.iter().map(|one| one.headers.get("accept-encoding"));
    assert!(codings.flatten().next().is_none());
}

#[tokio::test]
async fn a_blob_is_written_and_counted() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(answer(OCTETS, CONTENT))
        .mount(&server)
        .await;
    let told = Mutex::new(Vec::new());
    let mut into = Vec::new();
    client()
        .fetch_blob(
            &repository(&server).into(),
            &descriptor(),
            &mut into,
            &|bytes| {
                told.lock().unwrap().push(bytes);
            },
        )
        .await
        .unwrap();
    assert_eq!(into, CONTENT.as_bytes());
    assert_eq!(told.into_inner().unwrap().last(), Some(&10));
    assert_eq!(requests(&server).await.len(), 1);
}

#[tokio::test]
async fn a_broken_transfer_goes_on_where_it_broke() {
    let (result, written, heads) = fetch_script(vec![cut("etag: \"v1\"\n"), rest("4-9/10")]).await;
    result.unwrap();
    assert_eq!(written, CONTENT);
    assert!(!heads[0].contains("range:"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nrange: bytes=4-\r\n"), "{}", heads[1]);
    assert!(
        heads[1].contains("\r\nif-range: \"v1\"\r\n"),
        "{}",
        heads[1]
    );
}

#[tokio::test]
async fn weak_etags_are_not_compared() {
    let (result, _, heads) = fetch_script(vec![cut("etag: W/\"v1\"\n"), rest("4-9/10")]).await;
    result.unwrap();
    assert!(!heads[1].contains("if-range"), "{}", heads[1]);
}

#[tokio::test]
async fn a_server_without_ranges_starts_over() {
    let whole = raw("200 OK", "content-length: 10\n", CONTENT);
    let (result, written, _) = fetch_script(vec![cut(""), (whole, Then::Close)]).await;
    result.unwrap();
    assert_eq!(written, CONTENT);
}

#[tokio::test]
async fn another_beginning_does_not_pass() {
    let other = raw("200 OK", "content-length: 10\n", "0123xxxxxx");
    let (result, _, _) = fetch_script(vec![cut(""), (other, Then::Close)]).await;
    assert!(
        matches!(result, Err(Error::DigestMismatch { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn another_range_than_asked_for_is_refused() {
    for range in ["3-9/10", "4-9/11", "4-8/10"] {
        let (result, written, _) = fetch_script(vec![cut(""), rest(range)]).await;
        let Err(Error::Protocol {
            expected, found, ..
        }) = result
        else {
            panic!("{result:?}")
        };
        assert_eq!(expected, "the Content-Range `bytes 4-9/10`");
        assert_eq!(found, format!("`bytes {range}`"));
        assert_eq!(written, "0123");
    }
}

#[tokio::test]
async fn a_blob_of_another_announced_length_is_refused_at_once() {
    for body in ["012345678", "0123456789x"] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(answer(OCTETS, body))
            .mount(&server)
            .await;
        let (result, written) = fetch(&client(), &repository(&server), &descriptor()).await;
        let Err(Error::SizeMismatch {
            expected: 10,
            found,
            ..
        }) = result
        else {
            panic!("{result:?}")
        };
        assert_eq!(found, body.len() as u64);
        assert_eq!(written, "");
        assert_eq!(requests(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_size() {
    let body = raw("200 OK", "", &CONTENT.repeat(1000));
    let (result, written, _) = fetch_script(vec![(body, Then::Close)]).await;
    assert!(
        matches!(
            result,
            Err(Error::SizeMismatch {
                expected: 10,
                found: 11,
                ..
            })
        ),
        "{result:?}"
    );
    assert!(written.len() <= 10);
}

#[tokio::test]
async fn a_blob_that_ends_early_each_time_is_too_short() {
    // No length announced, so that the end of the connection looks like the end of the blob.
    let short = || (raw("200 OK", "", "0123"), Then::Close);
    let (result, _, heads) = fetch_script(vec![short(), short(), short(), short()]).await;
    assert!(
        matches!(
            result,
            Err(Error::SizeMismatch {
                expected: 10,
                found: 4,
                ..
            })
        ),
        "{result:?}"
    );
    assert_eq!(heads.len(), 4);
}

#[tokio::test]
async fn a_registry_that_has_no_more_has_a_shorter_blob() {
    let no_more = raw("416 Range Not Satisfiable", "content-length: 0\n", "");
    let (result, _, _) = fetch_script(vec![cut(""), (no_more, Then::Close)]).await;
    assert!(
        matches!(
            result,
            Err(Error::SizeMismatch {
                expected: 10,
                found: 4,
                ..
            })
        ),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_transfer_that_stalls_is_given_up_and_taken_up_again() {
    let stalled = raw("200 OK", "content-length: 10\n", "0123");
    let script = Script::start(vec![(stalled, Then::Hang), rest("4-9/10")]).await;
    let mut options = options();
    options.timeouts.stall = Duration::from_millis(50);
    let client = Registry::new(options).unwrap();
    let (result, written) = fetch(&client, &script.repository(), &descriptor()).await;
    result.unwrap();
    assert_eq!(written, CONTENT);
}

#[tokio::test]
async fn a_document_that_never_ends_is_given_up() {
    let stalled = || (raw("200 OK", "content-length: 10\n", "0123"), Then::Hang);
    let script = Script::start(vec![stalled(), stalled()]).await;
    let mut options = options();
    options.timeouts.document = Duration::from_millis(50);
    options.retries.times = 1;
    let client = Registry::new(options).unwrap();
    let error = client
        .blob(&script.repository().into(), &descriptor(), 10)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error:?}");
    assert!(text_of(&error).contains("timed out waiting for the rest of the answer's body"));
}

#[tokio::test]
async fn a_truncated_document_is_asked_for_again() {
    let whole = raw("200 OK", "content-length: 10\n", CONTENT);
    let script = Script::start(vec![cut(""), (whole, Then::Close)]).await;
    let blob = client()
        .blob(&script.repository().into(), &descriptor(), 10)
        .await;
    assert_eq!(blob.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_missing_blob_is_not_found() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(404))
        .mount(&server)
        .await;
    let (result, _) = fetch(&client(), &repository(&server), &descriptor()).await;
    assert!(matches!(result, Err(Error::NotFound { .. })), "{result:?}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_of_ours() {
    struct Full;
    impl tokio::io::AsyncWrite for Full {
        fn poll_write(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            std::task::Poll::Ready(Err(std::io::ErrorKind::StorageFull.into()))
        }
        fn poll_flush(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn poll_shutdown(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Ready(Ok(()))
        }
    }
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(answer(OCTETS, CONTENT))
        .mount(&server)
        .await;
    let result = client()
        .fetch_blob(
            &repository(&server).into(),
            &descriptor(),
            &mut Full,
            &|_| {},
        )
        .await;
    let Err(Error::Io { source, .. }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}
