//! The producer against a Sigstore and a registry in this process, that misbehave where a test
//! says so.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what clippy allows in tests it denies in the functions that they share"
)]

mod again;
mod clock;
mod common;
mod config;
mod copy;
mod faults;
mod identity;
mod listing;
mod login;
mod merge;
mod parallel;
mod patience;
mod proxies;
mod recursion;
mod refusals;
mod send;
mod services;
mod simple_signing;
mod tags;
mod then_tag;
mod token;
