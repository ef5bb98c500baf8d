//! What a program costs: time, requests, memory, size.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;
use countersign_sandbox::RegistryServer;

use crate::command::{Command, Running};

/// Runs before anything is measured: they fill the system's file cache.
const WARM_UPS: usize = 2;
const MIB: f64 = 1024.0 * 1024.0;
const MB: f64 = 1e6;

/// What one program costs.
#[derive(Debug, Default)]
pub(super) struct Measurement {
    /// Sorted.
    times: Vec<Duration>,
    /// To the registry, in one run.
    pub(super) requests: usize,
    resident: u64,
    binary: u64,
}

impl Measurement {
    pub(super) fn median(&self) -> Duration {
        median(&self.times)
    }

    pub(super) fn fastest(&self) -> Duration {
        self.times.first().copied().unwrap_or_default()
    }

    /// The most memory that was resident at once.
    pub(super) fn resident_mib(&self) -> f64 {
        self.resident as f64 / MIB
    }

    /// The program's file.
    pub(super) fn binary_mb(&self) -> f64 {
        self.binary as f64 / MB
    }
}

/// The middle one of sorted times.
pub(super) fn median(times: &[Duration]) -> Duration {
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Runs the programs `runs` times each, in turns, so that whatever else the machine does falls on
/// all of them alike.
///
/// # Errors
/// When a program can't be run, or fails.
pub(super) fn measure<const N: usize>(
    programs: [&Command; N],
    registry: &RegistryServer,
    runs: usize,
) -> anyhow::Result<[Measurement; N]> {
    let mut measurements = [(); N].map(|()| Measurement::default());
    for (program, measurement) in programs.iter().zip(&mut measurements) {
        for _ in 0..WARM_UPS {
            program.run()?.success()?;
        }
        registry.reset_requests();
        program.run()?.success()?;
        measurement.requests = registry.requests().len();
        measurement.resident = resident(program)?;
        measurement.binary = fs::metadata(program.program())?.len();
    }
    for _ in 0..runs {
        for (program, measurement) in programs.iter().zip(&mut measurements) {
            measurement.times.push(time(program)?);
        }
    }
    for measurement in &mut measurements {
        measurement.times.sort_unstable();
    }
    Ok(measurements)
}

fn time(program: &Command) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let status = program.spawn(Stdio::null(), Stdio::null())?.wait()?;
    let time = started.elapsed();
    ensure!(status.success(), "`{}` failed", program.line());
    Ok(time)
}

/// The high-water mark of resident memory, read over and over until the program ends. The usual
/// way, the resource usage that `wait4` gives, is at least that of the process that forks, which
/// here is larger than what is measured.
pub(super) fn resident(program: &Command) -> anyhow::Result<u64> {
    resident_as(program, Path::new(program.program()))
}

/// As [`resident`], of the program `file`, which takes the place of the one that is run.
pub(super) fn resident_as(program: &Command, file: &Path) -> anyhow::Result<u64> {
    let mut child = program.spawn(Stdio::null(), Stdio::null())?;
    let status = format!("/proc/{}/status", child.id());
    let image = format!("/proc/{}/exe", child.id());
    let file = fs::canonicalize(file)?;
    let mut most = 0;
    while !child.has_ended()? {
        // Before the program is loaded, the process is still a copy of this one.
        if fs::read_link(&image).is_ok_and(|loaded| loaded == file)
            && let Some(now) = fs::read_to_string(&status).ok().as_deref().and_then(peak)
        {
            most = most.max(now);
        }
    }
    ensure!(
        most > 0,
        "/proc says nothing of the memory of `{}`",
        program.line()
    );
    Ok(most)
}

/// The most resident memory, in bytes, of a program that runs for seconds, until it ends.
pub(super) fn peak_of(running: &mut Running) -> anyhow::Result<u64> {
    let status = format!("/proc/{}/status", running.id());
    let mut most = 0;
    while !running.has_ended()? {
        let text = fs::read_to_string(&status).ok();
        most = most.max(text.as_deref().and_then(peak).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(most)
}

/// Bytes of `VmHWM` in a process's status.
fn peak(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tcountersign\nVmPeak:\t  9 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak(status), Some(2 << 20));
        assert_eq!(peak("Name:\tzombie\n"), None);
    }

    #[test]
    fn the_median_is_the_middle_one_of_sorted_times() {
        let times = [1, 2, 30].map(Duration::from_millis).to_vec();
        let measurement = Measurement {
            times,
            ..Default::default()
        };
        assert_eq!(measurement.median(), Duration::from_millis(2));
        assert_eq!(measurement.fastest(), Duration::from_millis(1));
    }
}
