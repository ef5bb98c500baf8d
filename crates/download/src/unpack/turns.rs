//! When the fetch of each layer begins.
//!
//! The layer that is unpacked first should be there first. If all are fetched at once over a link that one of them
//! fills, they all end at the same time, and until then there is nothing to unpack. So each layer has a head start
//! before the next one. A further layer begins only if the one before it has made the whole faster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

/// How long a layer is fetched before the next one begins.
const HEAD_START: Duration = Duration::from_millis(250);
/// Layers that are smaller than this together are fetched at once: they take no longer than an answer.
const SMALL: u64 = 4 << 20;
/// When no more bytes than this are still to come, the next layer is asked for, so that the link isn't idle until the
/// answer is there. At 100 Mbit/s they take a sixth of a second.
const LAST: u64 = 2 << 20;

/// The layers of one image that are being fetched.
pub(super) struct Turns {
    state: watch::Sender<State>,
    /// Held by the next layer to begin. It is given out in the order in which it was asked for.
    next: Mutex<Link>,
}

#[derive(Default)]
struct State {
    /// Layers whose fetch has begun and not ended.
    begun: usize,
    /// Their bytes that are still to come.
    left: u64,
    /// Bytes of all layers that have come.
    received: u64,
}

impl State {
    /// Whether a layer of `size` bytes may begin whatever the link does.
    fn has_room(&self, size: u64) -> bool {
        self.left <= LAST || self.left.saturating_add(size) <= SMALL
    }
}

/// What is known of the link to the registry.
#[derive(Default)]
struct Link {
    /// How many layers came in at the last look, and at how many bytes a second.
    before: Option<(usize, f64)>,
    /// How many layers fill the link. `None` while it is not known.
    full_with: Option<usize>,
}

impl Link {
    /// Takes in that `begun` layers come in at `rate` bytes a second.
    fn learn(&mut self, begun: usize, rate: f64) {
        let Some((others, before)) = self.before.replace((begun, rate)) else {
            return;
        };
        if others == 0 || begun != others + 1 {
            return;
        }
        // Half of what a layer more would bring if the server's speed were for each connection.
        let share = 0.5 / f64::from(u32::try_from(others).unwrap_or(u32::MAX));
        if rate < before * (1.0 + share) {
            self.full_with = Some(others);
        }
    }

    fn is_full(&self, begun: usize) -> bool {
        self.full_with.is_some_and(|most| begun >= most)
    }
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            next: Mutex::new(Link::default()),
        }
    }

    /// Waits until a layer of `size` bytes may begin. Its fetch ends when the result is dropped.
    pub(super) async fn begin(&self, size: u64) -> Turn<'_> {
        let mut link = self.next.lock().await;
        let mut state = self.state.subscribe();
        let received = state.borrow().received;
        let since = Instant::now();
        let room = state.wait_for(|state| state.has_room(size));
        if link.full_with.is_none() && timeout(HEAD_START, room).await.is_err() {
            let state = self.state.borrow();
            let bytes = u32::try_from(state.received.saturating_sub(received)).unwrap_or(u32::MAX);
            link.learn(
                state.begun,
                f64::from(bytes) / since.elapsed().as_secs_f64(),
            );
        }
        let may_begin = |state: &State| state.has_room(size) || !link.is_full(state.begun);
        let waits = !may_begin(&self.state.borrow());
        // The sender is ours: it is never gone.
        let _ = self.state.subscribe().wait_for(may_begin).await;
        if waits {
            // What filled the link, or slowed its server, may be over. So it is measured anew.
            *link = Link::default();
        }
        self.state.send_modify(|state| {
            state.begun += 1;
            state.left = state.left.saturating_add(size);
        });
        Turn {
            turns: self,
            left: AtomicU64::new(size),
        }
    }
}

/// A layer that is being fetched.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    /// Its bytes that are still to come.
    left: AtomicU64,
}

impl Turn<'_> {
    /// Says that all but `left` bytes have come.
    pub(super) fn received_all_but(&self, left: u64) {
        // A fetch that begins anew brings nothing until it is past where it was.
        let before = self.left.fetch_min(left, Ordering::Relaxed);
        let came = before.saturating_sub(left);
        self.turns.state.send_if_modified(|state| {
            state.received = state.received.saturating_add(came);
            state.left = state.left.saturating_sub(came);
            // Nobody waits for anything else.
            state.left <= SMALL
        });
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let left = self.left.load(Ordering::Relaxed);
        self.turns.state.send_modify(|state| {
            state.begun = state.begun.saturating_sub(1);
            state.left = state.left.saturating_sub(left);
        });
    }
}

#[cfg(test)]
mod tests {
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
    async fn the_next_is_asked_for_before_the_last_bytes_are_there() {
        let turns = Turns::new();
        let first = turns.begin(LARGE).await;
        let mut second = std::pin::pin!(turns.begin(LARGE));
        first.received_all_but(LAST + 1);
        assert!((&mut second).now_or_never().is_none());
        first.received_all_but(LAST);
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

    #[tokio::test]
    async fn on_a_full_link_none_begins_until_another_ends() {
        let turns = Turns::new();
        turns.next.lock().await.full_with = Some(1);
        let first = turns.begin(LARGE).await;
        let mut second = std::pin::pin!(turns.begin(LARGE));
        assert!(timeout(HEAD_START * 2, &mut second).await.is_err());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_link_that_was_full_is_measured_anew() {
        let turns = Turns::new();
        turns.next.lock().await.full_with = Some(1);
        let first = turns.begin(LARGE).await;
        assert!(turns.next.lock().await.is_full(1));
        let mut second = std::pin::pin!(turns.begin(LARGE));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let _second = second.await;
        // The third one has a head start to wait for, and begins beside the second.
        let _third = turns.begin(LARGE).await;
        assert_eq!(turns.state.borrow().begun, 2);
    }

    #[test]
    fn the_link_is_full_when_one_more_brings_nothing() {
        let rates = |rates: &[f64]| {
            let mut link = Link::default();
            for (others, &rate) in rates.iter().enumerate() {
                link.learn(others + 1, rate);
            }
            link.full_with
        };
        assert_eq!(rates(&[10.0, 10.0]), Some(1));
        assert_eq!(rates(&[10.0, 14.0]), Some(1));
        // The server gives each connection the same.
        assert_eq!(rates(&[10.0, 20.0, 30.0]), None);
        assert_eq!(rates(&[10.0, 16.0, 16.0]), Some(2));
        // Nothing had come when the second one began.
        assert_eq!(rates(&[0.0, 10.0, 10.0]), Some(2));
        assert_eq!(rates(&[0.0, 0.0, 0.0]), None);
        // A layer has ended meanwhile: these two can't be compared.
        let mut link = Link::default();
        link.learn(2, 10.0);
        link.learn(2, 10.0);
        assert_eq!(link.full_with, None);
    }

    #[tokio::test]
    async fn a_fetch_that_begins_anew_counts_no_byte_twice() {
        let turns = Turns::new();
        let layer = turns.begin(LARGE).await;
        for left in [LARGE - 10, LARGE, LARGE - 5, LARGE - 15] {
            layer.received_all_but(left);
        }
        assert_eq!(turns.state.borrow().received, 15);
        assert_eq!(turns.state.borrow().left, LARGE - 15);
        drop(layer);
        assert_eq!(turns.state.borrow().left, 0);
    }
}
