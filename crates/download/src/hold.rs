//! Takes a target and makes its staging directory, from asynchronous code.

use std::path::Path;
use std::sync::Arc;

use countersign_oci::when_free;

use crate::blocking::blocking;
use crate::error::Error;
use crate::events::{Event, Events};
use crate::options::WhenBusy;
use crate::target::{Held, Staging};

/// Takes the target `directory`. Nobody else installs to it while it is held. If another run holds it
/// and `busy` says to wait, this reports [`Event::Waiting`] once and waits.
pub(crate) async fn hold(
    directory: &Path,
    busy: WhenBusy,
    events: Events<'_>,
) -> Result<Arc<Held>, Error> {
    let take = || async {
        let path = directory.to_path_buf();
        match blocking(move || Held::take(&path)).await {
            Err(Error::Busy { path }) if busy == WhenBusy::Wait => Ok(Err(path)),
            taken => taken.map(Ok),
        }
    };
    let held = when_free(take, |path| events(Event::Waiting { path })).await?;
    Ok(Arc::new(held))
}

/// Waits for `work` on a target that is held, and then until nothing is left of it, whatever came of it. A thread may
/// still be at work on what was given up, such as layers that were fetched ahead and are not needed.
pub(crate) async fn settled<T>(held: &Held, work: impl Future<Output = T>) -> T {
    let result = work.await;
    held.unclaimed().await;
    result
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
    async fn work_that_succeeds_is_settled_when_a_thread_has_given_up_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("app");
        let held = hold(&target, WhenBusy::Fail, &|_| {}).await.unwrap();
        let (go_on, told) = std::sync::mpsc::channel();
        let claim = held.claim();
        let given_up = std::thread::spawn(move || {
            told.recv().unwrap();
            drop(claim);
        });
        let mut work = Box::pin(settled(&held, async { "done" }));
        assert!((&mut work).now_or_never().is_none());
        go_on.send(()).unwrap();
        assert_eq!(work.await, "done");
        assert!(is_left_alone(&held, directory.path()));
        given_up.join().unwrap();
        drop(held);
        // So the next one need not wait.
        hold(&target, WhenBusy::Fail, &|_| {}).await.unwrap();
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

    #[test]
    fn what_is_staged_is_not_removed_on_a_thread_that_others_wait_for() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("app");
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let held = hold(&target, WhenBusy::Fail, &|_| {}).await.unwrap();
            let staging = stage(&held).await.unwrap();
            let path = staging.blob_path(0);
            fs::write(&path, "gigabytes").unwrap();
            // The only thread that may block has other work.
            let (go_on, told) = std::sync::mpsc::channel();
            let other = tokio::task::spawn_blocking(move || told.recv().unwrap());
            drop(staging);
            assert!(path.exists());
            assert!(held.unclaimed().now_or_never().is_none());
            go_on.send(()).unwrap();
            held.unclaimed().await;
            assert!(!path.exists());
            assert!(is_left_alone(&held, directory.path()));
            other.await.unwrap();
        });
    }

    #[test]
    fn what_is_staged_when_the_runtime_ends_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("app");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let staging = runtime.block_on(async {
            let held = hold(&target, WhenBusy::Fail, &|_| {}).await.unwrap();
            stage(&held).await.unwrap()
        });
        let (path, entered) = (staging.blob_path(0), runtime.handle().clone());
        runtime.shutdown_background();
        let _entered = entered.enter();
        drop(staging);
        assert!(!path.parent().unwrap().exists());
    }
}
