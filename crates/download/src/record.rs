//! The record of an installation: what it is, and on what grounds it was admitted.
//!
//! It is in the installation, at `.countersign/record.json`, so that it is moved and removed with it.
//! It is for people and for upgrades. It proves nothing.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use countersign_oci::{Digest, Platform, Reference, excerpt};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::extract::RESERVED;
use crate::grounds::Grounds;
use crate::inventory::InventoryDigest;
use crate::planned::Role;

pub(crate) const FILE: &str = "record.json";
/// Of the form that we write. Records of earlier forms can be read.
pub(crate) const VERSION: u32 = 1;
/// Bytes of a record. A longer one is neither written nor read.
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
    /// If it is so long that it would not be read again, as with a policy of a mebibyte.
    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        let found = json.len() as u64;
        if found > MAX_BYTES {
            let message = format!("expected at most {MAX_BYTES} bytes, found {found}");
            return Err(serde::ser::Error::custom(message));
        }
        Ok(json)
    }
}

/// What this run installed, and on what grounds.
///
/// It is only written, and [`Recorded`] is only read. They are two types because each has what the
/// other can't: this one counts what the run wrote, and a record has a time, and may be of an earlier
/// version. A test holds the fields that they share against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Installed {
    /// The image as it was asked for; `None` for content that is no image.
    pub reference: Option<Reference>,
    /// The platform asked for.
    pub platform: Platform,
    /// Digest of the platform's manifest, whose content this is; of the archive's bytes where it is
    /// no image.
    pub digest: Digest,
    /// Digest of the index that named it, if it was found by one.
    pub index: Option<Digest>,
    /// What was proven about the index, the manifest or the archive.
    #[serde(flatten)]
    pub grounds: Grounds,
    /// Files written.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
    /// What of the image was left out by rule, a sentence each.
    pub warnings: Vec<String>,
    /// The inventory of what was unpacked.
    pub inventory: InventoryDigest,
    /// Which entry of which gallery it is, and which source served it; `None` where the image was
    /// asked for by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// Which entry of which gallery an installation is, and which source served it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Provenance {
    /// The gallery's name.
    pub gallery: String,
    /// The name that was asked for.
    pub name: String,
    /// The entry that it led to.
    pub entry: String,
    /// Why the source that served it was in the plan.
    pub role: Role,
    /// The source that served it.
    pub source: String,
    /// Why the sources before it did not, a text each. In JSON: `unserved`.
    #[serde(rename = "unserved")]
    pub skipped: Vec<String>,
    /// The file that names the gallery, if [`Plan::named_in`](crate::Plan::named_in) said which. In JSON:
    /// `gallery_file`.
    #[serde(
        default,
        rename = "gallery_file",
        skip_serializing_if = "Option::is_none"
    )]
    pub file: Option<String>,
}

/// What a record says of an installation, as it is read. What is written is an [`Installed`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Recorded {
    /// When it was installed.
    pub installed_at: jiff::Timestamp,
    /// The image as it was asked for; `None` for content that is no image.
    #[serde(default, deserialize_with = "recorded")]
    pub reference: Option<Reference>,
    /// The platform asked for.
    pub platform: Platform,
    /// Digest of the platform's manifest, or of the archive's bytes.
    pub digest: Digest,
    /// Digest of the index that named it, if it was found by one.
    pub index: Option<Digest>,
    /// What was proven.
    #[serde(flatten)]
    pub grounds: Grounds,
    /// The inventory of what was unpacked; `None` in records from before there were any.
    #[serde(default)]
    pub inventory: Option<InventoryDigest>,
    /// Files written; `None` in a record that doesn't say.
    #[serde(default)]
    pub files: Option<u64>,
    /// Bytes of their content; `None` in a record that doesn't say.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Where it is from, if it was installed from a gallery.
    #[serde(default)]
    pub provenance: Option<Provenance>,
}

/// Whether the two are one platform, by whatever names. A platform that is unknown is itself.
pub(crate) fn is_one_platform(one: &Platform, other: &Platform) -> bool {
    one == other || one.is_same_as(other)
}

impl Recorded {
    /// Whether it is of this platform, by whatever name of it.
    pub(crate) fn is_for(&self, platform: &Platform) -> bool {
        is_one_platform(&self.platform, platform)
    }

    /// What is installed and for which platform, in one line for a person.
    pub fn describe(&self) -> String {
        let source = self.provenance.as_ref().map(|from| from.source.clone());
        let name = match &self.reference {
            Some(reference) => reference.to_string(),
            None => source.unwrap_or_else(|| self.digest.to_string()),
        };
        format!("{} ({})", excerpt(&name), self.platform)
    }
}

/// The image may have been one of an image layout.
fn recorded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Reference>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let reference = text.map(|text| Reference::recorded(&text));
    reference.transpose().map_err(serde::de::Error::custom)
}

/// What is in the place of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FoundRecord {
    /// No record of ours: nothing, or something that we don't make.
    None,
    /// A record of ours.
    Read(Box<Recorded>),
    /// A file in its place that says nothing of ours. It may be a record that was damaged, or somebody else's file: nothing is
    /// replaced because of it.
    Unrecognised {
        /// What is wrong with it, in one line.
        why: String,
    },
    /// A record of ours that says too little: it was damaged.
    Damaged {
        /// What is wrong with it, in one line.
        why: String,
    },
    /// A record of ours in a later form, which this version can't judge.
    Later {
        /// The version of its form.
        version: u32,
    },
}

impl FoundRecord {
    /// Whether there is an installation of ours.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::None | Self::Unrecognised { .. } => false,
            Self::Read(_) | Self::Damaged { .. } | Self::Later { .. } => true,
        }
    }
}

/// What is in the place of the record of an installation at `root`. Whatever is there that we don't make is
/// no record, and is neither followed nor waited for.
///
/// # Errors
/// If the file system doesn't say what is there. That is not the same as nothing.
pub(crate) fn read(root: &Path) -> io::Result<FoundRecord> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::DIRECTORY;
    match openat(CWD, root, flags, Mode::empty()) {
        Ok(root) => read_in(&root),
        Err(errno) if is_none(&errno.into()) => Ok(FoundRecord::None),
        Err(errno) => Err(errno.into()),
    }
}

/// The same, of the installation that `root` is open for.
pub(crate) fn read_in(root: &OwnedFd) -> io::Result<FoundRecord> {
    #[derive(Deserialize)]
    struct Probe {
        version: u32,
        #[serde(rename = "digest")]
        _digest: Digest,
    }
    let file = match open_file(root, FILE) {
        Ok(file) => file,
        Err(error) if is_none(&error) => return Ok(FoundRecord::None),
        Err(error) => return Err(error),
    };
    let mut json = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut json)?;
    // What it says may be anybody's.
    let told = |error: serde_json::Error| excerpt(&error.to_string());
    Ok(match serde_json::from_slice::<Probe>(&json) {
        Err(error) => FoundRecord::Unrecognised { why: told(error) },
        Ok(Probe { version: 0, .. }) => FoundRecord::Unrecognised {
            why: format!("expected the version {VERSION}, found 0"),
        },
        Ok(Probe { version, .. }) if version > VERSION => FoundRecord::Later { version },
        Ok(_) => match parse(&json) {
            Ok(recorded) => FoundRecord::Read(Box::new(recorded)),
            Err(error) => FoundRecord::Damaged { why: told(error) },
        },
    })
}

fn parse(json: &[u8]) -> serde_json::Result<Recorded> {
    let mut record: Map<String, Value> = serde_json::from_slice(json)?;
    // Records from before there were any others don't name their grounds.
    let grounds = record.entry("grounds");
    grounds.or_insert_with(|| "signature".into());
    serde_json::from_value(record.into())
}

/// Where the record of the installation at `root` is.
pub(crate) fn path(root: &Path) -> PathBuf {
    root.join(RESERVED).join(FILE)
}

/// Whether an error of [`open_file`] says that nothing that we make is there: nothing at all, a link, or a file of
/// another kind. Any other says nothing of what is there.
pub(crate) fn is_none(error: &io::Error) -> bool {
    const OTHERS: [Errno; 3] = [Errno::LOOP, Errno::NOTDIR, Errno::NXIO];
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    errno.is_some_and(|errno| OTHERS.contains(&errno))
        || matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::InvalidData
        )
}

/// Opens the record, or the inventory beside it, where all on the way is what we make: a link could lead
/// anywhere, and opening a fifo would wait for somebody to write to it.
pub(crate) fn open_file(root: &OwnedFd, name: &str) -> io::Result<File> {
    let way = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let reserved = openat(root, RESERVED, way | OFlags::DIRECTORY, Mode::empty())?;
    let file: File = openat(reserved, name, way | OFlags::NONBLOCK, Mode::empty())?.into();
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_file_system_that_is_none_is_not_taken_for_no_record() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("elsewhere", root.join("link")).unwrap();
        for name in ["nothing", "file", "link"] {
            assert_eq!(read(&root.join(name)).unwrap(), FoundRecord::None, "{name}");
        }
        let error = read(&root.join("x".repeat(300))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
    }

    #[test]
    fn a_record_is_known_by_its_version_and_a_digest() {
        let digest = Digest::sha256(b"manifest");
        let damaged = format!(r#"{{"version":1,"digest":"{digest}"}}"#);
        let later = format!(r#"{{"version":2,"digest":"{digest}","grounds":{{}}}}"#);
        let zero = damaged.replace(r#""version":1"#, r#""version":0"#);
        // A part of what is said of each.
        let rows = [
            ("", "unrecognised: EOF while parsing"),
            ("{", "unrecognised: EOF while parsing"),
            ("{}", "unrecognised: missing field `version`"),
            (r#"{"version":2}"#, "unrecognised: missing field `digest`"),
            (&zero, "unrecognised: expected the version"),
            (&damaged, "damaged: missing field `"),
            (&later, "later: 2"),
        ];
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(RESERVED)).unwrap();
        for (json, expected) in rows {
            std::fs::write(path(root.path()), json).unwrap();
            let found = read(root.path()).unwrap();
            let told = match &found {
                FoundRecord::Unrecognised { why } => format!("unrecognised: {why}"),
                FoundRecord::Damaged { why } => format!("damaged: {why}"),
                FoundRecord::Later { version } => format!("later: {version}"),
                FoundRecord::None | FoundRecord::Read(_) => String::new(),
            };
            assert!(told.starts_with(expected), "{json}: {told}");
            assert_eq!(found.is_ours(), !expected.starts_with("unrecognised"));
        }
    }

    #[test]
    fn what_is_written_of_an_installation_is_read_back() {
        let references = [None, Some("quay.io/acme/app:v1".parse().unwrap())];
        for (reference, grounds) in references
            .into_iter()
            .zip([Grounds::Digest, Grounds::Nothing])
        {
            let installed = Installed {
                reference,
                platform: "linux/arm64/v8".parse().unwrap(),
                digest: Digest::sha256(b"manifest"),
                index: Some(Digest::sha256(b"index")),
                grounds,
                files: 1,
                bytes: 2,
                warnings: vec!["a device was left out".into()],
                inventory: InventoryDigest {
                    digest: Digest::sha256(b"inventory"),
                    size: 3,
                },
                provenance: Some(Provenance {
                    gallery: "acme".into(),
                    name: "chat".into(),
                    entry: "cpu-chat".into(),
                    role: Role::Mirror,
                    source: "quay.io/acme/app:v1".into(),
                    skipped: vec!["it was not found".into()],
                    file: Some("/home/me/galleries.yaml".into()),
                }),
            };
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join(RESERVED)).unwrap();
            let json = Record::new(&installed).to_json().unwrap();
            std::fs::write(path(root.path()), json).unwrap();

            // All fields of both, so that a new one has to be thought of here.
            let Recorded {
                installed_at: _,
                reference,
                platform,
                digest,
                index,
                grounds,
                inventory,
                files,
                bytes,
                provenance,
            } = match read(root.path()).unwrap() {
                FoundRecord::Read(recorded) => *recorded,
                other => panic!("{other:?}"),
            };
            let written = Installed {
                reference,
                platform,
                digest,
                index,
                grounds,
                provenance,
                files: files.unwrap(),
                bytes: bytes.unwrap(),
                warnings: installed.warnings.clone(),
                inventory: inventory.unwrap(),
            };
            assert_eq!(written, installed);
        }
    }
}
