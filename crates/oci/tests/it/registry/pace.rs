//! Servers that never stand still and never get done.

use std::time::Duration;

use countersign_oci::{Descriptor, Error, Options, Registry, Repository, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::common::{options, text_of};

const DRIP: usize = 16 << 10;
const EVERY: Duration = Duration::from_millis(30);

/// Serves `drips` times [`DRIP`] bytes to one client, `late`, with a pause after each.
async fn dripping(late: Duration, drips: usize) -> Repository {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        tokio::time::sleep(late).await;
        let size = drips * DRIP;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..drips {
            if stream.write_all(&[0; DRIP]).await.is_err() {
                break;
            }
            tokio::time::sleep(EVERY).await;
        }
    });
    format!("{address}/a/b").parse().unwrap()
}

/// Fetches a blob of so many drips, with `slowest` bytes a second as the floor.
async fn fetch(drips: usize, slowest: u64) -> Result<(), Error> {
    fetch_late(Duration::ZERO, drips, slowest).await
}

/// The same from a server whose answer begins `late`.
async fn fetch_late(late: Duration, drips: usize, slowest: u64) -> Result<(), Error> {
    let client = Registry::new(Options {
        timeouts: Timeouts {
            slowest,
            grace: Duration::from_millis(100),
            ..Timeouts::default()
        },
        ..options()
    })
    .unwrap();
    let content = vec![0; drips * DRIP];
    let descriptor = Descriptor::of("application/octet-stream", &content);
    let repository = dripping(late, drips).await;
    let mut into = Vec::new();
    client
        .fetch_blob(&repository.clone().into(), &descriptor, &mut into, &|_| ())
        .await
}

#[tokio::test]
async fn a_blob_that_drips_is_given_up_at_the_floor_and_not_asked_for_again() {
    // Half a mebibyte a second: ten minutes for all of it, were it let go on.
    let error = fetch(20_000, 1 << 20).await.unwrap_err();
    let text = text_of(&error);
    assert!(
        text.contains("expected at least 1048576 bytes a second"),
        "{text}"
    );
    let Error::TooSlow { source: slow, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(slow.slowest, 1 << 20);
    assert_eq!(slow.grace, Duration::from_millis(100));
    assert!(slow.bytes < 16 << 20, "{slow:?}");
}

#[tokio::test]
async fn a_blob_above_the_floor_comes_whole_and_without_a_floor_any_does() {
    fetch(12, 32 << 10).await.unwrap();
    fetch(12, 0).await.unwrap();
}

#[tokio::test]
async fn time_in_which_no_answer_comes_counts() {
    let error = fetch_late(Duration::from_millis(400), 1, 1 << 20).await;
    let error = error.unwrap_err();
    let Error::TooSlow { source: slow, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(slow.bytes, 0);
    assert!(slow.waited >= Duration::from_millis(400), "{slow:?}");
}
