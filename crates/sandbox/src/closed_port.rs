//! An address where nobody listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// An address of loopback that refuses every connection for as long as this is held.
///
/// The port is bound, and nothing listens on it. A port that was only given back can be the next
/// test's.
#[derive(Debug)]
pub struct ClosedPort {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl ClosedPort {
    /// Takes a port that the system picks.
    ///
    /// # Errors
    /// An error, if there is no free port.
    pub fn hold() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        Ok(Self {
            _socket: socket,
            address,
        })
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
