//! Development tasks, run as `cargo xtask TASK`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tasks tell on the terminal what they do"
)]

mod api;
mod bench;
mod command;
mod e2e;
mod exit_code;
mod faults;
mod fleet;
mod fuzz;
mod identities;
mod interop;
mod ledger;
mod machine;
mod played;
mod servers;
mod soak;
mod test;
mod torture;
mod workflows;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Countersign")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Sign, verify and install against a local Sigstore and registry, then see what is refused
    E2e,
    /// Run the tests of the whole workspace
    Test,
    /// Let each request of a merge fail in turn, in each way that registries and services fail
    Faults,
    /// Kill installations at random moments, and let the registry misbehave by random schedules
    Torture {
        /// How often to kill the program
        #[arg(long, value_name = "N", default_value_t = 0)]
        kill: usize,

        /// How many schedules of faults to play
        #[arg(long, value_name = "N", default_value_t = 0)]
        faults: usize,

        /// Seed of the random choices. The same seed repeats a run
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// Verify and install again and again in one process, and see that it doesn't grow
    Soak {
        /// How often
        #[arg(long, value_name = "N", default_value_t = 1000)]
        rounds: usize,
    },
    /// Write down the public API of the libraries
    Api {
        /// Compare it with what is written down instead
        #[arg(long)]
        check: bool,
    },
    /// Count the requests of a cluster's nodes when they start
    Fleet {
        /// How many nodes
        #[arg(long, value_name = "N", default_value_t = 4)]
        nodes: usize,
    },
    /// Fuzz the code that reads untrusted input
    Fuzz {
        /// Targets to run [default: all]
        #[arg(value_enum)]
        targets: Vec<fuzz::Target>,

        /// Minutes for each target
        #[arg(
            long,
            value_name = "N",
            default_value_t = 1,
            conflicts_with = "seconds"
        )]
        minutes: u64,

        /// Seconds for each target, instead of minutes
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,

        /// Make nothing up: run what the targets begin with, and what found a fault before
        #[arg(long, conflicts_with_all = ["minutes", "seconds"])]
        known: bool,
    },
    /// Run against cosign, sigstore-python, skopeo, real registries and the real Sigstore services
    Interop {
        /// Parts to play [default: all]
        #[arg(value_enum)]
        parts: Vec<interop::Part>,

        /// Keep what cosign signed, and what is needed to verify it, in this directory. The fixtures
        /// were made this way
        #[arg(long, value_name = "DIRECTORY")]
        record: Option<PathBuf>,
    },
    /// Run the shell of the actions and workflows in .github against a local Sigstore and registry
    Workflows,
    /// Measure `countersign`, beside other programs that are installed
    Bench {
        /// What to time [default: all]
        #[arg(value_enum)]
        parts: Vec<bench::Part>,

        /// Time this program, not a new build as it is published
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,

        /// LocalAI's index of back ends, `backend/index.yaml` in its repository: the large gallery of `verify` and `audit`
        #[arg(long, value_name = "FILE")]
        gallery: Option<PathBuf>,

        /// Size of the images that are installed, in percent: the full ones have 700 MB of files
        #[arg(long, value_name = "PERCENT", default_value_t = 25)]
        scale: usize,

        #[command(flatten)]
        files: bench::Files,

        /// This run is behind the link that the part `link` makes
        #[arg(long, hide = true)]
        behind_link: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::E2e => e2e::run(),
        Task::Test => test::run(),
        Task::Faults => faults::run(),
        Task::Torture { kill, faults, seed } => torture::run(kill, faults, seed),
        Task::Soak { rounds } => soak::run(rounds),
        Task::Api { check: false } => api::write(),
        Task::Api { check: true } => api::check(),
        Task::Fleet { nodes } => fleet::run(nodes),
        Task::Fuzz {
            targets,
            minutes,
            seconds,
            known,
        } => {
            let time = Duration::from_secs(seconds.unwrap_or(minutes * 60));
            let inputs = if known {
                fuzz::Inputs::Known
            } else {
                fuzz::Inputs::MadeUp(time)
            };
            fuzz::run(&targets, inputs)
        }
        Task::Interop { parts, record } => interop::run(&parts, record.as_deref()),
        Task::Workflows => workflows::run(),
        Task::Bench {
            parts,
            program,
            gallery,
            scale,
            files,
            behind_link,
        } => bench::run(
            &parts,
            program,
            gallery.as_deref(),
            scale,
            &files,
            behind_link,
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
