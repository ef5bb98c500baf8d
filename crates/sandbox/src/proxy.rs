//! A proxy that records its requests and refuses all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The largest request head, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// A proxy for http and SOCKS 5 (RFC 1928). It records each request's target, then refuses the
/// request. It stops when it is dropped.
#[derive(Debug)]
pub struct RecordingProxy {
    address: SocketAddr,
    targets: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl RecordingProxy {
    /// Starts on a port that the system picks.
    ///
    /// # Errors
    /// An error, if no socket can be opened.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let targets = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&targets);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Clients are served one after the other. Each is refused at once.
                if let Ok(target) = refuse(stream).await {
                    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                    record.push(target);
                }
            }
        });
        Ok(Self {
            address,
            targets,
            serving,
        })
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The targets so far, in order: `host:port` of tunnels and of SOCKS requests, URLs of requests
    /// in plain http.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.clone()
    }
}

impl Drop for RecordingProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn refuse(mut stream: TcpStream) -> io::Result<String> {
    let mut head = vec![stream.read_u8().await?];
    if head == [5] {
        return refuse_socks(stream).await;
    }
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        head.push(stream.read_u8().await?);
    }
    let answer = "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).await?;
    let head = String::from_utf8_lossy(&head);
    let target = head.split_whitespace().nth(1);
    target
        .map(str::to_owned)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

async fn refuse_socks(mut stream: TcpStream) -> io::Result<String> {
    let methods = stream.read_u8().await?;
    stream.read_exact(&mut vec![0; methods.into()]).await?;
    // Without a login.
    stream.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    stream.read_exact(&mut request).await?;
    let host = match request {
        [.., 1] => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            Ipv4Addr::from(octets).to_string()
        }
        [.., 3] => {
            let mut name = vec![0; stream.read_u8().await?.into()];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let port = stream.read_u16().await?;
    // Connection refused.
    stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    Ok(format!("{host}:{port}"))
}
