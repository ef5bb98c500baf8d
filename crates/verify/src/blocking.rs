//! Limits how many bundles are checked at the same time: one for each processor.

use std::num::NonZero;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// One permit for each processor.
pub(crate) fn one_permit_for_each_processor() -> Arc<Semaphore> {
    let processors = std::thread::available_parallelism();
    Arc::new(Semaphore::new(processors.map_or(1, NonZero::get)))
}

/// Runs work that computes on a thread for blocking work, so that this thread is free for the network and
/// for time limits. If the caller stops waiting, work that has not started never starts. Work that has
/// started keeps its permit until it ends; the bounds on bundles keep that to milliseconds.
///
/// # Errors
/// If the work panicked.
pub(crate) async fn run_blocking<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    // An error would mean that the semaphore is closed. Nothing closes it.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let working = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    working.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[tokio::test]
    async fn judging_leaves_the_thread_that_time_limits_need() {
        let permits = Arc::new(Semaphore::new(1));
        let here = std::thread::current().id();
        let there = run_blocking(&permits, || std::thread::current().id())
            .await
            .unwrap();
        assert_ne!(here, there);

        let (end, ended) = mpsc::channel::<()>();
        let endless = run_blocking(&permits, move || ended.recv());
        let late = tokio::time::timeout(Duration::from_millis(10), endless).await;
        assert!(late.is_err(), "the time limit fires while the work goes on");

        // It keeps its turn, so that work nobody waits for doesn't pile up.
        assert_eq!(permits.available_permits(), 0);
        let (begun, beginning) = mpsc::channel::<()>();
        let next = run_blocking(&permits, move || begun.send(()));
        let late = tokio::time::timeout(Duration::from_millis(10), next).await;
        assert!(late.is_err());
        assert_eq!(
            beginning.try_recv(),
            Err(mpsc::TryRecvError::Disconnected),
            "work that hasn't begun when nobody waits any longer never does"
        );
        end.send(()).unwrap();
        run_blocking(&permits, || ()).await.unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_gives_its_turn_back() {
        let permits = Arc::new(Semaphore::new(1));
        let judged: Result<(), JoinError> = run_blocking(&permits, || panic!("a fault")).await;
        assert!(judged.unwrap_err().is_panic());
        assert_eq!(permits.available_permits(), 1);
    }
}
