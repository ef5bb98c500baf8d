//! With a registry that misbehaves, a run ends in its time: with the right bytes, or with an error that
//! leaves what was there before, and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign_sandbox::{Effect, Fault, Moment};

use super::{PLACE, Random, Version, arguments, asked_for, installed, names, stage};
use crate::stage::{Stage, run};

/// Schedules of the sample.
const SAMPLE: usize = 24;
const SEED: u64 = 1;
/// Schedules that are played at once: most of them wait.
const AT_ONCE: usize = 6;
/// What each run is told to take at most.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much later it may end, on a machine that is busy.
const GRACE: Duration = Duration::from_secs(20);
/// The copy of the first version that runs begin with.
const PRISTINE: &str = "pristine";

/// How the runs ended.
#[derive(Debug, Default)]
struct Tally {
    good: AtomicUsize,
    refused: AtomicUsize,
}

#[test]
fn a_sample_of_schedules_ends_in_the_right_bytes_or_a_clean_error() {
    let tally = play(SAMPLE, SEED);
    assert_eq!(tally.good.into_inner() + tally.refused.into_inner(), SAMPLE);
}

#[test]
#[ignore = "played by `cargo xtask torture --faults`"]
fn all_that_are_asked_for() {
    let Some((count, seed)) = asked_for() else {
        return;
    };
    let tally = play(count, seed);
    println!("{count} schedules with the seed {seed}: {tally:?}");
}

fn play(count: usize, seed: u64) -> Tally {
    let (next, tally) = (AtomicUsize::new(0), Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let stage = runtime.block_on(prepared());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    one(&stage, seed, number, &tally);
                }
            });
        }
    });
    tally
}

/// A stage with the first version installed, and a copy of it.
async fn prepared() -> Stage {
    let stage = stage().await;
    let arguments = arguments(&stage, Version::One);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = run(&mut stage.command(&arguments));
    assert_eq!(run.code, 0, "{}", run.shown());
    fs::rename(stage.path(PLACE), stage.path(PRISTINE)).unwrap();
    stage
}

fn one(stage: &Stage, seed: u64, number: usize, tally: &Tally) {
    let mut random = Random::new(seed, number);
    let place = stage.path(PLACE);
    let before = match random.below(3) {
        0 => None,
        _ => Some(Version::One),
    };
    reset(stage, &place, before);
    stage.registry.clear_faults();
    let schedule = schedule(&mut random, &stage.registry.origin());
    for fault in &schedule {
        stage.registry.add_fault(fault.clone());
    }
    let what = format!("schedule {number} with the seed {seed}: {schedule:?}");
    let mut arguments = arguments(stage, Version::Two);
    arguments.push(format!("--timeout={}s", TIMEOUT.as_secs()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let began = Instant::now();
    let run = run(&mut stage.command(&arguments));
    let took = began.elapsed();
    assert!(took < TIMEOUT + GRACE, "{what}: it took {took:?}");
    let found = installed(&place);
    if run.code == 0 {
        assert!(
            found.as_ref() == Some(Version::Two.tree()),
            "{what}: other bytes"
        );
        tally.good.fetch_add(1, Ordering::Relaxed);
    } else {
        // Not 2, for wrong usage: the registry is to blame.
        let clean = [1, 3, 4, 5, 6, 7, 9].contains(&run.code);
        assert!(clean, "{what}: {}", run.shown());
        assert!(run.stderr.contains("error: "), "{what}: {}", run.shown());
        let internal = ["panicked", "a bug"]
            .iter()
            .any(|text| run.stderr.contains(text));
        assert!(!internal, "{what}: {}", run.shown());
        // It may be late in the moment in which the new version takes its place.
        let late = run.stderr.contains("the time limit is reached");
        let moved = late && found.as_ref() == Some(Version::Two.tree());
        let stayed = found.as_ref() == before.map(Version::tree);
        assert!(stayed || moved, "{what}: what was there");
        tally.refused.fetch_add(1, Ordering::Relaxed);
    }
    let left = names(&place);
    let expected: &[&str] = if found.is_some() { &["app"] } else { &[] };
    assert_eq!(left, expected, "{what}: something is left");
    // By chance a fault is of a request that this run didn't make.
    stage.registry.clear_faults();
}

/// Puts the first version, or nothing, in the place.
fn reset(stage: &Stage, place: &Path, before: Option<Version>) {
    if place.exists() {
        fs::remove_dir_all(place).unwrap();
    }
    match before {
        None => fs::create_dir(place).unwrap(),
        Some(_) => {
            let mut copy = Command::new("cp");
            copy.arg("-a").args([&stage.path(PRISTINE), place]);
            assert!(copy.status().unwrap().success());
        }
    }
}

/// What goes wrong in a run: one to three faults.
fn schedule(random: &mut Random, origin: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for _ in 0..=random.below(3) {
        let line = [
            "GET /v2/app/blobs/*",
            "GET /v2/app/blobs/*",
            "GET /v2/app/manifests/*",
            "GET /v2/app/referrers/*",
            "GET /v2/*",
        ][random.below(5)];
        // A part of the lies is about ranges, which are asked for only after a break.
        if random.below(4) == 0 {
            let after = random.below(3 << 20);
            let cut = Fault::on(line, Effect::Truncate { after });
            faults.push(cut.times(1 + random.below(3)));
            faults.push(Fault::on(line, of_ranges(random)).times(1 + random.below(2)));
            continue;
        }
        let fault = Fault::on(line, effect(random, origin)).after(random.below(4));
        faults.push(match random.below(3) {
            0 => fault,
            _ => fault.times(1 + random.below(3)),
        });
    }
    faults
}

/// What is wrong with the answer to a request for the rest of a blob.
fn of_ranges(random: &mut Random) -> Effect {
    let header = |name, value: &str| Effect::Header {
        name,
        value: value.into(),
    };
    match random.below(7) {
        0 => Effect::IgnoreRange,
        1 => header("etag", "\"other\""),
        2 => header("content-range", "bytes 0-9/10"),
        3 => header("content-range", "bytes 1-2/*"),
        4 => Effect::Body("short".into()),
        5 => Effect::status(416),
        _ => Effect::status(401),
    }
}

fn effect(random: &mut Random, origin: &str) -> Effect {
    let size = 3 << 20;
    match random.below(17) {
        0 => Effect::Disconnect(Moment::BeforeServing),
        1 => Effect::Disconnect(Moment::AfterServing),
        2 => Effect::Truncate {
            after: random.below(size),
        },
        3 => Effect::Corrupt {
            at: random.below(size),
        },
        4 => Effect::Stall {
            after: random.below(size),
        },
        5 => Effect::Drip {
            piece: 1 + random.below(64 << 10),
            pause: Duration::from_millis(1 + random.below(50) as u64),
        },
        6 => Effect::Delay(Duration::from_millis(random.below(3000) as u64)),
        7 => Effect::too_many_requests([0, 1, 3600][random.below(3)]),
        8 => Effect::status([500, 502, 503, 504][random.below(4)]),
        9 => Effect::status([401, 403, 404, 410][random.below(4)]),
        // To itself, or to a port where nobody listens.
        10 => Effect::Redirect(origin.to_owned()),
        11 => Effect::Redirect("http://127.0.0.1:9".into()),
        12 => Effect::HtmlLogin,
        13 => Effect::Endless,
        14 => Effect::Body(vec![b'{'; random.below(9000)].into()),
        15 => Effect::ContentDigest(format!("sha256:{}", "0".repeat(64))),
        _ => Effect::WithoutHeader(["content-length", "content-type", "etag"][random.below(3)]),
    }
}
