//! Takes a target and makes its staging directory, from asynchronous code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::blocking;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::options::WhenBusy;
use crate::target::{Held, Staging};

/// How long to wait before trying again to take a target that another run holds.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes the target `directory`. Nobody else installs to it while it is held. If another run holds it
/// and `busy` says to wait, this reports [`Event::Waiting`] once and waits.
pub(crate) async fn hold(
    directory: &Path,
    busy: WhenBusy,
    events: Events<'_>,
) -> Result<Arc<Held>, Error> {
    let mut told = false;
    loop {
        let path = directory.to_path_buf();
        match blocking(move || Held::take(&path)).await {
            Err(Error::Busy { path }) if busy == WhenBusy::Wait => {
                if !told {
                    events(Event::Waiting { path });
                    told = true;
                }
                // A thread that blocks could not be stopped.
                tokio::time::sleep(PAUSE).await;
            }
            result => return Ok(Arc::new(result?)),
        }
    }
}

/// Makes a staging directory beside a target that is held.
pub(crate) async fn stage(held: &Arc<Held>) -> Result<Arc<Staging>, Error> {
    // From now on, though it is dropped before a thread begins.
    let claim = held.claim();
    Ok(Arc::new(blocking(move || claim.stage()).await?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures_util::FutureExt;

    use super::*;

    /// Whether nothing is staged for the target, nobody else holds it, and nothing is left beside it.
    fn is_left_alone(held: &Arc<Held>, directory: &Path) -> bool {
        let entries = fs::read_dir(directory).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name());
        Arc::strong_count(held) == 1 && names.all(|name| name == ".app.countersign.lock")
    }

    #[tokio::test]
    async fn a_target_is_unclaimed_when_the_last_staging_directory_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("app");
        let held = hold(&target, WhenBusy::Fail, &|_| {}).await.unwrap();
        assert!(held.unclaimed().now_or_never().is_some());
        for _ in 0..100 {
            let staging = stage(&held).await.unwrap();
            assert!(held.unclaimed().now_or_never().is_none());
            let removed = std::thread::spawn(move || drop(staging));
            held.unclaimed().await;
            assert!(is_left_alone(&held, directory.path()));
            removed.join().unwrap();
            // A thread makes it, though nobody waits for it.
            drop(stage(&held).now_or_never());
            held.unclaimed().await;
            assert!(is_left_alone(&held, directory.path()));
        }
    }
}
