//! The time and the CPU time that a program takes.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::command::Command;

/// Linux counts CPU time in hundredths of a second (proc_pid_stat(5)).
const TICK: Duration = Duration::from_millis(10);

/// What a program took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) time: Duration,
    /// Of all its threads, and of the processes that it has waited for.
    pub(super) cpu: Duration,
}

/// Runs `program` to its end.
///
/// # Errors
/// When it can't be run, or fails.
pub(super) fn usage(program: &Command) -> anyhow::Result<Usage> {
    let started = Instant::now();
    let mut running = program.spawn(Stdio::null(), Stdio::null())?;
    let (status, (time, stat)) = running.wait_and(|process| {
        let time = started.elapsed();
        Ok((time, fs::read_to_string(format!("/proc/{process}/stat"))?))
    })?;
    ensure!(status.success(), "`{}` failed", program.line());
    let cpu = cpu(&stat).context("/proc says nothing of the CPU time")?;
    Ok(Usage { time, cpu })
}

/// The CPU time that a process which still runs has taken so far.
///
/// # Errors
/// When there is no such process.
pub(super) fn used_by(process: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    cpu(&stat).context("/proc says nothing of the CPU time")
}

/// The fields `utime`, `stime`, `cutime` and `cstime` together. The name before them may have blanks.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(4) {
        ticks += field.parse::<u32>().ok()?;
    }
    Some(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_with_brackets() {
        let stat = "7 (a ) b) Z 1 7 7 0 -1 4194560 9 0 0 0 120 30 4 6 20 0 1 0";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1600)));
        assert_eq!(cpu("7 (a"), None);
    }
}
