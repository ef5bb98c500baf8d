//! Only for tests: a Sigstore and a registry in this process, on loopback, on ports that the system
//! picks.
//!
//! Independent clients (cosign, sigstore-python, crane) accept both. Tests can make both misbehave:
//! see [`Fault`], [`ServiceFault`] and [`Flaw`]. Keys are made when the test runs and protect
//! nothing. Nothing that is published depends on this crate.

mod breakdown;
mod closed_port;
mod hostile;
pub mod image;
mod misuse;
mod proxy;
mod registry;
mod roll_out;
mod scene;
mod server;
mod sigstore;

pub use breakdown::Moment;
pub use closed_port::ClosedPort;
pub use hostile::{HostileBundle, hostile_bundles};
pub use misuse::Compiler;
pub use proxy::RecordingProxy;
pub use registry::{
    Auth, DashedTags, Effect, Fault, Mounts, RateLimit, RegistryOptions, RegistryServer, Request,
    ToldBy,
};
pub use roll_out::{RollOut, Standing};
pub use scene::Scene;
pub use sigstore::{
    BUNDLE, BundleSpec, CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, Flaw, LOG_ANNOTATION,
    LoginAnswer, RekorVersion, SIGNATURE_ANNOTATION, Service, ServiceFault, ServiceRequest,
    SigningKey, SigningKeyKind, Sigstore, SigstoreError, SimpleSignature, SimpleSigningPlace,
    Statement, push_simple_signing, simple_signing_payload,
};
