//! One run of a command: diagnostics, signals, the time that it may take, and how it ends.
//!
//! A run that is stopped has time to remove what is unfinished. A failure is told once, and its exit code is
//! the run's.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::oneshot;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::commands::{Command, WhenStopped};
use crate::configuration;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::open_files;
use crate::output::Output;
use crate::signals;
use crate::terminal::Colours;

/// What is said where a run ended before it knew what there was to sign.
const NOTHING_SIGNED: &str = "nothing was signed by this run";

/// What is said where a run ended that had done something already.
const DONE: &str = "what this run has done already stays";

/// How long threads have to remove what is unfinished, after a signal. One that waits for a name
/// server has nothing to remove, and can't be told to stop.
const CLEANING: Duration = Duration::from_secs(30);

/// Runs `command` and turns its outcome into output and an exit code.
pub(crate) fn run(command: Command, environment: &Environment, output: &Output) -> ExitCode {
    // Before anything that may fail.
    output.plan_tags(command.tags_to_write());
    let code = start_diagnostics(&command, environment, output)
        .and_then(|()| dispatch(command, environment, output))
        .unwrap_or_else(|failure| fail(failure, output));
    match output.lost() {
        None => code,
        Some(error) => lost(error, output),
    }
}

/// Reports that what was asked for can't be written.
pub(crate) fn lost(error: std::io::Error, output: &Output) -> ExitCode {
    let message = "the result can't be written to standard output".to_owned();
    let failure = Failure::caused(Kind::Machine, message, error);
    output.lost_result(&failure);
    failure.exit_code().into()
}

/// Reports a failure that ended the run.
pub(crate) fn fail(failure: Failure, output: &Output) -> ExitCode {
    let failure = match output.tags_before_failure() {
        Some(tags) if !failure.tells_tags() => failure.with_tags(tags),
        _ => failure,
    };
    output.failure(&failure);
    output.failure_document(&failure);
    failure
        .exit_code_with(|kind| output.worst_with(kind))
        .into()
}

fn dispatch(
    command: Command,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if output.prints_lines() && !command.prints_lines() {
        let message = "--output jsonl is for `audit` alone";
        return Err(Failure::new(Kind::Usage, message).hint("pass --output json"));
    }
    let environment = &with_settings(&command, environment, output)?;
    let begun = begin().and_then(|runtime| Ok((runtime, listen()?)));
    let (runtime, stopped) = match begun {
        Ok(begun) => begun,
        Err(failure) => return command.not_begun(failure, environment, output),
    };
    let timeout = command.timeout();
    let when_stopped = command.when_stopped();
    let leaves_threads = when_stopped == WhenStopped::LeavesThreads;
    let writes_files = when_stopped.removes_files();
    let signs = command.signs();
    let work = command.run(environment, output);
    let late = async {
        match timeout {
            Some(timeout) => {
                tokio::time::sleep(timeout).await;
                Stopped::Late(timeout)
            }
            None => std::future::pending().await,
        }
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            Ok(signal) = stopped => Err(Stopped::By(signal)),
            result = work => Ok(result),
            late = late => Err(late),
        }
    });
    match ended {
        Ok(result) => {
            if leaves_threads {
                runtime.shutdown_background();
            }
            result
        }
        Err(stopped) => {
            // The work was dropped, and threads that were at it clean up before they end.
            output.note(match (&stopped, writes_files) {
                (Stopped::By(_), true) => {
                    "stopping: removing unfinished files (stop again to end at once)"
                }
                (Stopped::By(_), false) => "stopping (stop again to end at once)",
                (Stopped::Late(_), true) => "the time limit is reached: removing unfinished files",
                (Stopped::Late(_), false) => "the time limit is reached",
            });
            if leaves_threads {
                runtime.shutdown_background();
            } else {
                runtime.shutdown_timeout(CLEANING);
            }
            let last_failure = environment.last_failure().told();
            let failure = stopped
                .failure(when_stopped, output.has_done(), last_failure)
                .without(output.not_judged());
            Err(if signs && output.has_no_results() {
                failure.also(NOTHING_SIGNED)
            } else {
                failure
            })
        }
    }
}

/// The environment, with what files of configuration set, if the command reads them.
fn with_settings(
    command: &Command,
    environment: &Environment,
    output: &Output,
) -> Result<Environment, Failure> {
    let environment = environment.clone();
    let Some(arguments) = command.configuration() else {
        return Ok(environment);
    };
    let settings = configuration::load(arguments.config.as_deref(), &environment)?;
    for warning in configuration::warnings(&settings) {
        output.unused(warning);
    }
    Ok(environment.with_settings(settings))
}

/// What a command runs on.
fn begin() -> Result<tokio::runtime::Runtime, Failure> {
    open_files::require()?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::caused(Kind::Machine, "no thread can be started".to_owned(), error)
        })
}

fn listen() -> Result<oneshot::Receiver<signals::Signal>, Failure> {
    signals::first().map_err(|error| {
        Failure::caused(Kind::Machine, "can't listen for signals".to_owned(), error)
    })
}

/// Why a run ends before its work is done.
enum Stopped {
    By(signals::Signal),
    /// It took longer than its `--timeout`.
    Late(Duration),
}

impl Stopped {
    /// `done` says whether the run had done something that stays.
    fn failure(
        self,
        when_stopped: WhenStopped,
        done: bool,
        last_failure: Option<String>,
    ) -> Failure {
        match self {
            Self::By(signal) => {
                let removed = format!(
                    "unfinished files are removed, unless that takes more than {} seconds; ",
                    CLEANING.as_secs()
                );
                let removed = match (when_stopped.removes_files(), done) {
                    (true, true) => format!("{removed}{DONE}; "),
                    (true, false) => format!("{removed}what was there before is unchanged; "),
                    (false, true) => format!("{DONE}; "),
                    (false, false) => String::new(),
                };
                let goes_on = match when_stopped {
                    WhenStopped::KeepsWholeFiles => ": it goes on where it stopped",
                    WhenStopped::RemovesFiles
                    | WhenStopped::AwaitsThreads
                    | WhenStopped::LeavesThreads => "",
                };
                let hint = format!("{removed}run the same command again{goes_on}");
                Failure::stopped_by(signal).hint(hint)
            }
            Self::Late(timeout) => {
                let message = format!("the run took longer than its --timeout of {timeout:?}");
                let last = last_failure.map(|last| format!("the last failure was that {last}"));
                let failure = Failure::new(Kind::Unreachable, message).hinted(last).hint(
                    "pass a longer --timeout, or none: each request still has its own limit; -vv tells what it waits for",
                );
                failure.hinted(done.then_some(DONE))
            }
        }
    }
}

/// Diagnostics of the libraries, to standard error: as `COUNTERSIGN_LOG` asks for them, else as `-vv`
/// does.
///
/// # Errors
/// A `COUNTERSIGN_LOG` that can't be read: whoever sets it would look for diagnostics that nobody writes. containerd
/// gets its answer all the same, because a level of diagnostics must not stop every pull of a node.
fn start_diagnostics(
    command: &Command,
    environment: &Environment,
    output: &Output,
) -> Result<(), Failure> {
    let usual = if output.diagnoses() { "debug" } else { "error" };
    let filter = match filter(environment.log_filter().unwrap_or(usual)) {
        Err(failure) if command.must_answer() => {
            output.warning(&failure.line());
            EnvFilter::new(usual)
        }
        read => read?,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A file or a CI's log has no use for colours, whatever is asked for results.
        .with_ansi(output.stderr_colours() == Colours::Ansi && std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

fn filter(asked: &str) -> Result<EnvFilter, Failure> {
    // The parser takes a blank before a directive for a part of it.
    let directives = asked.split(',').map(str::trim);
    let directives: Vec<&str> = directives.filter(|part| !part.is_empty()).collect();
    let levels = !directives.is_empty() && directives.iter().copied().all(says_a_level);
    let filter = EnvFilter::builder().parse(directives.join(",")).ok();
    filter.filter(|_| levels).ok_or_else(|| {
        let message = format!(
            "expected a level in COUNTERSIGN_LOG (error, warn, info, debug or trace), or levels by module such as \
             countersign_oci=debug, found `{asked}`"
        );
        Failure::new(Kind::Usage, message).hint("set it to a level, or unset it")
    })
}

/// Whether one part of a filter has a level. A word alone that is none would be read as the name of a module.
fn says_a_level(part: &str) -> bool {
    part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok()
}
