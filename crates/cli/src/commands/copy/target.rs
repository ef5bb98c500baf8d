//! Where images are copied to: a repository, or a layout on this machine.

use std::error::Error;
use std::path::Path;

use countersign_download::ARCHIVE_ENDINGS;
use countersign_oci::{LayoutPath, Location, Reference, Repository, printable};

use crate::operand;

/// Where an image is copied to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A repository, and the tag to write.
    Repository {
        repository: Repository,
        tag: Option<String>,
    },
    /// A layout.
    Layout(LayoutPath),
}

impl Target {
    /// Reads NAME, NAME:TAG or `ocifile://PATH`. A name alone has no tag, where a reference would have
    /// `latest`.
    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        if let Some(path) = text.strip_prefix("ocifile://") {
            let is_archive = ARCHIVE_ENDINGS.iter().any(|ending| path.ends_with(ending));
            if is_archive && !path.ends_with(".tar") {
                let message = "a layout is a directory or an archive that is not compressed: write ocifile://FILE.tar";
                return Err(message.into());
            }
            return Ok(Self::Layout(operand::layout(path)?));
        }
        refuse_word(text, "a layout")?;
        operand::refuse_path(text)?;
        operand::refuse_registry(text)?;
        if text.ends_with('/') && !text.contains("://") {
            let message = format!(
                "for a layout in the directory {text} write ocifile://{text}; for a registry leave out the slash at the end"
            );
            return Err(message.into());
        }
        if text.contains('@') {
            return Err("leave the digest out: the copy has the digest of its source".into());
        }
        if let Ok(repository) = text.parse() {
            return Ok(Self::Repository {
                repository,
                tag: None,
            });
        }
        let reference: Reference = text.parse()?;
        if let Some(tag) = reference.tag() {
            operand::refuse_tag_of_signatures(tag)?;
        }
        Ok(Self::Repository {
            repository: reference.location().writable()?.clone(),
            tag: reference.tag().map(str::to_owned),
        })
    }

    /// The same, of the images of galleries.
    pub(crate) fn parse_for_galleries(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        refuse_word(text, "a kit")?;
        Self::parse(text)
    }

    /// What is said of a new layout whose path ends like a tag, as other programs have it.
    pub(super) fn warning(&self) -> Option<String> {
        let Self::Layout(path) = self else {
            return None;
        };
        let path = Path::new(path.as_str());
        let name = path.file_name()?.to_string_lossy();
        let is_new = name.contains(':') && !path.exists();
        is_new.then(|| {
            format!(
                "`{}` is the whole name of the new layout: no tag is written behind a path; the image is listed by its own tag",
                printable(&name)
            )
        })
    }

    /// Whether an image in a registry is copied to another name in one.
    pub(super) fn is_another_name_than(&self, source: &Reference) -> bool {
        match (self, source.location()) {
            (Self::Repository { repository, tag }, Location::Registry(from)) => {
                repository != from || tag.as_deref() != source.tag()
            }
            (Self::Layout(_), _) | (_, Location::Layout(_)) => false,
        }
    }

    /// The same, with the source's tag if it has none of its own.
    pub(super) fn or_tag_of(self, source: &Reference) -> Self {
        match self {
            Self::Repository { repository, tag } => Self::Repository {
                repository,
                tag: tag.or_else(|| source.tag().map(str::to_owned)),
            },
            Self::Layout(layout) => Self::Layout(layout),
        }
    }
}

/// Refuses a word alone, and the name of an archive. Both would be below `docker.io/library`, where nobody but Docker may
/// push: a path is meant.
fn refuse_word(text: &str, what: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let is_archive = text.ends_with(".tar") && !text.contains(['/', ':', '@']);
    if text.is_empty() || (text.contains(['/', '.', ':', '@']) && !is_archive) {
        return Ok(());
    }
    let place = if is_archive { "archive" } else { "directory" };
    let message = format!(
        "for {what} in the {place} {text} write ocifile://{text}; for a registry write its name too"
    );
    Err(message.into())
}
