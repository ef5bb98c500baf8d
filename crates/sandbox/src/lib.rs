//! Test only. A Sigstore and a registry in this process, on loopback, on ports the system picks.
//!
//! Both are complete enough that independent clients (cosign, sigstore-python, crane) accept them,
//! and both misbehave on demand: see [`Fault`], [`ServiceFault`] and [`Flaw`]. Keys are made at
//! run time and are worth nothing; nothing that is shipped depends on this crate.

mod hostile;
pub mod image;
mod misuse;
mod proxy;
mod registry;
mod scene;
mod server;
mod sigstore;

pub use hostile::{HostileBundle, hostile_bundles};
pub use misuse::Compiler;
pub use proxy::RecordingProxy;
pub use registry::{Auth, DashedTags, Effect, Fault, RegistryOptions, RegistryServer, Request};
pub use scene::Scene;
pub use sigstore::{
    BUNDLE, BundleSpec, Flaw, RekorVersion, Service, ServiceFault, ServiceRequest, Sigstore,
    SigstoreError, Statement,
};
