//! One process that verifies and installs for a long time: its memory, its open files and its threads stay as they
//! are, and a trusted root that expires is loaded anew.
//!
//! The test plays a few rounds. `cargo xtask soak` plays as many as it is told.

use std::fs;

use countersign_download::{
    Downgrade, Durability, InstallOptions, InstallRequest, Installer, Outcome, Plan,
};
use countersign_sandbox::image::Image;
use countersign_sandbox::{Scene, Service};
use countersign_verify::{TrustSource, TrustedRoot, TufNetwork, Verifier};

use crate::stage::{SIGNER, Stage, amd64, app};

/// Rounds of the sample.
const SAMPLE: usize = 40;
/// Seconds that the timestamp of the TUF repository is good for.
const LIFETIME: i64 = 2;
/// Of so many rounds, the first is there to warm up.
const WARM_UP: usize = 10;
/// Bytes that the memory may grow by after that. What the servers in this process keep is in it, too.
const GROWTH: u64 = 32 << 20;

/// What the process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Usage {
    /// Bytes in memory.
    memory: u64,
    files: usize,
    threads: usize,
}

/// None on systems that don't tell.
fn usage() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let number = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Usage {
        memory: number("VmRSS:")? << 10,
        files: fs::read_dir("/proc/self/fd").ok()?.count(),
        threads: usize::try_from(number("Threads:")?).ok()?,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_of_rounds_ends_well_and_refreshes_the_trusted_root() {
    let stage = stage().await;
    // As long as it takes for the metadata to expire.
    let mut round = 0;
    while round < SAMPLE || refreshes(&stage) < 2 {
        play(&stage, round).await;
        round += 1;
    }
}

/// Alone in its process: other tests open files, too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "played by `cargo xtask soak`"]
#[expect(clippy::disallowed_methods, reason = "a test has no other input")]
async fn all_rounds_that_are_asked_for() {
    // Somebody else may run the ignored tests.
    let Ok(rounds) = std::env::var("COUNTERSIGN_PLAY") else {
        return;
    };
    let rounds: usize = rounds.parse().unwrap();
    let stage = stage().await;
    let (mut before, mut most) = (None, None::<Usage>);
    for round in 0..rounds {
        play(&stage, round).await;
        let now = usage();
        if round == rounds / WARM_UP {
            before = now;
            most = now;
        }
        most = most.zip(now).map(|(most, now)| Usage {
            memory: most.memory.max(now.memory),
            files: most.files.max(now.files),
            threads: most.threads.max(now.threads),
        });
        if round.is_multiple_of((rounds / WARM_UP).max(1)) {
            println!("round {round}: {now:?}");
        }
    }
    let refreshes = refreshes(&stage);
    println!("{rounds} rounds, the trusted root fetched {refreshes} times");
    println!("after warming up {before:?}\nat most          {most:?}");
    if let (Some(before), Some(most)) = (before, most) {
        assert!(most.memory <= before.memory + GROWTH, "memory grows");
        assert!(most.files <= before.files + 16, "files stay open");
        // Those of the runtime for calls that block come and go.
        assert!(most.threads <= before.threads + 8, "threads stay");
    }
}

/// Two versions of an image, signed, and a TUF repository whose metadata expires again and again.
async fn stage() -> Stage {
    let stage = Stage::set().await;
    for version in ["v1", "v2"] {
        let image: Image = app("linux/amd64", version);
        image.push(&stage.registry, "app", Some(version));
        stage.sign(&format!("app:{version}"), SIGNER).await;
    }
    stage.sigstore.set_tuf_timestamp_lifetime(LIFETIME);
    stage
}

/// Verifies an image, and replaces what is installed with it.
async fn play(stage: &Stage, round: usize) {
    let version = ["v1", "v2"][round % 2];
    let source = TrustSource::Tuf {
        url: stage.sigstore.tuf_url(),
        root: stage.sigstore.tuf_root(),
        cache: stage.beside("tuf"),
        network: TufNetwork::Online,
    };
    let connection = stage.client.connection();
    let trusted_root = TrustedRoot::load(&source, connection).await.unwrap();
    let verifier = Verifier::new(stage.client.clone(), trusted_root);
    let reference = stage.reference(&format!("app:{version}"));
    let image = stage.client.resolve(&reference).await.unwrap();
    let proof = verifier.verify(&image, &stage.policy()).await.unwrap();
    assert_eq!(proof.digest(), image.digest());

    let installer = Installer::new(stage.client.clone(), verifier);
    let plan = Plan::of_image(reference, stage.policy());
    let options = InstallOptions {
        downgrade: Downgrade::Allow,
        durability: Durability::None,
        ..InstallOptions::default()
    };
    let (platform, target) = (amd64(), stage.target());
    let request = InstallRequest::new(&plan, &platform).with_options(options);
    let outcome = installer.install(request, &target);
    let outcome = outcome.await.unwrap();
    assert!(matches!(outcome, Outcome::Installed { .. }), "{outcome:?}");
    assert_eq!(stage.read("version"), version);
    // The servers remember what they were asked.
    stage.registry.reset_requests();
}

/// How often the TUF repository was asked for what is new.
fn refreshes(stage: &Scene) -> usize {
    let requests = stage.sigstore.requests();
    let asked = |service, path: &str| service == Service::Tuf && path.ends_with("/timestamp.json");
    let asked = requests.iter().filter(|one| asked(one.service, &one.path));
    asked.count()
}
