//! Whose turn it is: how many requests a host gets at the same time, and how soon.
//!
//! A host that refuses a request because there were too many (429) is left alone by all requests until the time that
//! it gives. After that it gets half as many at the same time, and slowly more again.

use std::collections::HashMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use reqwest::Response;
use tokio::sync::Notify;
use tokio::time::Instant;
use url::{Origin, Url};

use super::rate_limit::RateLimit;

use crate::lock::lock;

/// How many hosts are remembered before those are forgotten that nobody asks.
const HOSTS_MAX: usize = 1024;
/// How far a request may be ahead of the rate, since timers are not exact.
const SLACK: Duration = Duration::from_millis(50);

/// How many requests each host gets. Clones share the counts, so that clients made from the same options do too.
#[derive(Clone)]
pub struct Traffic {
    shared: Arc<Shared>,
}

struct Shared {
    at_once: NonZeroUsize,
    rate: Option<NonZeroU32>,
    hosts: Mutex<HashMap<Origin, Arc<Host>>>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self::new(Self::AT_ONCE, None)
    }
}

impl Traffic {
    /// How many requests a host gets at the same time, if nobody says otherwise.
    pub const AT_ONCE: NonZeroUsize = match NonZeroUsize::new(32) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    };

    /// At most `at_once` requests to each host wait for an answer at the same time, without those that upload a blob; and
    /// each host gets at most `rate` requests a second.
    #[must_use]
    pub fn new(at_once: NonZeroUsize, rate: Option<NonZeroU32>) -> Self {
        Self {
            shared: Arc::new(Shared {
                at_once,
                rate,
                hosts: Mutex::default(),
            }),
        }
    }

    /// Waits until the host of `url` may be asked.
    pub(super) async fn turn(&self, url: &Url, request: Kind) -> Turn {
        let host = self.host(url);
        loop {
            // Made before the look, so that no change is missed.
            let changed = host.changed.notified();
            let entered = host.lock().enter(Instant::now(), request);
            match entered {
                Ok(()) => {
                    let host = Arc::clone(&host);
                    return Turn { host, request };
                }
                Err(Wait::Until(time)) => {
                    tracing::debug!(url = %super::shown(url), pause = ?time.duration_since(Instant::now()), "waiting");
                    tokio::time::sleep_until(time).await;
                }
                Err(Wait::ForAnswers) => changed.await,
                Err(Wait::ForAnswersUntil(time)) => {
                    let _ = tokio::time::timeout_at(time, changed).await;
                }
            }
        }
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let Shared {
            at_once,
            rate,
            hosts,
        } = self.shared.as_ref();
        let mut hosts = lock(hosts);
        if hosts.len() >= HOSTS_MAX {
            let now = Instant::now();
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.lock().is_busy(now));
        }
        let new = || Arc::new(Host::new(at_once.get(), *rate));
        Arc::clone(hosts.entry(url.origin()).or_insert_with(new))
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic")
            .field("at_once", &self.shared.at_once)
            .field("rate", &self.shared.rate)
            .finish_non_exhaustive()
    }
}

/// Whether a request is counted until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Short,
    /// It is not counted: it may be open for long, and its content may come from another request to the same host, which
    /// must not wait for it.
    Upload,
}

/// How long a host is left alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// If it does not say how long.
    pub(super) usual: Duration,
    /// A longer one is not waited for.
    pub(super) longest: Duration,
}

/// A request that was let through. It is counted until this is dropped.
pub(super) struct Turn {
    host: Arc<Host>,
    request: Kind,
}

impl Turn {
    /// Takes to heart what the answer says about other requests.
    pub(super) fn answered(self, response: &Response, pauses: Pauses) {
        let said = RateLimit::of(response.status(), response.headers());
        let mut state = self.host.lock();
        state.answered(Instant::now(), said, pauses);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.request == Kind::Short {
            let mut state = self.host.lock();
            state.open = state.open.saturating_sub(1);
        }
        self.host.changed.notify_waiters();
    }
}

struct Host {
    state: Mutex<State>,
    changed: Notify,
}

impl Host {
    fn new(at_once: usize, rate: Option<NonZeroU32>) -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                interval: rate.map(|rate| Duration::from_secs(1) / rate.get()),
                most: at_once,
                allowed: at_once,
                open: 0,
                calm: 0,
                next: now,
                not_before: now,
                left: None,
            }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Why it is not a request's turn.
#[derive(Debug, PartialEq, Eq)]
enum Wait {
    Until(Instant),
    ForAnswers,
    /// For whichever is first. The answer may never come.
    ForAnswersUntil(Instant),
}

struct State {
    /// Between two requests, by the rate.
    interval: Option<Duration>,
    /// How many requests may be open, and how many of them now.
    most: usize,
    allowed: usize,
    open: usize,
    /// Answers since `allowed` was changed.
    calm: usize,
    /// The next request by the rate.
    next: Instant,
    /// The end of the pause that the host wants.
    not_before: Instant,
    /// How many more requests the host takes until then.
    left: Option<(u64, Instant)>,
}

impl State {
    fn is_busy(&self, now: Instant) -> bool {
        self.open > 0
            || now < self.not_before
            || now < self.next
            || self.left.is_some_and(|(_, until)| now < until)
    }

    fn enter(&mut self, now: Instant, request: Kind) -> Result<(), Wait> {
        if now < self.not_before {
            return Err(Wait::Until(self.not_before));
        }
        if self.left.is_some_and(|(_, until)| now >= until) {
            self.left = None;
        }
        match self.left {
            // An answer that is on its way may say that there is more.
            Some((0, until)) if self.open > 0 => return Err(Wait::ForAnswersUntil(until)),
            Some((0, until)) => return Err(Wait::Until(until)),
            _ => {}
        }
        if request == Kind::Short && self.open >= self.allowed {
            return Err(Wait::ForAnswers);
        }
        if let Some(interval) = self.interval {
            if now < self.next {
                return Err(Wait::Until(self.next));
            }
            let late = now.checked_sub(SLACK).unwrap_or(now);
            self.next = self.next.max(late) + interval;
        }
        if let Some((left, _)) = &mut self.left {
            *left -= 1;
        }
        if request == Kind::Short {
            self.open += 1;
        }
        Ok(())
    }

    fn answered(&mut self, now: Instant, said: RateLimit, pauses: Pauses) {
        if said.too_many {
            // Of the requests that were open together, the first one counts.
            if now >= self.not_before {
                self.allowed = (self.allowed / 2).max(1);
            }
            self.calm = 0;
            let pause = said.pause.unwrap_or(pauses.usual);
            if pause <= pauses.longest
                && let Some(then) = now.checked_add(pause)
            {
                self.not_before = self.not_before.max(then);
            }
            return;
        }
        if let Some((left, reset)) = said.left
            && reset <= pauses.longest
            && let Some(then) = now.checked_add(reset)
        {
            // The host may not have counted those yet that are open.
            let others = self.open.saturating_sub(1) as u64;
            self.left = Some((left.saturating_sub(others), then));
        }
        self.calm += 1;
        if self.calm >= self.allowed {
            (self.allowed, self.calm) = ((self.allowed + 1).min(self.most), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn host(at_once: usize, rate: Option<u32>) -> State {
        let host = Host::new(at_once, rate.and_then(NonZeroU32::new));
        host.state.into_inner().unwrap()
    }

    fn too_many(pause: Option<Duration>) -> RateLimit {
        RateLimit {
            too_many: true,
            pause,
            left: None,
        }
    }

    impl State {
        fn leave(&mut self, now: Instant, said: RateLimit) {
            let pauses = Pauses {
                usual: SECOND / 4,
                longest: 30 * SECOND,
            };
            self.answered(now, said, pauses);
            self.open -= 1;
        }
    }

    #[test]
    fn requests_are_counted_and_uploads_are_not() {
        let (mut host, now) = (host(2, None), Instant::now());
        for _ in 0..2 {
            assert_eq!(host.enter(now, Kind::Short), Ok(()));
            assert_eq!(host.enter(now, Kind::Upload), Ok(()));
        }
        assert_eq!(host.enter(now, Kind::Short), Err(Wait::ForAnswers));
        host.leave(now, RateLimit::default());
        assert_eq!(host.enter(now, Kind::Short), Ok(()));
    }

    #[test]
    fn a_rate_is_kept() {
        let (mut host, mut now) = (host(99, Some(10)), Instant::now());
        let (begun, mut requests) = (now, 0);
        while now < begun + 3 * SECOND {
            match host.enter(now, Kind::Upload) {
                Ok(()) => requests += 1,
                Err(Wait::Until(time)) => now = time,
                Err(_) => panic!("nothing is counted"),
            }
        }
        // One may be ahead, by the slack.
        assert!((30..=31).contains(&requests), "{requests}");
        // Whoever was silent for a minute may not catch up.
        now += 60 * SECOND;
        assert_eq!(host.enter(now, Kind::Short), Ok(()));
        assert!(host.enter(now, Kind::Short).is_err());
    }

    #[test]
    fn a_refusal_stops_all_requests_and_halves_them_once() {
        let (mut host, now) = (host(8, None), Instant::now());
        for _ in 0..8 {
            host.enter(now, Kind::Short).unwrap();
        }
        for _ in 0..8 {
            host.leave(now, too_many(Some(7 * SECOND)));
        }
        let end = now + 7 * SECOND;
        assert_eq!(host.enter(now, Kind::Upload), Err(Wait::Until(end)));
        let entered = (0..8).filter(|_| host.enter(end, Kind::Short).is_ok());
        assert_eq!(entered.count(), 4);
        // After as many answers as requests, there is one more.
        for _ in 0..4 {
            host.leave(end, RateLimit::default());
        }
        assert_eq!((host.allowed, host.open), (5, 0));
        // A pause that nobody waits for stops nobody.
        host.enter(end, Kind::Short).unwrap();
        host.leave(end, too_many(Some(31 * SECOND)));
        assert_eq!(host.enter(end, Kind::Short), Ok(()));
        assert_eq!(host.allowed, 2);
    }

    #[test]
    fn what_a_host_has_left_is_not_exceeded() {
        let (mut host, now) = (host(8, None), Instant::now());
        let left = |left| RateLimit {
            left: Some((left, 5 * SECOND)),
            ..RateLimit::default()
        };
        host.enter(now, Kind::Short).unwrap();
        host.enter(now, Kind::Short).unwrap();
        // One more is open, and may not have been counted.
        host.leave(now, left(2));
        assert_eq!(host.enter(now, Kind::Short), Ok(()));
        let reset = now + 5 * SECOND;
        let waits = Err(Wait::ForAnswersUntil(reset));
        assert_eq!(host.enter(now, Kind::Short), waits);
        host.leave(now, left(1));
        host.leave(now, left(0));
        assert_eq!(host.enter(now, Kind::Short), Err(Wait::Until(reset)));
        // It is not remembered for longer than it is true.
        assert!(host.is_busy(now) && !host.is_busy(reset));
        assert_eq!(host.enter(reset, Kind::Short), Ok(()));
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_stops_nobody_after_the_reset() {
        let traffic = Traffic::default();
        let url = Url::parse("https://registry.example/v2/").unwrap();
        let hanging = traffic.turn(&url, Kind::Short).await;
        let reset = Instant::now() + SECOND / 20;
        hanging.host.lock().left = Some((0, reset));
        let next = traffic.turn(&url, Kind::Short);
        let next = tokio::time::timeout(20 * SECOND, next).await;
        assert!(next.is_ok(), "it waits for an answer that never comes");
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_an_answer_comes() {
        let one = NonZeroUsize::MIN;
        let traffic = Traffic::new(one, None);
        let url = Url::parse("https://registry.example/v2/").unwrap();
        let first = traffic.turn(&url, Kind::Short).await;
        let elsewhere = Url::parse("https://other.example/v2/").unwrap();
        drop(traffic.turn(&elsewhere, Kind::Short).await);
        let clone = traffic.clone();
        let waiting = tokio::spawn(async move { drop(clone.turn(&url, Kind::Short).await) });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }
}
