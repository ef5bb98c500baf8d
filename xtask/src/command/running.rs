//! A program that runs.

use std::process::{Child, ChildStdout, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// A program that runs. It is killed when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Running {
    pub(super) child: Child,
    pub(super) line: String,
    pub(super) started: Instant,
    pub(super) limit: Duration,
}

impl Running {
    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once, if that is a pipe.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When it runs for longer than its limit.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        if self.child.try_wait()?.is_some() {
            return Ok(true);
        }
        self.refuse_late(self.started.elapsed() > self.limit)?;
        Ok(false)
    }

    /// Waits until it has ended, and until then for no longer than its limit. What `look` finds then is what /proc says
    /// of it at its end.
    ///
    /// # Errors
    /// When it takes longer, and is killed.
    pub(crate) fn wait_and<T>(
        &mut self,
        look: impl FnOnce(u32) -> anyhow::Result<T>,
    ) -> anyhow::Result<(ExitStatus, T)> {
        let process = Pid::from_child(&self.child);
        let left = self.limit.saturating_sub(self.started.elapsed());
        let (ended, end) = mpsc::channel::<()>();
        let is_late = thread::scope(|scope| {
            let guard = scope.spawn(move || {
                let is_late = end.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
                if is_late {
                    // It can't be another process: nobody has waited for this one in earnest.
                    let _ = kill_process(process, Signal::KILL);
                }
                is_late
            });
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let waited = waitid(WaitId::Pid(process), options);
            drop(ended);
            let is_late = guard.join().unwrap_or(true);
            waited.map(|_| is_late)
        })?;
        let found = look(self.child.id());
        let status = self.child.wait()?;
        self.refuse_late(is_late)?;
        Ok((status, found?))
    }

    /// Waits until it has ended, and for no longer than its limit.
    ///
    /// # Errors
    /// When it takes longer, and is killed.
    pub(crate) fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.wait_and(|_| Ok(())).map(|(status, ())| status)
    }

    fn refuse_late(&self, is_late: bool) -> anyhow::Result<()> {
        ensure!(!is_late, "`{}` took more than {:?}", self.line, self.limit);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::command::Command;

    fn sleep(limit: Duration) -> Running {
        let command = Command::new("sleep").inherit_environment().args(["60"]);
        let command = command.limit(limit);
        command.spawn(Stdio::null(), Stdio::null()).unwrap()
    }

    #[test]
    fn whoever_takes_longer_is_killed() {
        let mut late = sleep(Duration::from_millis(20));
        let error = late.wait().unwrap_err().to_string();
        assert_eq!(error, "`sleep 60` took more than 20ms");
        let mut polled = sleep(Duration::ZERO);
        thread::sleep(Duration::from_millis(1));
        assert!(polled.has_ended().is_err());
    }

    #[test]
    fn what_nobody_waits_for_ends() {
        let running = sleep(Duration::from_secs(60));
        let process = format!("/proc/{}", running.id());
        assert!(std::path::Path::new(&process).exists());
        drop(running);
        assert!(!std::path::Path::new(&process).exists());
    }
}
