//! Whether two patterns can match one image.

use std::collections::BTreeMap;

use super::{Host, ImagePattern, Name, Segment, Version};

impl ImagePattern {
    /// Whether some image may match both. It says yes where it can't tell.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let version = match (self.version(), other.version()) {
            (Version::Tag(one), Version::Tag(other)) => one.may_meet(other),
            (Version::Digest(one), Version::Digest(other)) => one == other,
            // A tag has a digest.
            (Version::Any | Version::Tag(_) | Version::Digest(_), _) => true,
        };
        let name = match (self.name(), other.name()) {
            (Name::Every, _) | (_, Name::Every) => true,
            (
                Name::Repositories { host, path },
                Name::Repositories {
                    host: other_host,
                    path: other_path,
                },
            ) => hosts(host, other_host) && paths(path, other_path, &mut BTreeMap::new()),
        };
        version && name
    }
}

fn hosts(one: &Host, other: &Host) -> bool {
    match (one, other) {
        (Host::Exactly(one), Host::Exactly(other)) => one == other,
        (Host::Below(domain), Host::Exactly(host)) | (Host::Exactly(host), Host::Below(domain)) => {
            host.ends_with(domain.as_str())
        }
        (Host::Below(one), Host::Below(other)) => {
            one.ends_with(other.as_str()) || other.ends_with(one.as_str())
        }
    }
}

/// `known` are answers by the numbers of segments that are left of both.
fn paths(one: &[Segment], other: &[Segment], known: &mut BTreeMap<(usize, usize), bool>) -> bool {
    let place = (one.len(), other.len());
    if let Some(answer) = known.get(&place) {
        return *answer;
    }
    let answer = match (one, other) {
        ([], []) => true,
        ([], _) | (_, []) => false,
        ([first, rest @ ..], [other_first, other_rest @ ..]) => {
            let meet = match (first, other_first) {
                (Segment::One(glob), Segment::One(other)) => glob.may_meet(other),
                (Segment::Several, _) | (_, Segment::Several) => true,
            };
            // `**` takes this segment of the other, and perhaps the next one too.
            let several = |segment: &Segment| *segment == Segment::Several;
            meet && (paths(rest, other_rest, known)
                || several(first) && paths(one, other_rest, known)
                || several(other_first) && paths(rest, other, known))
        }
    };
    known.insert(place, answer);
    answer
}

#[cfg(test)]
mod tests {
    use crate::image_pattern::ImagePattern;

    #[test]
    fn patterns_meet_if_an_image_matches_both() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for (one, other, expected) in [
            ("**", "quay.io/a", true),
            ("quay.io/a", "quay.io/a:v1", true),
            ("quay.io/a", "quay.io/b", false),
            ("quay.io/a", "ghcr.io/a", false),
            ("quay.io/**", "quay.io/a/b/c", true),
            ("quay.io/a/**", "quay.io/a", false),
            ("quay.io/*", "quay.io/a/b", false),
            ("quay.io/**/app", "quay.io/a/**", true),
            ("quay.io/**/app", "quay.io/a/**/web", false),
            ("quay.io/a-*", "quay.io/*-b", true),
            ("quay.io/a-*", "quay.io/b-*", false),
            ("quay.io/*-a", "quay.io/*-b", false),
            ("quay.io/a-*", "quay.io/a-b", true),
            ("quay.io/a:v1.*", "quay.io/a:v2", false),
            ("*.example.com/a", "a.example.com/a", true),
            ("*.example.com/a", "example.com/a", false),
            ("*.example.com/a", "*.b.example.com/a", true),
            ("*.example.com/a", "*.example.org/a", false),
            ("nginx", "docker.io/library/**", true),
            ("nginx", &format!("nginx@{digest}"), true),
            ("nginx:1", &format!("nginx@{digest}"), true),
        ] {
            let [one, other]: [ImagePattern; 2] = [one, other].map(|text| text.parse().unwrap());
            assert_eq!(one.may_meet(&other), expected, "{one} and {other}");
            assert_eq!(other.may_meet(&one), expected, "{other} and {one}");
        }
        // Without what is known already, this would take years.
        let many = format!("quay.io/{}", "**/".repeat(100));
        let [one, other]: [ImagePattern; 2] =
            ["a", "b"].map(|end| format!("{many}{end}").parse().unwrap());
        assert!(!one.may_meet(&other));
    }
}
