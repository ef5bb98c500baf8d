//! How mutexes of this crate are locked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after another holder's panic: each holder changes the value in one step, so it is never half
/// changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
