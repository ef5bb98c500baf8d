//! `countersign audit` of a registry that takes only so many requests.

use countersign_sandbox::{RateLimit, RegistryOptions, Standing, ToldBy};

use crate::audit::{by_list, expected, filled};
use crate::stage::Stage;

async fn stage(requests: u64, told_by: ToldBy) -> Stage {
    let options = RegistryOptions {
        referrers_api: true,
        rate_limit: Some(RateLimit {
            requests,
            seconds: 1,
            told_by,
        }),
        ..RegistryOptions::default()
    };
    filled(Stage::with(options).await)
}

/// The audit finds what is there, whatever the limit.
fn is_exact(stage: &Stage, arguments: &[&str]) {
    let arguments = [&["--output=json", "--fail-on=none"], arguments].concat();
    let json = by_list(stage, &arguments).json();
    let found = json["results"].as_array().unwrap();
    assert_eq!(found.len(), Standing::ALL.len());
    for (result, standing) in found.iter().zip(Standing::ALL) {
        assert_eq!(result["state"], expected(standing), "{result}");
    }
}

#[tokio::test]
async fn too_many_requests_change_no_verdict() {
    let stage = stage(20, ToldBy::RetryAfter).await;
    is_exact(&stage, &[]);
    assert!(stage.registry.refused() > 0);
}

#[tokio::test]
async fn a_registry_that_says_what_is_left_refuses_nothing() {
    let stage = stage(40, ToldBy::RateLimit).await;
    is_exact(&stage, &[]);
    assert_eq!(stage.registry.refused(), 0);
}

#[tokio::test]
async fn a_rate_is_kept() {
    let stage = stage(20, ToldBy::RetryAfter).await;
    is_exact(&stage, &["--rate=15"]);
    assert_eq!(stage.registry.refused(), 0);
}

#[tokio::test]
async fn a_rate_of_nothing_is_refused() {
    let stage = Stage::new().await;
    for rate in ["0", "10/s", "fast"] {
        let run = stage.run(&[&["audit", "--images=images.txt", "--rate", rate]]);
        assert_eq!(run.code, 2);
        let says = format!("expected how many requests a second, such as 10, found `{rate}`");
        assert!(run.stderr.contains(&says), "{}", run.stderr);
    }
}
