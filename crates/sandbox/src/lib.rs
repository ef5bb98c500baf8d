//! Test only. A Sigstore and a registry in this process, on loopback, on ports the system picks.
#![allow(clippy::todo, missing_docs)]
pub mod image;
mod registry;
mod server;
mod sigstore;
pub use registry::{Auth, Effect, Fault, RegistryOptions, RegistryServer, Request};
pub use sigstore::{RekorVersion, Service, ServiceFault, ServiceRequest, Sigstore, SigstoreError};
