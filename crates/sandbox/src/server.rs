//! One HTTP server on loopback, on a thread and a runtime of its own.
//!
//! It answers while the thread that started it blocks on a child process, and nothing of it
//! outlives the value: dropping it closes the port and cuts every connection, stalled ones too.

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

/// A bound port: services that name each other are told their addresses before any of them serves.
pub(crate) struct Binding {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl Binding {
    /// Binds a port of `127.0.0.1` that the system picks.
    ///
    /// # Errors
    /// When no port is to be had.
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
    /// When no thread or runtime is to be had.
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
                // Connections are tasks of the runtime: they end with it, here.
            })?;
        Ok(Server {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Server {
    /// Serves what `router` makes, which is told the address: `127.0.0.1` and a port that the
    /// system picked.
    ///
    /// # Errors
    /// When no port, thread or runtime is to be had.
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
            // A panic of the server's thread was reported on stderr when it happened.
            let _ = thread.join();
        }
    }
}
