//! An HTTP server on loopback, with its own thread and runtime.
//!
//! It answers even while the thread that started it waits for a child process. Dropping it closes
//! the port and all connections, also stalled ones.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use axum::Router;
use tokio::sync::oneshot;

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A bound port. Services that name each other learn all addresses before any of them serves.
pub(crate) struct Binding {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Binding {
    /// Binds a port of `127.0.0.1` that the system picks.
    ///
    /// # Errors
    /// An error, if there is no free port.
    pub(crate) fn bind() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where the server will listen.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until the server is dropped.
    ///
    /// # Errors
    /// An error, if no thread or runtime can be started.
    pub(crate) fn serve(self, router: Router) -> io::Result<Server> {
        let Self { listener, address } = self;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _context = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("sandbox {address}"))
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = axum::serve(listener, router) => {
                            if let Err(error) = served {
                                tracing::error!(%error, "the server ended");
                            }
                        }
                        _ = stopped => {}
                    }
                });
                // Connections are tasks of the runtime, so they end here with it.
            })?;
        Ok(Server {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Server {
    /// Serves the router that `router` makes from the address: `127.0.0.1` and a port that the
    /// system picked.
    ///
    /// # Errors
    /// An error, if there is no free port, or if no thread or runtime can be started.
    pub(crate) fn start(router: impl FnOnce(SocketAddr) -> Router) -> io::Result<Self> {
        let binding = Binding::bind()?;
        let router = router(binding.address());
        binding.serve(router)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If the server's thread panicked, stderr already has the message.
            let _ = thread.join();
        }
    }
}
