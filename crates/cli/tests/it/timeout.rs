//! A run that takes too long.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::stage::{POLICY, Stage, TRUST, run};

#[tokio::test]
async fn a_run_that_takes_too_long_is_given_up_and_leaves_nothing() {
    let stage = Stage::new().await;
    // Connections are made, and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = format!("{}/app:v1", silent.local_addr().unwrap());
    for command in [&["verify"][..], &["install"]] {
        let directory: &[&str] = if command == ["install"] {
            &["here"]
        } else {
            &[]
        };
        let limit = ["--timeout", "300ms", &app];
        let arguments = [command, &TRUST, &POLICY, &limit, directory].concat();
        let mut child = stage.command(&arguments);
        let begun = Instant::now();
        let run = run(&mut child);
        assert_eq!(run.code, 7, "{}", run.shown());
        let says = "the run took longer than its --timeout of 300ms";
        assert!(run.stderr.contains(says), "{}", run.shown());
        // One request alone may take thirty seconds.
        assert!(begun.elapsed() < Duration::from_secs(20));
        let here = child.get_current_dir().map(|at| at.join("here"));
        assert!(!here.is_some_and(|here| here.exists()));
    }
}

#[tokio::test]
async fn a_time_out_is_a_time_and_not_nothing() {
    let stage = Stage::new().await;
    for wrong in ["soon", "0s", "-5s", "10"] {
        let limit = format!("--timeout={wrong}");
        let arguments = [&["verify"][..], &TRUST, &POLICY, &[&limit, "app:v1"]].concat();
        let run = run(&mut stage.command(&arguments));
        assert_eq!(run.code, 2, "{wrong}: {}", run.shown());
    }
}
