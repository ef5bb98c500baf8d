//! Indexes kept on disk, with what a server needs to say that they are unchanged (RFC 9110,
//! sections 8.8 and 13.1).
//!
//! One file for each URL, in a [`CacheDirectory`]. The file carries a digest of all of it: a damaged one counts
//! as none, and is replaced by the next answer. A cache that can't be written costs time, and is no error.

use std::path::PathBuf;

use countersign_oci::{Algorithm, CacheDirectory, CacheLimits, Digest, Digester};
use serde::{Deserialize, Serialize};
use url::Url;

/// Longest head of a file, in bytes; validators beyond it are not kept.
const HEAD_MAX: usize = 8 << 10;

/// A directory of indexes.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    directory: CacheDirectory,
}

/// What a server said about an answer. It is sent back to the server with the next request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// An index as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cached {
    pub(super) validators: Validators,
    pub(super) content: Vec<u8>,
}

/// The first line of a file, as JSON; the content follows.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    url: String,
    digest: Digest,
    #[serde(flatten)]
    validators: Validators,
}

impl Cache {
    pub(super) fn new(directory: PathBuf, content_max: u64) -> Self {
        let mut limits = CacheLimits::default();
        limits.entry_bytes = content_max.saturating_add(HEAD_MAX as u64);
        Self {
            directory: CacheDirectory::new(directory, ".index", limits),
        }
    }

    /// The answer that was kept for `url`, if it is there and undamaged.
    pub(super) fn read(&self, url: &Url) -> Option<Cached> {
        let name = name(url);
        let bytes = self.directory.read(&name)?;
        let whole = split(&bytes).filter(|(head, content)| {
            head.url == url.as_str() && head.digest == seal(url, &head.validators, content)
        });
        let Some((head, content)) = whole else {
            let path = self.directory.file(&name);
            tracing::warn!(path = %path.display(), "a cached index is damaged and not used");
            return None;
        };
        Some(Cached {
            validators: head.validators,
            content: content.to_vec(),
        })
    }

    /// Keeps the answer for `url`, if the server sent a validator for the next request.
    pub(super) fn write(&self, url: &Url, cached: &Cached) {
        if cached.validators == Validators::default() {
            return;
        }
        let head = serde_json::to_vec(&Head {
            url: url.as_str().to_owned(),
            digest: seal(url, &cached.validators, &cached.content),
            validators: cached.validators.clone(),
        });
        // Texts and a digest can always be written as JSON.
        let Ok(mut bytes) = head else { return };
        bytes.push(b'\n');
        if bytes.len() <= HEAD_MAX {
            bytes.extend_from_slice(&cached.content);
            self.directory.write(&name(url), &bytes);
        }
    }
}

fn name(url: &Url) -> Digest {
    Digest::sha256(url.as_str().as_bytes())
}

/// Covers the validators too: with the validators of another version, old content would be taken
/// for the server's current content.
fn seal(url: &Url, validators: &Validators, content: &[u8]) -> Digest {
    let mut digester = Digester::new(Algorithm::Sha256);
    let texts = [
        Some(url.as_str()),
        validators.etag.as_deref(),
        validators.last_modified.as_deref(),
    ];
    for text in texts {
        // Neither a URL nor a header's value holds a control character.
        digester.update(text.unwrap_or("\u{1}").as_bytes());
        digester.update(b"\0");
    }
    digester.update(content);
    digester.finish()
}

fn split(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let end = bytes
        .iter()
        .take(HEAD_MAX)
        .position(|byte| *byte == b'\n')?;
    let head = serde_json::from_slice(bytes.get(..end)?).ok()?;
    Some((head, bytes.get(end + 1..)?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn cached() -> Cached {
        Cached {
            validators: Validators {
                etag: Some("\"v1\"".into()),
                last_modified: None,
            },
            content: b"- name: a\n- name: b\n".to_vec(),
        }
    }

    struct Kept {
        cache: Cache,
        url: Url,
        directory: tempfile::TempDir,
    }

    fn kept() -> Kept {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("new"), 1 << 20);
        let url = url("https://example.org/index.yaml");
        cache.write(&url, &cached());
        Kept {
            cache,
            url,
            directory,
        }
    }

    #[test]
    fn what_was_kept_is_read_for_its_url_alone() {
        let Kept {
            cache,
            url: kept_at,
            directory: _directory,
        } = kept();
        assert_eq!(cache.read(&kept_at), Some(cached()));
        assert_eq!(cache.read(&url("https://example.org/other.yaml")), None);
    }

    #[test]
    fn a_changed_file_is_not_used_unless_it_means_the_same() {
        let Kept {
            cache,
            url,
            directory: _directory,
        } = kept();
        let path = cache.directory.file(&name(&url));
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1;
            for damaged in [flipped.as_slice(), &whole[..position]] {
                fs::write(&path, damaged).unwrap();
                // The name of a key that has no value means nothing.
                let read = cache.read(&url);
                assert!(read.is_none_or(|read| read == cached()), "{position}");
            }
        }
    }

    #[test]
    fn a_damaged_file_heals_with_the_next_answer() {
        let Kept {
            cache,
            url,
            directory: _directory,
        } = kept();
        fs::write(cache.directory.file(&name(&url)), "{}\n").unwrap();
        assert_eq!(cache.read(&url), None);
        cache.write(&url, &cached());
        assert_eq!(cache.read(&url), Some(cached()));
    }

    #[test]
    fn another_url_s_file_is_not_used() {
        let Kept {
            cache,
            url: kept_at,
            directory: _directory,
        } = kept();
        let other = url("https://example.org/other.yaml");
        let file = |url| cache.directory.file(&name(url));
        fs::copy(file(&kept_at), file(&other)).unwrap();
        assert_eq!(cache.read(&other), None);
    }

    #[test]
    fn an_answer_without_validators_is_not_kept() {
        let Kept {
            cache, directory, ..
        } = kept();
        let other = url("https://example.org/other.yaml");
        let unvalidated = Cached {
            validators: Validators::default(),
            ..cached()
        };
        cache.write(&other, &unvalidated);
        assert_eq!(cache.read(&other), None);
        assert_eq!(
            fs::read_dir(directory.path().join("new")).unwrap().count(),
            1
        );
    }

    #[test]
    fn a_directory_that_can_not_be_written_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let cache = Cache::new(in_the_way, 1 << 20);
        let url = url("https://example.org/index.yaml");
        cache.write(&url, &cached());
        assert_eq!(cache.read(&url), None);
    }
}
