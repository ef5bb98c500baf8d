//! How locks of this crate, and of those above it, are taken.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// How long to wait before trying again to take what another run holds.
const PAUSE: Duration = Duration::from_millis(200);

/// Locks `mutex`, also after another holder's panic: what is locked by this is usable after each statement.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what one run at a time may have. `take` tries it once; its inner error says what another run holds. Then
/// `waiting` is called with that, once, and this waits until the other run has ended.
///
/// # Errors
/// The outer error of `take`.
pub async fn when_free<T, Busy, E, Taking>(
    mut take: impl FnMut() -> Taking,
    waiting: impl FnOnce(Busy),
) -> Result<T, E>
where
    Taking: Future<Output = Result<Result<T, Busy>, E>>,
{
    let mut waiting = Some(waiting);
    loop {
        match take().await? {
            Ok(taken) => return Ok(taken),
            Err(busy) => {
                if let Some(waiting) = waiting.take() {
                    waiting(busy);
                }
            }
        }
        // A thread that blocks could not be stopped.
        tokio::time::sleep(PAUSE).await;
    }
}

/// A lock for each key, for tasks that take turns.
pub(crate) struct KeyedLocks<K>(Mutex<HashMap<K, Arc<Lock<()>>>>);

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> KeyedLocks<K> {
    /// Waits until nobody else has the turn of `key`. It ends when the answer is dropped.
    pub(crate) async fn turn(&self, key: K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut locks = lock(&self.0);
            // Those that nobody has or waits for.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(key).or_default())
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_of_one_key_are_taken_one_after_the_other_and_then_forgotten() {
        let locks = KeyedLocks::default();
        let one = locks.turn("a").await;
        let other = locks.turn("b").await;
        let mut second = Box::pin(locks.turn("a"));
        assert!(second.as_mut().now_or_never().is_none());
        drop(one);
        let second = second.await;
        assert_eq!(lock(&locks.0).len(), 2);
        drop((second, other));
        let _third = locks.turn("c").await;
        assert_eq!(lock(&locks.0).len(), 1);
    }
}
