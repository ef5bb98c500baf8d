//! Patterns of images in the words of other programs.

use countersign_oci::Repository;

use crate::image_pattern::{Glob, Host, ImagePattern, Name, Segment, Version};

/// Docker Hub's name in policy-controller and Talos.
const DOCKER_HUB_IN_GO: &str = "index.docker.io";

/// A segment of a path, or a tag, in a pattern for Go.
const SEGMENT: &str = "[^/:@]";

/// Globs of policy-controller: `*` is anything but a slash, `**` is anything, and the whole name counts, with
/// its tag or digest.
pub(super) fn policy_controller(pattern: &ImagePattern) -> Vec<String> {
    let name = match pattern.name() {
        Name::Every => "**".to_owned(),
        Name::Repositories { host, path } => {
            let host = in_go(host);
            let path = path.iter().map(|segment| match segment {
                Segment::One(glob) => format!("/{glob}"),
                Segment::Several => "/**".to_owned(),
            });
            format!("{host}{}", path.collect::<String>())
        }
    };
    match pattern.version() {
        // A name always has one of the two there. The two stars take in both.
        Version::Any if name.ends_with("**") => vec![name],
        Version::Any => vec![format!("{name}:**"), format!("{name}@**")],
        Version::Tag(tag) => vec![format!("{name}:{tag}")],
        Version::Digest(digest) => vec![format!("{name}@{digest}")],
    }
}

/// The host as go-containerregistry names it.
fn in_go(host: &Host) -> String {
    match host {
        Host::Exactly(host) if host == Repository::DOCKER_HUB => DOCKER_HUB_IN_GO.to_owned(),
        Host::Exactly(host) => host.clone(),
        Host::Below(domain) => format!("*{domain}"),
    }
}

/// A pattern, in Go's syntax, for the name as a pod has it: Docker Hub may be left out of it, and the tag `latest`.
pub(super) fn as_written(pattern: &ImagePattern) -> String {
    let version = match pattern.version() {
        Version::Any => format!("(?::{SEGMENT}+)?(?:@.+)?"),
        Version::Tag(tag) => {
            let optional = if tag.matches("latest") { "?" } else { "" };
            format!("(?::{}){optional}(?:@.+)?", glob(tag))
        }
        Version::Digest(digest) => {
            format!("(?::{SEGMENT}+)?@{}", regex::escape(&digest.to_string()))
        }
    };
    let name = match pattern.name() {
        Name::Every => return "^.*$".to_owned(),
        Name::Repositories { host, path } => match host {
            Host::Exactly(host) if host == Repository::DOCKER_HUB => on_docker_hub(path),
            Host::Exactly(host) => format!("{}{}", regex::escape(host), segments(path)),
            Host::Below(domain) => format!("[^/]+{}{}", regex::escape(domain), segments(path)),
        },
    };
    format!("^{name}{version}$")
}

fn on_docker_hub(path: &[Segment]) -> String {
    let host = r"(?:(?:index\.|registry-1\.)?docker\.io/)?";
    let (library, rest) = match path {
        [Segment::One(first), rest @ ..]
            if first.to_string() == Repository::LIBRARY && !rest.is_empty() =>
        {
            (format!("(?:{}/)?", Repository::LIBRARY), rest)
        }
        _ => (String::new(), path),
    };
    let rest = segments(rest);
    format!("{host}{library}{}", rest.strip_prefix('/').unwrap_or(&rest))
}

/// The segments, each with its slash.
fn segments(path: &[Segment]) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::One(one) => format!("/{}", glob(one)),
        Segment::Several => format!("/{SEGMENT}+(?:/{SEGMENT}+)*"),
    };
    path.iter().map(segment).collect()
}

fn glob(glob: &Glob) -> String {
    let parts = glob.to_string();
    let parts = parts.split('*').map(regex::escape);
    parts.collect::<Vec<_>>().join(&format!("{SEGMENT}*"))
}

/// A glob of Talos: held against the name without tag and digest, and `*` is anything, slashes too.
pub(super) struct TalosGlob {
    pub(super) text: String,
    /// Whether a `*` for one segment has become one for several.
    pub(super) wider: bool,
}

/// `None` if the pattern has a tag or a digest.
pub(super) fn talos(pattern: &ImagePattern) -> Option<TalosGlob> {
    if *pattern.version() != Version::Any {
        return None;
    }
    Some(match pattern.name() {
        Name::Every => TalosGlob {
            text: "*".to_owned(),
            wider: false,
        },
        Name::Repositories { host, path } => {
            let host = in_go(host);
            let one = |segment: &Segment| match segment {
                Segment::One(glob) => format!("/{glob}"),
                Segment::Several => "/*".to_owned(),
            };
            let starred = |segment: &Segment| matches!(segment, Segment::One(glob) if glob.to_string().contains('*'));
            TalosGlob {
                wider: path.iter().any(starred) || host.starts_with('*'),
                text: format!("{host}{}", path.iter().map(one).collect::<String>()),
            }
        }
    })
}

/// A scope of containers/image: a host, or a name up to a slash or to its end, or with its tag. `None` if the pattern
/// has stars elsewhere.
pub(super) fn scope(pattern: &ImagePattern) -> Option<String> {
    let name = match pattern.name() {
        Name::Every => String::new(),
        Name::Repositories { host, path } => {
            let path = match path.as_slice() {
                [before @ .., Segment::Several] => before,
                all => all,
            };
            let literal = |segment: &Segment| match segment {
                Segment::One(glob) if !glob.to_string().contains('*') => Some(format!("/{glob}")),
                Segment::One(_) | Segment::Several => None,
            };
            let path: String = path.iter().map(literal).collect::<Option<_>>()?;
            match host {
                Host::Exactly(host) => format!("{host}{path}"),
                Host::Below(domain) if path.is_empty() => format!("*{domain}"),
                Host::Below(_) => return None,
            }
        }
    };
    match pattern.version() {
        Version::Any => Some(name),
        Version::Tag(tag) if !name.is_empty() && !tag.to_string().contains('*') => {
            Some(format!("{name}:{tag}"))
        }
        Version::Digest(digest) if !name.is_empty() => Some(format!("{name}@{digest}")),
        Version::Tag(_) | Version::Digest(_) => None,
    }
}

/// What a scope takes in that its pattern doesn't.
pub(super) enum Beyond {
    /// The repository of that name.
    Repository,
    /// Repositories below the name.
    Below,
}

/// `None` if the scope is the same images, or fewer.
pub(super) fn beyond_scope(pattern: &ImagePattern) -> Option<Beyond> {
    match (pattern.name(), pattern.version()) {
        (Name::Repositories { path, .. }, Version::Any) => match path.as_slice() {
            // A host has no repository of its own name.
            [Segment::Several] => None,
            [.., Segment::Several] => Some(Beyond::Repository),
            _ => Some(Beyond::Below),
        },
        (Name::Every, _) | (_, Version::Tag(_) | Version::Digest(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::as_written;

    #[test]
    fn a_pattern_of_images_matches_the_same_names_as_they_are_written() {
        let matches = [
            ("quay.io/acme/**", "quay.io/acme/app", true),
            ("quay.io/acme/**", "quay.io/acme/app:v1", true),
            ("quay.io/acme/**", "quay.io/acme/a/b@sha256:00", true),
            ("quay.io/acme/**", "quay.io/acme", false),
            ("quay.io/acme/**", "quay.io/acme2/app", false),
            ("quay.io/acme/**", "evil.example/quay.io/acme/app", false),
            ("quay.io/acme/*", "quay.io/acme/a/b", false),
            ("quay.io/acme/app-*", "quay.io/acme/app-x:v1", true),
            ("quay.io/acme/app:v1*", "quay.io/acme/app:v12", true),
            ("quay.io/acme/app:v1*", "quay.io/acme/app", false),
            ("quay.io/acme/app:latest", "quay.io/acme/app", true),
            (
                "registry.internal:5000/app",
                "registry.internal:5000/app:v1",
                true,
            ),
            (
                "registry.internal:5000/app",
                "registry.internal/app:v1",
                false,
            ),
            ("*.example.com/app", "a.example.com/app", true),
            ("*.example.com/app", "example.com/app", false),
            ("nginx", "nginx", true),
            ("nginx", "library/nginx:1.29", true),
            ("nginx", "docker.io/library/nginx", true),
            ("nginx", "index.docker.io/library/nginx", true),
            ("nginx", "quay.io/nginx", false),
            ("acme/app", "acme/app:v1", true),
            ("acme/app", "docker.io/acme/app", true),
            ("**", "anything/at/all:x@sha256:00", true),
        ];
        for (pattern, name, expected) in matches {
            let text = as_written(&pattern.parse().unwrap());
            let regex = regex::Regex::new(&text).unwrap();
            assert_eq!(
                regex.is_match(name),
                expected,
                "{pattern} ({text}) and {name}"
            );
        }
    }
}
