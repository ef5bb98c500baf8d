//! A line at the start and at the end of each long step, for a log: where no terminal shows what is going on.
//!
//! A step is long that takes longer than [`LONG`]. One that is over before is not told, so that a short run says nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

/// From then on a step is long.
const LONG: Duration = Duration::from_secs(10);

/// Writes one line.
pub(super) type Write = Arc<dyn Fn(&str) + Send + Sync>;

/// The step that is going on.
pub(super) struct LongSteps {
    step: Arc<Mutex<Option<Step>>>,
    write: Write,
}

struct Step {
    message: String,
    since: Instant,
    /// Whether its start was told. Then its end is told too.
    told: bool,
    /// Tells it as soon as it is long.
    timer: Option<AbortHandle>,
}

impl LongSteps {
    pub(super) fn new(write: Write) -> Self {
        Self {
            step: Arc::default(),
            write,
        }
    }

    /// Begins a step, which ends the one before.
    pub(super) fn begin(&self, message: &str) {
        self.end();
        let timer = Handle::try_current().ok().map(|runtime| {
            let (step, write) = (Arc::clone(&self.step), Arc::clone(&self.write));
            let timer = runtime.spawn(async move {
                tokio::time::sleep(LONG).await;
                tell_start(&step, &write);
            });
            timer.abort_handle()
        });
        self.set(Some(Step {
            message: message.to_owned(),
            since: Instant::now(),
            told: false,
            timer,
        }));
    }

    /// More is known of the step that is going on.
    pub(super) fn describe(&self, message: &str) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(step) = step.as_mut().filter(|step| !step.told) {
            step.message = message.to_owned();
        }
    }

    /// Ends the step, if one is going on whose message `is_it`.
    pub(super) fn end_if(&self, is_it: impl Fn(&str) -> bool) {
        let found = {
            let step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
            step.as_ref().is_some_and(|step| is_it(&step.message))
        };
        if found {
            self.end();
        }
    }

    /// Ends the step, if one is going on.
    pub(super) fn end(&self) {
        let Some(step) = self.set(None) else {
            return;
        };
        if let Some(timer) = &step.timer {
            timer.abort();
        }
        if step.told {
            let seconds = step.since.elapsed().as_secs();
            (self.write)(&format!("{}: took {seconds} s", step.message));
        }
    }

    fn set(&self, step: Option<Step>) -> Option<Step> {
        let mut place = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, step)
    }
}

fn tell_start(step: &Mutex<Option<Step>>, write: &Write) {
    let message = {
        let mut step = step.lock().unwrap_or_else(PoisonError::into_inner);
        step.as_mut().filter(|step| !step.told).map(|step| {
            step.told = true;
            step.message.clone()
        })
    };
    // Not while it is locked: whoever reads what is written may be slow, and no step waits for that.
    if let Some(message) = message {
        write(&message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> (LongSteps, Arc<Mutex<Vec<String>>>) {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = Arc::clone(&lines);
        let write = move |line: &str| written.lock().unwrap().push(line.to_owned());
        (LongSteps::new(Arc::new(write)), lines)
    }

    #[test]
    fn a_step_that_is_over_soon_is_not_told() {
        let (steps, lines) = steps();
        steps.begin("resolving app");
        steps.begin("verifying app");
        steps.end();
        steps.end();
        assert!(lines.lock().unwrap().is_empty());
    }

    #[test]
    fn a_line_that_nobody_reads_stops_no_step() {
        let step: Arc<Mutex<Option<Step>>> = Arc::new(Mutex::new(Some(Step {
            message: "fetching".to_owned(),
            since: Instant::now(),
            told: false,
            timer: None,
        })));
        let place = Arc::clone(&step);
        let free: Arc<Mutex<Vec<bool>>> = Arc::default();
        let seen = Arc::clone(&free);
        let write: Write = Arc::new(move |_: &str| {
            seen.lock().unwrap().push(place.try_lock().is_ok());
        });
        tell_start(&step, &write);
        assert_eq!(*free.lock().unwrap(), [true]);
    }

    #[test]
    fn a_long_step_is_told_when_it_is_long_and_when_it_ends() {
        let (steps, lines) = steps();
        steps.begin("fetching");
        steps.describe("fetching 2 layers, 3.0 GiB");
        tell_start(&steps.step, &steps.write);
        tell_start(&steps.step, &steps.write);
        steps.describe("it was told already");
        steps.end_if(|message| message.starts_with("verifying"));
        steps.begin("unpacking");
        steps.end();
        let lines = lines.lock().unwrap();
        let expected = [
            "fetching 2 layers, 3.0 GiB",
            "fetching 2 layers, 3.0 GiB: took 0 s",
        ];
        assert_eq!(*lines, expected);
    }
}
