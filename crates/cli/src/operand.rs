//! Operands of the command line: an image, in a registry or in an image layout on this machine, or a
//! name.
//!
//! Only `ocifile://` leads to files of this machine; a name alone is always that of an image in a registry.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::Path;

use countersign_oci::{
    Digest, LayoutPath, Location, Reference, ReferenceError, Repository, printable,
};

use crate::failure::{Failure, Kind};
use crate::input::text_of;

/// Whether what is given where a file is expected names a layout or a kit.
pub(crate) fn names_layout(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .starts_with(b"ocifile://")
}

/// Reads `ocifile://path`, whose path may be relative as any on a command line may, or a reference.
///
/// # Errors
/// What is wrong with the path or with the reference. A policy file of this machine is refused: its
/// name can be read as that of an image on Docker Hub.
pub(crate) fn image(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    match text.strip_prefix("ocifile://") {
        Some(text) => {
            // A digest says which of the layout's images is meant.
            let Some((path, digest)) = text.rsplit_once('@') else {
                return Ok(layout(text)?.into());
            };
            match digest.parse() {
                Ok(digest) => Ok(Location::from(layout(path)?).at(digest).into()),
                // One that is cut would be taken for a part of the path.
                Err(error) if digest.starts_with("sha256:") && !Path::new(text).exists() => {
                    Err(Box::<dyn Error + Send + Sync>::from(error))
                }
                Err(_) => Ok(layout(text)?.into()),
            }
        }
        None if is_document(Path::new(text)) => Err(document(Path::new(text)).into()),
        None => {
            refuse_path(text)?;
            in_registry(text)
        }
    }
}

/// Reads the name of an image in a registry.
///
/// # Errors
/// What is wrong with it. Several in one text, as a quoted variable of a script has them, are told as that.
pub(crate) fn in_registry(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    if text.trim().contains(char::is_whitespace) {
        return Err(
            "expected one image, found a text with a space in it: pass each image as an argument of its own, without quotes around all of them"
                .into(),
        );
    }
    if path_of_layout(text).is_some() {
        return Err(format!("expected an image in a registry, found a path: {text}").into());
    }
    refuse_registry(text)?;
    Ok(text.parse()?)
}

/// Reads the name of an image to sign.
///
/// # Errors
/// Those of [`in_registry`]; of a layout, where else its image is signed.
pub(crate) fn to_sign(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    if text.starts_with("ocifile://") {
        return Err(SIGNED_IN_REGISTRY.into());
    }
    in_registry(text)
}

/// Refuses the path of a layout that is not written as one: it would be read as the name of an image on Docker Hub.
///
/// # Errors
/// How to write it.
pub(crate) fn refuse_path(text: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    match path_of_layout(text) {
        Some(path) => Err(format!("for an image layout in {path} write ocifile://{path}").into()),
        None => Ok(()),
    }
}

/// Refuses a registry without a repository, for the same reason.
///
/// # Errors
/// What is missing.
pub(crate) fn refuse_registry(text: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let host = text.split_once('@').map_or(text, |(host, _)| host);
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let is_host = name == "localhost" || name.contains('.');
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_host && is_port && !name.contains('/') {
        return Err(format!(
            "expected an image, found a registry alone: write the repository behind it, as {host}/acme/app:v1; \
             for an image of that name on Docker Hub write docker.io/library/{text}"
        )
        .into());
    }
    Ok(())
}

/// The path in what is meant for a layout and not written as one: `ocifile:PATH`, `file://PATH`, an archive, or a layout that
/// is there.
fn path_of_layout(text: &str) -> Option<&str> {
    let path = match text.split_once(':') {
        Some(("ocifile", path)) if !path.starts_with("//") => path,
        Some(("file", path)) if path.starts_with('/') || !path.contains('/') => {
            path.strip_prefix("//").unwrap_or(path)
        }
        Some(_) | None => {
            let path = Path::new(text);
            let is_name = text.contains(['/', ':', '@']) && !path.is_file();
            let is_archive = text.ends_with(".tar") && !is_name;
            let is_layout = path.join("oci-layout").is_file() || [".", ".."].contains(&text);
            return (is_archive || is_layout).then_some(text);
        }
    };
    (!path.is_empty()).then_some(path)
}

/// Reads a repository, or a layout of this machine.
///
/// # Errors
/// What is wrong with it. A tag or a digest behind it is refused: it would decide nothing.
pub(crate) fn location(text: &str) -> Result<Location, Box<dyn Error + Send + Sync>> {
    let reference = image(text)?;
    let location = reference.location().clone();
    let found = match (reference.digest(), reference.tag()) {
        (Some(_), _) => "one with a digest",
        (None, Some(tag)) if text.ends_with(&format!(":{tag}")) => "one with a tag",
        (None, Some(_) | None) => return Ok(location),
    };
    Err(format!("expected a repository, such as {location}, found {found}").into())
}

/// Reads a kit: `ocifile://path`, or that with a digest.
///
/// # Errors
/// What is wrong with it. A path alone is answered with how to write it.
pub(crate) fn kit(text: &str) -> Result<Reference, Box<dyn Error + Send + Sync>> {
    let is_path = text.starts_with(['.', '/', '~']);
    if is_path {
        return Err(format!("for a kit in {text} write ocifile://{text}").into());
    }
    image(text)
}

/// Reads a repository of a registry.
///
/// # Errors
/// What is wrong with it. A tag or a digest behind it is refused: it would decide nothing.
pub(crate) fn repository(text: &str) -> Result<Repository, Box<dyn Error + Send + Sync>> {
    text.parse().map_err(|error: ReferenceError| {
        // With neither a tag nor a digest, it is something else that is wrong.
        location(text).map_or_else(|wrong| wrong, |_| error.into())
    })
}

/// Reads a tag alone, without the name of an image before it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn tag(text: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        return Err(
            "expected a tag, found nothing: is the variable set that it comes from?".into(),
        );
    }
    if text.contains(['/', ':', '@']) {
        return Err("expected a tag alone, such as v1: the repository is the image's own".into());
    }
    // Behind any image it has to be one.
    let image: Reference = "registry.example/image".parse()?;
    match image.with_tag(text) {
        Ok(named) if named.tag() == Some(text) => {
            refuse_tag_of_signatures(text)?;
            Ok(text.to_owned())
        }
        Ok(_) | Err(_) => {
            Err("expected a tag, such as v1 or latest: letters, digits, `_`, `.` and `-`".into())
        }
    }
}

/// Refuses to write a tag where clients look for signatures.
///
/// # Errors
/// If the tag is made of a digest. The libraries refuse it too: here nobody has logged in for it yet.
pub(crate) fn refuse_tag_of_signatures(tag: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    if Digest::is_made_into(tag) {
        return Err(
            "a tag that is made of a digest can't be written: clients look for signatures there, and those that are \
             there would be lost; choose another tag, such as v1"
                .into(),
        );
    }
    Ok(())
}

/// Reads the path of a layout, which may be relative.
pub(crate) fn layout(path: &str) -> Result<LayoutPath, Box<dyn Error + Send + Sync>> {
    if path.is_empty() {
        return Err("there is no path after ocifile://".into());
    }
    Ok(LayoutPath::new(&std::path::absolute(path)?)?)
}

/// What is said of a layout in the place of an image to sign.
const SIGNED_IN_REGISTRY: &str = "expected an image in a registry, found an image layout: sign the image in a registry \
    (`countersign sign NAME@DIGEST`), then copy it with its signatures (`countersign copy --policy FILE NAME:TAG \
    ocifile://DIR`)";
/// What is said of a policy file in the place of an image.
const DOCUMENT: &str = "this is a file, not an image: pass a policy with --policy FILE, and name an \
    image as registry.example/acme/app:v1";
/// What is said of a file of galleries there.
const GALLERIES: &str = "this is a file of galleries, not an image: pass it with --gallery FILE, and name an entry of it";
/// How much of a file is looked at to say what it is.
const LOOKED_AT: u64 = 1 << 20;

/// What is said of a file in the place of an image.
fn document(path: &Path) -> &'static str {
    let text = text_of(File::open(path), LOOKED_AT).unwrap_or_default();
    if text.lines().any(|line| line.starts_with("galleries:")) {
        GALLERIES
    } else {
        DOCUMENT
    }
}

/// Whether this is a file with a name as policies have it.
fn is_document(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| ["yaml", "yml", "json"].contains(&extension))
        && path.is_file()
}

/// Refuses a directory in the place of the image, and the image in that of the directory.
pub(crate) fn refuse_swapped(reference: &OsStr, directory: &OsStr) -> Result<(), Failure> {
    let (first, second) = (reference.to_string_lossy(), directory.to_string_lossy());
    let is_image = |text: &str| {
        let named = text.parse::<Reference>();
        let is_named = |named: Reference| named.digest().is_some() || named.tag().is_some();
        let has_tag = text
            .rsplit('/')
            .next()
            .is_some_and(|last| last.contains([':', '@']));
        !text.starts_with(['.', '/', '~'])
            && text.contains('/')
            && has_tag
            && named.is_ok_and(is_named)
    };
    if is_image(&second) && !is_image(&first) && !Path::new(directory).exists() {
        let message =
            format!("expected REFERENCE and DIRECTORY, found the image {second} as the directory");
        return Err(Failure::new(Kind::Usage, message).hint(format!(
            "name the image first, then the directory: countersign install {second} {first}; for a directory of that name, write ./{second}"
        )));
    }
    Ok(())
}

/// An operand that is a text. A path may hold any bytes, a name may not.
pub(crate) fn text(operand: OsString, what: &str) -> Result<String, Failure> {
    operand.into_string().map_err(|operand| {
        let found = printable(&operand.to_string_lossy());
        let message = format!("expected a {what} in UTF-8, found `{found}`");
        Failure::new(Kind::Usage, message).hint("check the encoding of the terminal or the script")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Docker Hub would be asked for it, and time out.
    #[test]
    fn a_layout_that_is_there_is_told_from_an_image() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        std::fs::write(directory.path().join("oci-layout"), "{}").unwrap();
        let said = image(path).unwrap_err().to_string();
        assert!(said.ends_with(&format!("write ocifile://{path}")), "{said}");
        assert!(in_registry(path).is_err());
        assert!(image("acme/app").is_ok());
    }
}
