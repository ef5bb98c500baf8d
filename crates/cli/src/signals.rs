//! Ctrl-C and the other signals that ask a program to end.
//!
//! The first one stops the command where it waits: what is unfinished is dropped, and cleans up as
//! after any failure. The second one ends the process at once. A signal that was ignored when this
//! program was started, as `nohup` does with SIGHUP, stays ignored.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// What comes so soon after the first signal is the same wish to stop: `timeout` signals a program and then its group.
const ONE_WISH: Duration = Duration::from_millis(100);

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGHUP: the terminal was closed.
    HangUp,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: `kill`, a service manager or a CI.
    Terminate,
}

impl Signal {
    /// The signal's number, the same on every Unix.
    fn number(self) -> u8 {
        match self {
            Self::HangUp => 1,
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }

    /// 128 and the signal's number, as shells have it.
    pub(crate) fn exit_code(self) -> u8 {
        128 + self.number()
    }

    /// As people know it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "SIGHUP: the terminal was closed",
            Self::Interrupt => "Ctrl-C (SIGINT)",
            Self::Terminate => "SIGTERM",
        }
    }

    fn kind(self) -> SignalKind {
        match self {
            Self::HangUp => SignalKind::hangup(),
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
        }
    }

    /// Whether whoever started this program had it ignore the signal. Only Linux says so.
    fn is_ignored(self) -> bool {
        std::fs::read_to_string("/proc/self/status")
            .is_ok_and(|status| ignores(&status, self.number()))
    }
}

/// Whether the signal is in the mask `SigIgn` of `/proc/self/status` (proc_pid_status(5)).
fn ignores(status: &str, number: u8) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (number - 1) & 1 == 1)
}

/// The first signal that asks this program to end. From now on none of them ends it by itself; the
/// second does, whatever the program is doing.
///
/// # Errors
/// When the system lets us listen to none.
pub(crate) fn first() -> io::Result<oneshot::Receiver<Signal>> {
    let (first, received) = oneshot::channel();
    let (ready, listening) = mpsc::channel();
    // A thread of its own: it has to go on while the program's other threads end or hang.
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || listen(first, &ready))?;
    match listening.recv() {
        Ok(result) => result.map(|()| received),
        Err(gone) => Err(io::Error::other(gone)),
    }
}

fn listen(first: oneshot::Sender<Signal>, ready: &mpsc::Sender<io::Result<()>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let (sender, mut signals) = tokio::sync::mpsc::channel(2);
        for one in [Signal::HangUp, Signal::Interrupt, Signal::Terminate] {
            if one.is_ignored() {
                continue;
            }
            let mut stream = match signal(one.kind()) {
                Ok(stream) => stream,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && sender.send(one).await.is_ok() {}
            });
        }
        let _ = ready.send(Ok(()));
        if let Some(signal) = signals.recv().await {
            // Where nobody waits any more, the program is about to end by itself.
            let _ = first.send(signal);
        }
        let begun = Instant::now();
        while let Some(signal) = signals.recv().await {
            if begun.elapsed() >= ONE_WISH {
                at_once(signal);
            }
        }
    });
}

#[allow(
    clippy::exit,
    reason = "somebody asks a second time, and the first time did not help"
)]
fn at_once(signal: Signal) {
    std::process::exit(signal.exit_code().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = "Name:\tcountersign\nSigBlk:\t0000000000004003\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, 1));
        assert!(!ignores(status, 2));
        assert!(!ignores(status, 15));
        assert!(!ignores("Name:\tcountersign\n", 1));
        assert!(ignores("SigIgn:\t0000000000004000\n", 15));
    }

    #[test]
    fn exit_codes_are_those_of_shells_and_stand_in_the_table() {
        for (signal, code) in [
            (Signal::HangUp, 129),
            (Signal::Interrupt, 130),
            (Signal::Terminate, 143),
        ] {
            assert_eq!(signal.exit_code(), code);
            let mut rows = crate::failure::EXIT_CODES.iter();
            assert!(rows.any(|row| row.code == code));
        }
    }
}
