//! The record that an installation carries: what it is and on what evidence it was admitted.
//!
//! It lies in the installation, at `.countersign/record.json`, so that it comes and goes with it.
//! It is for people and for upgrades; it proves nothing to anybody.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::extract::RESERVED;
use crate::install::Installed;

const FILE: &str = "record.json";
const VERSION: u32 = 1;
/// Far above any record that we write.
const MAX_BYTES: u64 = 1 << 20;

/// The record as written.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    version: u32,
    installed_at: jiff::Timestamp,
    #[serde(flatten)]
    installed: &'a Installed,
}

impl<'a> Record<'a> {
    pub(crate) fn new(installed: &'a Installed) -> Self {
        Self {
            version: VERSION,
            installed_at: jiff::Timestamp::now(),
            installed,
        }
    }

    /// The record's text.
    ///
    /// # Errors
    /// Never in practice; serialisation can't know that.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// Where the record of the installation at `root` is.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(RESERVED).join(FILE)
}

/// Whether there is an installation of ours at `root`.
pub(crate) fn is_at(root: &Path) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        version: u32,
        #[serde(rename = "digest")]
        _digest: countersign_oci::Digest,
    }
    let read = || {
        let mut json = Vec::new();
        let file = File::open(path(root)).ok()?;
        file.take(MAX_BYTES).read_to_end(&mut json).ok()?;
        serde_json::from_slice::<Probe>(&json).ok()
    };
    read().is_some_and(|probe| probe.version >= VERSION)
}
