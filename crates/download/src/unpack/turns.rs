//! When the fetch of each layer begins.
//!
//! The layer that is unpacked first should be there first. If all are fetched at once over a fast link,
//! they all end at the same time, and until then there is nothing to unpack. So each layer has a head
//! start before the next one. On a slow link the head start is soon over, and several are fetched at once.

use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

/// How long a layer is fetched before the next one begins.
const HEAD_START: Duration = Duration::from_millis(250);
/// Layers that are smaller than this together are fetched at once: they take no longer than an answer.
const SMALL: u64 = 4 << 20;

/// The layers of one image that are being fetched.
pub(super) struct Turns {
    /// Bytes of the layers whose fetch has begun and not ended.
    begun: watch::Sender<u64>,
    /// Held by the next layer to begin. It is given out in the order in which it was asked for.
    next: Mutex<()>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            begun: watch::Sender::new(0),
            next: Mutex::new(()),
        }
    }

    /// Waits until a layer of `size` bytes may begin. Its fetch ends when the result is dropped.
    pub(super) async fn begin(&self, size: u64) -> Turn<'_> {
        let _next = self.next.lock().await;
        let mut begun = self.begun.subscribe();
        let few = begun.wait_for(|bytes| *bytes == 0 || bytes.saturating_add(size) <= SMALL);
        // After the head start it begins in any case.
        let _ = timeout(HEAD_START, few).await;
        self.begun
            .send_modify(|bytes| *bytes = bytes.saturating_add(size));
        Turn { turns: self, size }
    }
}

/// A layer that is being fetched.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    size: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let size = self.size;
        self.turns
            .begun
            .send_modify(|bytes| *bytes = bytes.saturating_sub(size));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::FutureExt;

    use super::*;

    const LARGE: u64 = 50 << 20;

    #[tokio::test]
    async fn small_layers_begin_at_once() {
        let turns = Turns::new();
        let sizes = [SMALL / 4; 4];
        let turns: Vec<_> = sizes.map(|size| turns.begin(size).now_or_never()).into();
        assert!(turns.iter().all(Option::is_some));
    }

    #[tokio::test]
    async fn a_large_layer_has_a_head_start_until_it_ends() {
        let turns = Turns::new();
        let first = turns.begin(LARGE).await;
        let mut second = std::pin::pin!(turns.begin(LARGE));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn after_the_head_start_the_next_begins_beside_it() {
        let turns = Turns::new();
        let _first = turns.begin(LARGE).await;
        let began = Instant::now();
        let _second = turns.begin(LARGE).await;
        assert!(began.elapsed() >= HEAD_START);
    }
}
