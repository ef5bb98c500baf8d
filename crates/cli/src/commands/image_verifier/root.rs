//! The trusted root, which a hundred pulls at once share.
//!
//! One that is on disk and valid is used without asking anybody, however old it is: `refresh` keeps it fresh.
//! If there is none, one process fetches it, and the others wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_download::FileLock;
use countersign_oci::http::Connection;
use countersign_policy::Policy;
use countersign_verify::{TrustedRoot, TufNetwork};

use super::configuration::Configuration;
use crate::blocking::blocking;
use crate::failure::Failure;

const LOCK: &str = "trusted-root.lock";
/// How often a process that waits looks.
const POLL: Duration = Duration::from_millis(25);

/// The root for `policy`, or without one, that of the configuration.
pub(super) async fn load(
    configuration: &Configuration,
    policy: Option<&Policy>,
    connection: &Connection,
) -> Result<TrustedRoot, Failure> {
    let mut instance = configuration.instance(policy)?;
    let environment = &configuration.environment;
    if let Some(policy) = policy
        && !policy.needs_trusted_root()
    {
        return instance
            .trusted_root_for(policy, environment, connection)
            .await;
    }
    instance.network = TufNetwork::Offline;
    if let Ok(root) = instance.trusted_root(environment, connection).await {
        return Ok(root);
    }
    let lock = lock(configuration.state_directory()).await;
    // Somebody else may have fetched it meanwhile.
    let kept = instance.trusted_root(environment, connection).await;
    let root = match kept {
        Ok(root) => Ok(root),
        Err(_) => {
            instance.network = TufNetwork::Online;
            instance.trusted_root(environment, connection).await
        }
    };
    drop(lock);
    root
}

/// The file that is locked.
pub(super) fn lock_file(directory: &Path) -> PathBuf {
    directory.join(LOCK)
}

/// Waits for the lock. `None` where there can't be one: then each process fetches for itself.
pub(super) async fn lock(directory: PathBuf) -> Option<FileLock> {
    loop {
        let path = lock_file(&directory);
        let taken = blocking(move || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            FileLock::try_take(&path)
        });
        match taken.await.ok()? {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) => tokio::time::sleep(POLL).await,
            Err(error) => {
                let path = lock_file(&directory);
                tracing::warn!(%error, path = %path.display(), "the lock can't be taken");
                return None;
            }
        }
    }
}
