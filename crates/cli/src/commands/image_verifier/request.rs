//! What containerd asks: the image's name and digest as arguments, its descriptor on standard input.
//!
//! The flags have one dash and their value as the next argument, as Go's programs take them. Whatever is not as
//! expected is refused: what a later containerd means by it is not known here.

use std::ffi::OsString;
use std::io::Read as _;

use countersign_oci::{Digest, Reference, printable};
use serde::Deserialize;

use crate::blocking::blocking;
use crate::failure::{Failure, Kind};

/// The media type of what stands on standard input.
const DESCRIPTOR: &str = "application/vnd.oci.descriptor.v1+json";
/// Bytes of a descriptor. A real one has some 300.
const DESCRIPTOR_MAX: u64 = 64 << 10;

/// The image that is to be pulled.
#[derive(Debug)]
pub(super) struct Request {
    /// The name that it was asked for by.
    pub(super) reference: Reference,
    /// What the name was resolved to.
    pub(super) digest: Digest,
}

/// What containerd passed, as far as it was understood.
pub(super) struct Passed {
    pub(super) names: Names,
    /// Why it is no request, if it is none.
    pub(super) request: Result<Request, Failure>,
}

/// The image, as it was passed. It may be wrong: it is for the record of a request that can't be read.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) image: Option<String>,
    pub(super) digest: Option<String>,
}

impl Passed {
    pub(super) fn read(arguments: &[OsString]) -> Self {
        let (flags, understood) = Flags::read(arguments);
        let names = Names {
            image: flags.name.clone(),
            digest: flags.digest.clone(),
        };
        let request = understood.and_then(|()| flags.request());
        Self { names, request }
    }
}

impl Request {
    /// Reads the descriptor, and holds it against the arguments.
    pub(super) async fn read_descriptor(&self) -> Result<(), Failure> {
        let read = blocking(|| {
            let mut bytes = Vec::new();
            let mut stdin = std::io::stdin().lock().take(DESCRIPTOR_MAX + 1);
            stdin.read_to_end(&mut bytes).map(|_| bytes)
        });
        let bytes = read.await?.map_err(|error| {
            let message = "the descriptor on standard input can't be read".to_owned();
            Failure::caused(Kind::Machine, message, error)
        })?;
        self.check_descriptor(&bytes)
    }

    fn check_descriptor(&self, bytes: &[u8]) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Descriptor {
            digest: Digest,
        }
        if bytes.len() as u64 > DESCRIPTOR_MAX {
            return Err(usage(format!(
                "expected a descriptor of at most {DESCRIPTOR_MAX} bytes on standard input, found more"
            )));
        }
        let descriptor: Descriptor = serde_json::from_slice(bytes).map_err(|error| {
            let message = "expected the image's descriptor on standard input".to_owned();
            Failure::caused(Kind::Usage, message, error)
        })?;
        if descriptor.digest == self.digest {
            Ok(())
        } else {
            Err(usage(format!(
                "the descriptor on standard input is of another image: expected {}, found {}",
                self.digest, descriptor.digest
            )))
        }
    }
}

#[derive(Default)]
struct Flags {
    name: Option<String>,
    digest: Option<String>,
    media_type: Option<String>,
}

impl Flags {
    /// The values of the flags, of each the first; and what is wrong first.
    fn read(arguments: &[OsString]) -> (Self, Result<(), Failure>) {
        let (mut flags, mut understood) = (Self::default(), Ok(()));
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let read = flags.read_one(argument, &mut arguments);
            understood = understood.and(read);
        }
        (flags, understood)
    }

    /// Reads the flag `argument`, and its value if that is the next of `rest`.
    fn read_one<'a>(
        &mut self,
        argument: &OsString,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), Failure> {
        let flag = text(argument)?;
        let name = flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'));
        let (name, value) = match name.and_then(|name| name.split_once('=')) {
            Some((name, value)) => (Some(name), Some(value)),
            None => (name, None),
        };
        let Some((slot, known)) = name.and_then(|name| self.slot(name)) else {
            return Err(usage(format!(
                "expected -name, -digest and -stdin-media-type, found `{}`",
                printable(flag)
            )));
        };
        let value = match value {
            Some(value) => value,
            None => {
                let next = rest.next();
                text(next.ok_or_else(|| usage(format!("{known} has no value")))?)?
            }
        };
        if slot.is_some() {
            return Err(usage(format!("{known} was given twice")));
        }
        *slot = Some(value.to_owned());
        Ok(())
    }

    /// The value of the flag `name`, and how the flag is written.
    fn slot(&mut self, name: &str) -> Option<(&mut Option<String>, &'static str)> {
        match name {
            "name" => Some((&mut self.name, "-name")),
            "digest" => Some((&mut self.digest, "-digest")),
            "stdin-media-type" => Some((&mut self.media_type, "-stdin-media-type")),
            _ => None,
        }
    }

    fn request(self) -> Result<Request, Failure> {
        let missing = |flag| usage(format!("{flag} is missing"));
        let name = self.name.ok_or_else(|| missing("-name"))?;
        let digest = self.digest.ok_or_else(|| missing("-digest"))?;
        let media_type = self
            .media_type
            .ok_or_else(|| missing("-stdin-media-type"))?;
        if media_type != DESCRIPTOR {
            return Err(usage(format!(
                "expected -stdin-media-type {DESCRIPTOR}, found `{}`",
                printable(&media_type)
            )));
        }
        let reference: Reference = name.parse().map_err(|error| {
            Failure::caused(
                Kind::Usage,
                "-name is not the name of an image".to_owned(),
                error,
            )
        })?;
        let digest: Digest = digest.parse().map_err(|error| {
            Failure::caused(Kind::Usage, "-digest is not a digest".to_owned(), error)
        })?;
        match reference.digest() {
            Some(named) if *named != digest => Err(usage(format!(
                "the name asks for {named}, and containerd would pull {digest}"
            ))),
            _ => Ok(Request { reference, digest }),
        }
    }
}

fn text(argument: &OsString) -> Result<&str, Failure> {
    argument
        .to_str()
        .ok_or_else(|| usage("an argument is not text in UTF-8".to_owned()))
}

fn usage(message: String) -> Failure {
    Failure::new(Kind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const OTHER: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

    fn parse(arguments: &[&str]) -> Result<Request, String> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        Passed::read(&arguments)
            .request
            .map_err(|failure| failure.line())
    }

    fn with(name: &str, value: &str) -> Result<Request, String> {
        let mut arguments = vec![
            "-name",
            "docker.io/library/nginx:1",
            "-digest",
            DIGEST,
            "-stdin-media-type",
            DESCRIPTOR,
        ];
        if let Some(at) = arguments.iter().position(|argument| *argument == name) {
            arguments[at + 1] = value;
        }
        parse(&arguments)
    }

    #[test]
    fn containerd_s_arguments_are_read() {
        let request = with("", "").unwrap();
        assert_eq!(request.reference.to_string(), "docker.io/library/nginx:1");
        assert_eq!(request.digest.to_string(), DIGEST);
        let joined = format!("--digest={DIGEST}");
        let media_type = format!("-stdin-media-type={DESCRIPTOR}");
        let request = parse(&[&media_type, &joined, "--name", "quay.io/a@x:1"]);
        assert!(
            request
                .unwrap_err()
                .contains("-name is not the name of an image")
        );
        let request = parse(&[&media_type, &joined, "--name", "quay.io/a:1"]).unwrap();
        assert_eq!(request.reference.to_string(), "quay.io/a:1");
    }

    #[test]
    fn whatever_else_stands_there_is_refused() {
        for (arguments, says) in [
            (&[][..], "-name is missing"),
            (&["-name"], "-name has no value"),
            (&["-name", "a", "-name", "b"], "-name was given twice"),
            (&["-n", "a"], "found `-n`"),
            (&["name", "a"], "found `name`"),
            (&["---name", "a"], "found `---name`"),
            (&["-platform", "linux/amd64"], "found `-platform`"),
            (
                &["-name", "a", "-digest", DIGEST],
                "-stdin-media-type is missing",
            ),
        ] {
            let said = parse(arguments).unwrap_err();
            assert!(said.contains(says), "{arguments:?}: {said}");
        }
        for (name, value, says) in [
            ("-digest", "sha256:00", "-digest is not a digest"),
            (
                "-stdin-media-type",
                "application/json",
                "found `application/json`",
            ),
            ("-name", "", "-name is not the name of an image"),
            (
                "-name",
                "ocifile:///etc",
                "-name is not the name of an image",
            ),
            (
                "-name",
                &format!("quay.io/a@{OTHER}"),
                "the name asks for sha256:ca97",
            ),
        ] {
            let said = with(name, value).unwrap_err();
            assert!(said.contains(says), "{name} {value}: {said}");
        }
        assert!(with("-name", &format!("quay.io/a:1@{DIGEST}")).is_ok());
    }

    #[test]
    fn what_was_passed_is_known_though_the_rest_is_wrong() {
        let known = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let Names { image, digest } = Passed::read(&arguments).names;
            (image, digest)
        };
        let some = |text: &str| Some(text.to_owned());
        for (arguments, name, digest) in [
            (&[][..], None, None),
            (&["-name"], None, None),
            (&["name", "a"], None, None),
            (&["-platform", "x", "-name", "a"], some("a"), None),
            (
                &["-digest", "sha256:00", "--name=a"],
                some("a"),
                some("sha256:00"),
            ),
            (
                &["-name", "a", "-name", "b", "-digest=c=d"],
                some("a"),
                some("c=d"),
            ),
        ] {
            let expected = (name, digest);
            assert_eq!(known(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn the_descriptor_has_to_be_of_the_same_image() {
        let request = with("", "").unwrap();
        let check = |text: &str| {
            let checked = request.check_descriptor(text.as_bytes());
            checked.map_err(|failure| failure.line())
        };
        let descriptor =
            |digest| format!("{{\"mediaType\":\"x\",\"digest\":\"{digest}\",\"size\":1}}\n");
        assert_eq!(check(&descriptor(DIGEST)), Ok(()));
        assert!(
            check(&descriptor(OTHER))
                .unwrap_err()
                .contains("is of another image")
        );
        for text in ["", "{}", "null", "{\"digest\":1}"] {
            assert!(
                check(text)
                    .unwrap_err()
                    .contains("expected the image's descriptor"),
                "{text}"
            );
        }
        let long = descriptor(DIGEST).replace('\n', &" ".repeat(DESCRIPTOR_MAX as usize));
        assert!(check(&long).unwrap_err().contains("at most 65536 bytes"));
    }
}
