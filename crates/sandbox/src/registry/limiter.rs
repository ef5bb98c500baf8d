//! A limit on how often the registry is asked.

use std::time::{Duration, Instant};

use axum::http::{HeaderName, StatusCode, header};
use axum::response::Response;

use super::answer;

/// How many requests the registry takes in a time. Others get 429.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// How many.
    pub requests: u64,
    /// In how many seconds. Then the count begins anew.
    pub seconds: u64,
    /// How it tells.
    pub told_by: ToldBy,
}

/// How a registry tells about its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// `Retry-After`, with 429 alone.
    RetryAfter,
    /// `RateLimit-Remaining` and `RateLimit-Reset`, with every answer.
    RateLimit,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    begun: Option<Instant>,
    taken: u64,
    open: usize,
    most_open: usize,
    refused: usize,
}

impl Limiter {
    pub(super) fn most_open(&self) -> usize {
        self.most_open
    }

    pub(super) fn refused(&self) -> usize {
        self.refused
    }

    pub(super) fn reset(&mut self) {
        (self.most_open, self.refused) = (self.open, 0);
    }

    pub(super) fn open(&mut self) {
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    pub(super) fn close(&mut self) {
        self.open -= 1;
    }

    /// What is told with the answer, or the refusal.
    pub(super) fn take(&mut self, limit: &RateLimit) -> Result<Told, Box<Response>> {
        let now = Instant::now();
        let window = Duration::from_secs(limit.seconds);
        let begun = match self.begun {
            Some(begun) if now < begun + window => begun,
            _ => {
                self.taken = 0;
                *self.begun.insert(now)
            }
        };
        // Rounded up: who comes back then finds a new count.
        let reset = (begun + window).saturating_duration_since(now).as_secs() + 1;
        let told = Told {
            by: limit.told_by,
            left: limit.requests.saturating_sub(self.taken + 1),
            reset,
        };
        if self.taken == limit.requests {
            self.refused += 1;
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut refused = answer::error(status, "TOOMANYREQUESTS", "come back later");
            if limit.told_by == ToldBy::RetryAfter {
                answer::set(&mut refused, header::RETRY_AFTER, reset);
            }
            told.tell(&mut refused);
            return Err(Box::new(refused));
        }
        self.taken += 1;
        Ok(told)
    }
}

/// What an answer tells.
pub(super) struct Told {
    by: ToldBy,
    left: u64,
    reset: u64,
}

impl Told {
    pub(super) fn tell(&self, response: &mut Response) {
        if self.by == ToldBy::RateLimit {
            let name = HeaderName::from_static("ratelimit-remaining");
            answer::set(response, name, self.left);
            let name = HeaderName::from_static("ratelimit-reset");
            answer::set(response, name, self.reset);
        }
    }
}
