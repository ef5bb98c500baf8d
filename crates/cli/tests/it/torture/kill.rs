//! Killed at any moment (SIGKILL), the program leaves the old version or the new one, and the next run
//! leaves nothing else.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::{PLACE, Random, Version, arguments, asked_for, installed, names, stage};
use crate::stage::{Stage, run};

/// Kills of the sample.
const SAMPLE: usize = 8;
const SEED: u64 = 1;
/// Runs for each kill, at most.
const ATTEMPTS: usize = 10;
const POLL: Duration = Duration::from_millis(1);

/// What the kills found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// The program had ended before.
    ended: usize,
    /// The old version was there, or nothing where nothing was before.
    old: usize,
    new: usize,
    /// The kill left something for the next run to remove.
    leftovers: usize,
}

impl Tally {
    /// Runs that were killed before they had ended.
    fn killed(&self) -> usize {
        self.old + self.new
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_kills_leaves_the_old_version_or_the_new_one() {
    let tally = kill(SAMPLE, SEED).await;
    assert_eq!(tally.killed(), SAMPLE);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by `cargo xtask torture --kill`"]
async fn all_that_is_asked_for() {
    let Some((count, seed)) = asked_for() else {
        return;
    };
    let tally = kill(count, seed).await;
    println!("{count} kills with the seed {seed}: {tally:?}");
}

async fn kill(count: usize, seed: u64) -> Tally {
    let stage = stage().await;
    let mut tally = Tally::default();
    let mut now = None;
    // How long a run takes that nobody kills.
    let mut took = Duration::ZERO;
    for version in [Version::One, Version::Two] {
        let began = Instant::now();
        install(&stage, version);
        took = took.max(began.elapsed());
        now = Some(version);
    }
    // Where runs get quicker, some end before they are killed.
    let most = count * ATTEMPTS;
    for number in 0..most {
        if tally.killed() == count {
            return tally;
        }
        let mut random = Random::new(seed, number);
        let place = stage.path(PLACE);
        if random.below(5) == 0 {
            fs::remove_dir_all(place.join("app")).unwrap();
            now = None;
        }
        let new = now.map_or(Version::One, Version::other);
        // A third of the kills comes near the end, where the versions change places.
        let share = match random.below(3) {
            0 => 800 + random.below(400),
            _ => random.below(1100),
        };
        let mut child = start(&stage, new);
        let ended = killed_after(&mut child, took * share as u32 / 1000);
        let found = installed(&place);
        let what = format!("kill {number} with the seed {seed}, after {share} thousandths");
        if found.as_ref() == Some(new.tree()) {
            tally.new += 1;
        } else {
            assert!(
                found.as_ref() == now.map(Version::tree),
                "{what}: neither is whole"
            );
            tally.old += 1;
        }
        if ended {
            assert!(
                found.as_ref() == Some(new.tree()),
                "{what}: it ended by itself"
            );
            tally.new -= 1;
            tally.ended += 1;
        }
        let left = names(&place);
        tally.leftovers += usize::from(left.iter().any(|name| name.contains(".countersign-")));
        let began = Instant::now();
        install(&stage, new);
        if found.as_ref() != Some(new.tree()) {
            // It did all of it. Other programs may have begun or ended since the last one.
            took = began.elapsed();
        }
        assert!(
            installed(&place).as_ref() == Some(new.tree()),
            "{what}: the next run"
        );
        assert_eq!(names(&place), ["app"], "{what}: something is left");
        now = Some(new);
    }
    panic!("of {most} runs all but {} had ended before", tally.killed());
}

fn start(stage: &Stage, version: Version) -> Child {
    let arguments = arguments(stage, version);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = stage.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn install(stage: &Stage, version: Version) {
    let arguments = arguments(stage, version);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = run(&mut stage.command(&arguments));
    assert_eq!(run.code, 0, "{}", run.shown());
}

/// Kills the child after some time. Whether it had ended before, which it must have done well.
fn killed_after(child: &mut Child, time: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < time {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return true;
        }
        std::thread::sleep(POLL);
    }
    child.kill().unwrap();
    child.wait().unwrap().success()
}
