//! Servers by other projects, as child processes on loopback. A server runs until its [`Server`] is
//! dropped, with no limit of time.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::command::{Command, Running};

/// How long a server may need until it accepts connections.
const STARTUP: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// How often to start a server again on other ports, if another program took one of its ports
/// first.
const ATTEMPTS: usize = 3;

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    name: String,
    child: Running,
    log: PathBuf,
}

impl Server {
    /// Starts a server on ports that the system picks, and waits until it accepts connections on
    /// the first of them. `command` is given as many addresses as asked for.
    ///
    /// # Errors
    /// When it ends at once, or doesn't listen in time.
    pub(super) fn start<const N: usize>(
        name: &str,
        logs: &Path,
        command: impl Fn([SocketAddr; N]) -> anyhow::Result<Command>,
    ) -> anyhow::Result<(Self, [SocketAddr; N])> {
        let mut attempt = 1;
        loop {
            let addresses = free_addresses()?;
            let mut server = Self::spawn(name, logs, &command(addresses)?)?;
            match server.listens(addresses.first()) {
                Ok(()) => return Ok((server, addresses)),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Starts a server that picks its port itself and prints its address on a line of its own.
    ///
    /// # Errors
    /// When it ends at once, or prints no address in time.
    pub(super) fn start_announcing(
        name: &str,
        logs: &Path,
        command: &Command,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let mut server = Self::spawn(name, logs, command)?;
        let started = Instant::now();
        loop {
            let said = fs::read_to_string(&server.log).unwrap_or_default();
            let whole_lines = said
                .split_inclusive('\n')
                .filter_map(|l| l.strip_suffix('\n'));
            if let Some(address) = whole_lines.filter_map(|line| line.parse().ok()).next() {
                return Ok((server, address));
            }
            server.still_starting(started)?;
        }
    }

    /// Its process.
    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    fn spawn(name: &str, logs: &Path, command: &Command) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = command.spawn(output.try_clone()?.into(), output.into())?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    fn listens(&mut self, address: Option<&SocketAddr>) -> anyhow::Result<()> {
        let address = address.context("a server has at least one address")?;
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            self.still_starting(started)?;
        }
        // Somebody listens; that it is this server and not another shows in that it still runs.
        self.still_starting(started)
    }

    fn still_starting(&mut self, started: Instant) -> anyhow::Result<()> {
        std::thread::sleep(POLL);
        if !self.child.has_ended()? && started.elapsed() < STARTUP {
            return Ok(());
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(8).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        bail!("{} doesn't start: {}", self.name, end.join("\n"))
    }
}

/// Addresses that were free a moment ago.
fn free_addresses<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    let mut held = Vec::new();
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        held.push(listener);
    }
    Ok(addresses)
}
