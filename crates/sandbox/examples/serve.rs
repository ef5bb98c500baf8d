//! Runs a local Sigstore until it is interrupted, for trying clients by hand.
//!
//! ```text
//! cargo run -p countersign-sandbox --example serve -- FOLDER [IDENTITY]
//! ```
//!
//! It writes `trusted_root.json`, `signing_config.json` (Rekor v1), `signing_config.v2.json`
//! (Rekor v2), the TUF repository's `root.json` and a `token` for IDENTITY into FOLDER, and prints
//! the services' URLs. The token is good for ten minutes and written anew every five.

// A program, and not the library: here is the one place where this crate talks to a terminal.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_sandbox::{RekorVersion, Sigstore};

const RENEWAL: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        // A flag, such as --help, is no folder.
        .filter(|folder| !folder.starts_with('-'))
        .map(PathBuf::from)
        .ok_or_else(|| std::io::Error::other("usage: serve FOLDER [IDENTITY]"))?;
    let identity = arguments
        .next()
        .unwrap_or_else(|| "signer@example.org".to_owned());

    let sigstore = Sigstore::start().await?;
    write_trust(&sigstore, &folder)?;
    println!("fulcio    {}", sigstore.fulcio_url());
    println!("rekor v1  {}", sigstore.rekor_url(RekorVersion::V1));
    println!("rekor v2  {}", sigstore.rekor_url(RekorVersion::V2));
    println!("tsa       {}", sigstore.tsa_url());
    println!("oidc      {}", sigstore.oidc_issuer());
    println!("tuf       {}", sigstore.tuf_url());
    println!(
        "Trust and a token for {identity} are in {}.",
        folder.display()
    );

    let mut renewal = tokio::time::interval(RENEWAL);
    loop {
        tokio::select! {
            _ = renewal.tick() => std::fs::write(folder.join("token"), sigstore.token(&identity))?,
            interrupted = tokio::signal::ctrl_c() => return interrupted,
        }
    }
}

fn write_trust(sigstore: &Sigstore, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let write = |name: &str, contents: &[u8]| std::fs::write(folder.join(name), contents);
    write("trusted_root.json", sigstore.trusted_root_json().as_bytes())?;
    let v1 = sigstore.signing_config_json(RekorVersion::V1);
    write("signing_config.json", v1.as_bytes())?;
    let v2 = sigstore.signing_config_json(RekorVersion::V2);
    write("signing_config.v2.json", v2.as_bytes())?;
    write("root.json", &sigstore.tuf_root())
}
