//! The log of decisions: a line of JSON each, in a file with a bound; or an entry each in systemd's journal.
//!
//! A log that can't be written changes no decision, and delays none by more than a second. It is told on
//! standard error, which containerd keeps in its own log.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use countersign_download::FileLock;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;

use super::configuration::Configuration;
use super::decision::Decision;
use super::journal;

/// The longest time that a decision waits to be logged.
const WRITE_TIME_MAX: Duration = Duration::from_secs(1);
/// How often a log that another process writes is tried again.
const POLL: Duration = Duration::from_millis(5);

/// Writes the decision where the configuration says.
pub(super) fn write(configuration: &Configuration, decision: &Decision) {
    let (path, written) = match configuration.journal_socket() {
        Some(socket) => {
            let entry = journal::entry(&decision.line(), decision.priority(), &decision.to_json());
            let to = socket.clone();
            let sent = entry.and_then(|entry| in_time(move || journal::send(&to, &entry)));
            (socket, sent)
        }
        None => {
            let (path, limit) = (configuration.log_file(), configuration.content.log_bytes);
            let to = path.clone();
            let line = serde_json::to_string(&decision.to_json()).map_err(io::Error::from);
            let append = |line| in_time(move || append(&to, &format!("{line}\n"), limit));
            (path, line.and_then(append))
        }
    };
    if let Err(error) = written {
        tracing::error!(%error, path = %path.display(), "the decision was not logged");
    }
}

/// Writes on a thread of its own, since a disk can hang. The process ends without waiting for it.
fn in_time(write: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().spawn(move || {
        // Nobody listens any more if it took too long.
        let _ = sender.send(write());
    })?;
    let late = |_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("not written within {WRITE_TIME_MAX:?}"),
        )
    };
    receiver.recv_timeout(WRITE_TIME_MAX).map_err(late)?
}

/// Appends `line`. A file that would have more than `limit` bytes is put aside first, in the place of the one
/// that was put aside before.
fn append(path: &Path, line: &str, limit: u64) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let until = Instant::now() + WRITE_TIME_MAX;
    loop {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file: File = open(path, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP)?.into();
        lock(&file, until)?;
        let metadata = file.metadata()?;
        if !FileLock::is_at(path, &metadata)? {
            // Another process put it aside after it was opened here.
            continue;
        }
        let length = metadata.len();
        if length > 0 && length + line.len() as u64 > limit {
            fs::rename(path, aside(path))?;
            continue;
        }
        return file.write_all(line.as_bytes());
    }
}

/// Waits for the lock until then.
fn lock(file: &File, until: Instant) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(POLL),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_and_what_was_put_aside_have_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/decisions.log");
        let line = format!("{}\n", "x".repeat(99));
        for _ in 0..25 {
            append(&path, &line, 1_000).unwrap();
        }
        let length = |path: &Path| fs::metadata(path).unwrap().len();
        assert_eq!(length(&path), 500);
        assert_eq!(length(&aside(&path)), 1_000);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_in_the_place_of_the_log_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("log"), directory.path().join("other"));
        fs::write(&other, "as it was").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let error = append(&path, "line\n", 1_000).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::LOOP));
        assert_eq!(fs::read_to_string(&other).unwrap(), "as it was");
    }

    #[test]
    fn many_writers_at_once_lose_no_line_and_mix_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..20 {
                        append(path, &format!("{writer}{}\n", "y".repeat(100)), 1 << 20).unwrap();
                    }
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 160);
        assert!(text.lines().all(|line| line.len() == 101));
    }
}
