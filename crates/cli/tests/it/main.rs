//! The real program, as people and scripts run it, against the sandbox's Sigstore and registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests are tests too"
)]

mod advice;
mod also_verify;
mod audit;
mod audit_job;
mod audit_page;
mod audit_politely;
mod audit_reports;
mod audit_resumed;
mod bundle;
mod cache;
mod check;
mod commands;
mod configuration;
mod copy;
mod copy_gallery;
mod copy_kit;
mod copy_layout;
mod copy_order;
mod doctor;
mod exit_codes;
mod faults;
mod file_systems;
mod gallery;
mod gallery_mistakes;
mod help;
mod identity;
mod image_verifier;
mod jobs;
mod keys;
mod layers;
mod layout;
mod legacy;
mod lock;
mod login;
mod merge;
mod mounts;
mod newcomer;
mod output;
mod pages;
mod person;
mod policy;
mod predicates;
mod preview;
mod printed;
mod registries;
mod schema;
mod shop;
mod signals;
mod signing;
mod stage;
mod store;
mod tags;
mod terminal;
mod timeout;
mod torture;
mod tree;
mod trust;
mod upgrading;
mod usage;
mod verify_results;
