//! Content that is no image: tarballs from the web and directories of this machine.
//!
//! Either becomes one file in the quarantine, with the digest of its bytes: a tarball as it comes,
//! a directory as an archive whose order and headers depend on nothing but its content. Only an
//! [`AdmittedArchive`] is unpacked, on the digest that the gallery's index names or, where nothing is
//! required, on nothing.

mod directory;
mod tarball;

use std::fs::{self, File};
use std::path::PathBuf;

use countersign_oci::Digest;

use crate::error::Error;
use crate::extract::{Form, Layer, LayerBytes};
use crate::grounds::Grounds;
use crate::requirement::ArchiveRequirement;

pub(crate) use directory::pack;
pub(crate) use tarball::fetch;

/// An archive in the quarantine, that nothing is known of but its bytes.
#[derive(Debug)]
pub(crate) struct Archive {
    /// Where it is from, for errors.
    location: String,
    path: PathBuf,
    size: u64,
    digest: Digest,
}

/// An archive that may be unpacked, and the [`Grounds`] for it.
#[derive(Debug)]
pub(crate) struct AdmittedArchive {
    archive: Archive,
    grounds: Grounds,
}

impl Archive {
    /// Admits it on what is `required`, and on nothing less. A digest that the index names for it is held against it also
    /// where, for the sake of other sources, none is required.
    pub(crate) fn admit(self, required: &ArchiveRequirement) -> Result<AdmittedArchive, Error> {
        match required.digest() {
            Some(expected) if *expected != self.digest => Err(Error::Checksum {
                expected: expected.clone(),
                location: self.location,
                found: self.digest,
            }),
            Some(_) | None => Ok(AdmittedArchive {
                archive: self,
                grounds: required.grounds(),
            }),
        }
    }
}

impl AdmittedArchive {
    /// Digest of its bytes.
    pub(crate) fn digest(&self) -> &Digest {
        &self.archive.digest
    }

    /// What it was admitted on.
    pub(crate) fn grounds(&self) -> &Grounds {
        &self.grounds
    }

    /// Takes it out of the quarantine, and says where it is from.
    pub(crate) fn open(self) -> Result<(Layer, String), Error> {
        let Archive {
            location,
            path,
            size,
            ..
        } = self.archive;
        let content = File::open(&path).map_err(Error::io("open", &path))?;
        // The disk space is given back as soon as it is unpacked.
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        let layer = Layer {
            content: LayerBytes::File(content),
            size,
            form: Form::Plain,
        };
        Ok((layer, location))
    }
}
