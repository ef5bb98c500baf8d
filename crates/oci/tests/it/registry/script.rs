//! A server that says exactly what it is told to, byte for byte, one answer a connection: for the
//! answers that an HTTP library refuses to give.

use std::io;

use countersign_oci::Repository;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Script {
    address: std::net::SocketAddr,
    served: JoinHandle<Vec<String>>,
}

/// What to do after an answer's bytes.
pub(crate) enum Then {
    Close,
    /// Keep the connection and stay silent, until the client goes away.
    Hang,
}

impl Script {
    /// Serves these answers in order, then refuses connections.
    pub(crate) async fn start(answers: Vec<(String, Then)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            let mut heads = Vec::new();
            for (answer, then) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                heads.push(answer_once(&mut stream, &answer).await.unwrap());
                if let Then::Hang = then {
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
            heads
        });
        Self { address, served }
    }

    pub(crate) fn repository(&self) -> Repository {
        format!("{}/a/b", self.address).parse().unwrap()
    }

    /// The heads of the requests, in lower case, once the script has run to its end.
    pub(crate) async fn heads(self) -> Vec<String> {
        self.served.await.unwrap()
    }
}

/// Reads the head of a request and answers it.
pub(crate) async fn answer_once(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    answer: &str,
) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await?;
    Ok(String::from_utf8(head).unwrap().to_ascii_lowercase())
}

/// An answer with `headers`, each ended by a line break, and a body.
pub(crate) fn raw(status: &str, headers: &str, body: &str) -> String {
    let headers = headers.replace('\n', "\r\n");
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}\r\n{body}")
}
