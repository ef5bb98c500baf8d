//! Digests that the jobs of a CI hand to the next one: a directory of files, one for each image.

use std::path::Path;

use countersign_oci::{Digest, Reference, Repository};

use crate::failure::{Failure, Kind};
use crate::input::read_text;
use crate::printable;

/// The images that the files in `directory` name, in the order of the files' names. A file that is
/// empty has the digest in its name; any other holds a digest, or one reference with a digest. A digest alone is of
/// `repository`.
pub(super) fn read(directory: &Path, repository: &Repository) -> Result<Vec<Reference>, Failure> {
    let unreadable = |error| Failure::unreadable(directory, "directory of digests", error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        // Editors and version control leave such files.
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            names.push(entry.file_name());
        }
    }
    names.sort();
    if names.is_empty() {
        let text = format!("{} holds no digests: it is empty", directory.display());
        return Err(Failure::new(Kind::Usage, text).hint(
            "see that the builds wrote their digests there, and that this job fetched them",
        ));
    }
    let images = names.iter().map(|name| {
        let path = directory.join(name);
        if path.is_dir() {
            let path = printable::path(&path);
            let text = format!("expected a file for each image, found the directory {path}");
            return Err(Failure::new(Kind::Usage, text).hint(format!(
                "pass each directory with a --digests-from of its own, as `--digests-from {path}`; of GitHub's \
                 download-artifact, `merge-multiple: true` puts all files into one"
            )));
        }
        let text = read_text(&path, "image's digest")?;
        let text = text.trim();
        if let Ok(digest) = text.parse::<Digest>() {
            return Ok(repository.at(digest).into());
        }
        if !text.is_empty() {
            let reference = text.parse::<Reference>().ok();
            let pinned = reference.filter(|reference| reference.digest().is_some());
            return pinned.ok_or_else(|| wrong(&path, "its text is neither NAME@DIGEST nor a digest"));
        }
        let digest = digest(&name.to_string_lossy());
        let digest =
            digest.ok_or_else(|| wrong(&path, "it is empty, and its name is no digest"))?;
        Ok(repository.at(digest).into())
    });
    images.collect()
}

/// `sha256:<digits>`, `sha256-<digits>`, or the digits alone.
fn digest(name: &str) -> Option<Digest> {
    let named = name.replacen("sha256-", "sha256:", 1);
    let named = named.parse().ok();
    named.or_else(|| format!("sha256:{name}").parse().ok())
}

fn wrong(path: &Path, found: &str) -> Failure {
    let text = format!("{} names no image: {found}", path.display());
    Failure::new(Kind::Usage, text)
        .hint("name each file by the image's digest, or write NAME@DIGEST into it")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn images(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let repository = "quay.io/acme/cache".parse().unwrap();
        let images = read(directory.path(), &repository);
        let images = images.map_err(|failure| failure.line())?;
        Ok(images.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_digest_is_the_name_of_an_empty_file() {
        let expected = format!("quay.io/acme/cache@sha256:{DIGITS}");
        for name in [
            DIGITS.to_owned(),
            format!("sha256:{DIGITS}"),
            format!("sha256-{DIGITS}"),
        ] {
            assert_eq!(
                images(&[(&name, ""), (".keep", "")]).unwrap(),
                [expected.as_str()]
            );
        }
        let text = format!("sha256:{DIGITS}\n");
        assert_eq!(images(&[("amd64", &text)]).unwrap(), [expected]);
    }

    #[test]
    fn a_directory_among_the_files_is_told_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("amd64")).unwrap();
        let failure = read(directory.path(), &"quay.io/acme/cache".parse().unwrap()).unwrap_err();
        assert!(
            failure.line().contains("found the directory"),
            "{failure:?}"
        );
        assert!(
            failure
                .hints()
                .iter()
                .any(|hint| hint.contains("merge-multiple"))
        );
    }

    #[test]
    fn a_file_may_hold_the_whole_reference() {
        let reference = format!("ghcr.io/acme/app@sha256:{DIGITS}");
        let text = format!("{reference}\n");
        assert_eq!(images(&[("amd64", &text)]).unwrap(), [reference]);
    }

    #[test]
    fn what_names_no_image_is_told() {
        for file in [
            ("amd64", ""),
            ("amd64", "ghcr.io/acme/app:v1"),
            (DIGITS, "no reference"),
        ] {
            let told = images(&[file]).unwrap_err();
            assert!(told.contains("names no image"), "{told}");
        }
        assert!(images(&[]).unwrap_err().contains("it is empty"));
    }
}
