//! Installs entries of galleries by name, and pins them in a lock file.
//!
//! ```text
//! cargo run --example install_entries -- DIRECTORY [NAME...]
//! ```
//!
//! - `DIRECTORY`: it has `galleries.yaml`. The store, the caches and `countersign.lock` are made in it.
//! - `NAME`: an entry. It is installed as the galleries have it now, and pinned. Without names, all that is pinned is
//!   installed.
#![allow(clippy::print_stdout, reason = "an example talks to a terminal")]

use std::fs;
use std::path::Path;

use countersign_download::{
    Capability, Downgrade, FallbackTags, Galleries, GalleryClient, GalleryOptions, InstallRequest,
    Installer, Integrity, LockFile, Options, Plan, Platform, Policy, Registry, Store, TrustSource,
    TrustedRoot, TufNetwork, Verifier,
};
use countersign_oci::Digest;
use countersign_policy::{PolicyFile, SigstoreInstance, Trust};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    install(&arguments).await
}

/// Installs what the arguments name.
pub(crate) async fn install(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let Some((directory, names)) = arguments.split_first() else {
        return Err("usage: install_entries DIRECTORY [NAME...]".into());
    };
    let (directory, registry) = (Path::new(directory), Registry::new(Options::default())?);
    if names.is_empty() {
        install_locked(directory, &registry).await
    } else {
        install_and_lock(names, directory, &registry).await
    }
}

async fn galleries(directory: &Path) -> Result<Galleries, Box<dyn std::error::Error>> {
    let text = fs::read_to_string(directory.join("galleries.yaml"))?;
    let key = |path: &str| fs::read_to_string(directory.join(path));
    let file = PolicyFile::parse_with_keys(&text, "galleries.yaml", &key)?;
    let cache = Some(directory.join("cache/galleries"));
    let client = GalleryClient::new(GalleryOptions {
        cache,
        ..GalleryOptions::default()
    })?;
    let mut fetched = Vec::new();
    for gallery in file.galleries() {
        fetched.push((gallery.clone(), client.fetch(gallery, directory).await?));
    }
    // `Strict` refuses what nothing vouches for.
    let integrity = if file.require_integrity() {
        Integrity::Strict
    } else {
        Integrity::Permissive
    };
    // What entries for some hardware are chosen by, such as `"nvidia-cuda-12".parse()?`.
    let machine = Capability::default();
    Ok(Galleries::new(
        fetched,
        machine,
        integrity,
        FallbackTags::default(),
    ))
}

async fn trusted_root(
    policy: &Policy,
    directory: &Path,
    registry: &Registry,
) -> Result<TrustedRoot, Box<dyn std::error::Error>> {
    // Such as one of keys with `ignore_tlog`.
    if !policy.needs_trusted_root() {
        return Ok(TrustedRoot::empty()?);
    }
    // `Offline` in place of `Online` asks nobody, and needs a cache that is still valid.
    let (cache, network) = (directory.join("cache"), TufNetwork::Online);
    let source = match policy.trust() {
        None | Some(Trust::Instance(SigstoreInstance::PublicGood)) => TrustSource::PublicGood {
            cache: cache.join("public-good"),
            network,
        },
        Some(Trust::Instance(SigstoreInstance::GitHub)) => TrustSource::GitHub {
            cache: cache.join("github"),
            network,
        },
        Some(Trust::TrustedRoot { file }) => TrustSource::File {
            name: file.clone(),
            json: fs::read_to_string(directory.join(file))?,
        },
        Some(Trust::Tuf { url, root_file }) => TrustSource::Tuf {
            url: url.clone(),
            root: fs::read(directory.join(root_file))?,
            // A directory of its own for each repository.
            cache: cache.join(Digest::sha256(url.as_str().as_bytes()).hex()),
            network,
        },
    };
    let root = TrustedRoot::load(&source, registry.connection()).await?;
    Ok(match policy.trust() {
        // A policy with `trust` is judged by no other instance: say for which words it was loaded.
        Some(trust) => root.for_trust(trust.clone()),
        None => root,
    })
}

async fn installer(
    plan: &Plan,
    directory: &Path,
    registry: &Registry,
) -> Result<Installer<Verifier>, Box<dyn std::error::Error>> {
    let registry = registry.clone();
    // The policy of the gallery that the entry is from, if that asks for a signature.
    let Some(policy) = plan.requirement().policy() else {
        return Ok(Installer::without_verifier(registry));
    };
    let root = trusted_root(policy, directory, &registry).await?;
    let verifier = Verifier::new(registry.clone(), root);
    Ok(Installer::new(registry, verifier))
}

async fn install_and_lock(
    names: &[String],
    directory: &Path,
    registry: &Registry,
) -> Result<(), Box<dyn std::error::Error>> {
    let (platform, store) = (Platform::host(), Store::new(directory.join("store")));
    let file = LockFile::new(directory.join("countersign.lock"));
    let galleries = galleries(directory).await?;
    for name in names {
        let plan = galleries.plan(&name.parse()?)?;
        let installer = installer(&plan, directory, registry).await?;
        // There is no file before the first run.
        let lock = file.read()?.unwrap_or_default();
        // What is older than what is locked is not installed.
        let request = InstallRequest::new(&plan, &platform).with_lock(&lock);
        let outcome = store.install(&installer, request).await?;
        if let Some(entry) = outcome.locked() {
            file.insert(entry, Downgrade::Refuse).await?;
            println!("{name} is locked to {}", entry.digest);
        }
    }
    Ok(())
}

async fn install_locked(
    directory: &Path,
    registry: &Registry,
) -> Result<(), Box<dyn std::error::Error>> {
    let (platform, store) = (Platform::host(), Store::new(directory.join("store")));
    let lock = LockFile::new(directory.join("countersign.lock")).read()?;
    let lock = lock.ok_or("there is no lock file")?;
    // A plan for each entry that is locked, or an error before anything is installed.
    let plans = galleries(directory)
        .await?
        .plan_all_locked(&lock, &platform)?;
    for plan in plans {
        let installer = installer(&plan, directory, registry).await?;
        let request = InstallRequest::new(&plan, &platform);
        store.install(&installer, request).await?;
        println!("{} is as locked", plan.name());
    }
    Ok(())
}
