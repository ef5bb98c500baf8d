use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const OTHER: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

fn pattern(text: &str) -> ImagePattern {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn matches(pattern: &str, image: &str) -> bool {
    let reference: Reference = image.parse().unwrap_or_else(|e| panic!("{image}: {e}"));
    let digest = DIGEST.parse().unwrap();
    super::tests::pattern(pattern).matches(&reference, &digest)
}

/// A pattern, images that it matches, and images that it doesn't match.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const ROWS: &[Row] = &[
    (
        "**",
        &[
            "nginx",
            "quay.io/acme/app:v1",
            "localhost/a/b/c",
            "[::1]:5000/x",
        ],
        &[],
    ),
    (
        "quay.io/acme/**",
        &[
            "quay.io/acme/app",
            "quay.io/acme/app:v1",
            "quay.io/acme/team/app",
            "QUAY.io/acme/app",
            "quay.io:443/acme/app",
            "quay.io:0443/acme/app",
        ],
        &[
            "quay.io/acme",
            "quay.io/acmeevil/app",
            "quay.io/evil/acme/app",
            "quay.io.evil/acme/app",
            "evil.quay.io/acme/app",
            "quay.io:5000/acme/app",
            "quay.io:4430/acme/app",
            "evil/quay.io/acme/app",
            "evil.example/quay.io/acme/app",
        ],
    ),
    (
        "quay.io/acme/*",
        &["quay.io/acme/app", "quay.io/acme/app:v1"],
        &["quay.io/acme", "quay.io/acme/team/app"],
    ),
    (
        "quay.io/acme/app",
        &["quay.io/acme/app", "quay.io/acme/app:v1"],
        &[
            "quay.io/acme/app2",
            "quay.io/acme/my-app",
            "quay.io/acme/app/x",
        ],
    ),
    (
        "quay.io/acme/app-*-prod",
        &["quay.io/acme/app-a-prod", "quay.io/acme/app-a-prod-b-prod"],
        &[
            "quay.io/acme/app-prod",
            "quay.io/acme/app-a-prod-b",
            "quay.io/acme/app-a/b-prod",
        ],
    ),
    (
        "quay.io/**/app",
        &[
            "quay.io/acme/app",
            "quay.io/acme/team/app",
            "quay.io/app/app",
        ],
        &["quay.io/app", "quay.io/acme/app/x"],
    ),
    (
        "quay.io/a/**/b/**/c",
        &[
            "quay.io/a/x/b/y/c",
            "quay.io/a/b/b/b/c",
            "quay.io/a/x/b/b/y/z/c",
        ],
        &["quay.io/a/b/c", "quay.io/a/x/b/c"],
    ),
    (
        "registry.internal:5000/app:*",
        &[
            "registry.internal:5000/app:v1",
            "registry.internal:5000/app",
        ],
        &[
            "registry.internal/app:v1",
            "registry.internal:5001/app:v1",
            "registry.internal:5000/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "registry.internal:5000/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ),
    (
        "registry.internal:5000/app:v1.*",
        &["registry.internal:5000/app:v1.2"],
        &[
            "registry.internal:5000/app:v1",
            "registry.internal:5000/app:v10",
            "registry.internal:5000/app",
        ],
    ),
    (
        "registry.internal:443/app",
        &["registry.internal/app", "registry.internal:443/app"],
        &["registry.internal:5000/app"],
    ),
    (
        "nginx",
        &[
            "nginx",
            "nginx:1.29",
            "docker.io/nginx",
            "docker.io/library/nginx",
            "index.docker.io/library/nginx",
            "Docker.io:443/nginx",
        ],
        &[
            "acme/nginx",
            "quay.io/library/nginx",
            "docker.io/library/nginx/x",
        ],
    ),
    (
        "acme/**",
        &["acme/app", "docker.io/acme/app"],
        &["quay.io/acme/app", "acme", "localhost/acme/app"],
    ),
    (
        "docker.io/*",
        &["nginx", "docker.io/library/nginx"],
        &["acme/app"],
    ),
    (
        "docker.io/**",
        &["nginx", "acme/app"],
        &["quay.io/acme/app"],
    ),
    (
        "*.gcr.io/acme/**",
        &["eu.gcr.io/acme/app", "a.b.gcr.io/acme/app"],
        &[
            "gcr.io/acme/app",
            "evilgcr.io/acme/app",
            "eu.gcr.io.evil/acme/app",
            "eu.gcr.io:5000/acme/app",
        ],
    ),
    (
        "localhost/app",
        &["localhost/app", "LOCALHOST/app"],
        &["app", "localhost:5000/app"],
    ),
    (
        "quay.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        // Whatever it is asked by, it has this digest.
        &[
            "quay.io/acme/app:v1",
            "quay.io/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
        &["quay.io/acme/other:v1"],
    ),
    (
        "quay.io/acme/app@sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        &[],
        &["quay.io/acme/app:v1"],
    ),
];

#[test]
fn a_pattern_matches_whole_names_and_nothing_beside_them() {
    assert_ne!(DIGEST, OTHER);
    for (pattern, yes, no) in ROWS {
        for image in *yes {
            assert!(matches(pattern, image), "{pattern} should match {image}");
        }
        for image in *no {
            assert!(
                !matches(pattern, image),
                "{pattern} should not match {image}"
            );
        }
    }
}

/// A pattern has the names that a repository has: what is one repository, is matched by the same patterns.
#[test]
fn a_pattern_matches_every_spelling_of_a_name() {
    for (spellings, others) in [
        (
            &[
                "quay.io/app",
                "Quay.io/app",
                "quay.io:443/app",
                "quay.io:0443/app",
            ][..],
            &["quay.io:80/app", "app"][..],
        ),
        (
            &[
                "nginx",
                "docker.io/nginx",
                "Index.docker.io:443/nginx",
                "registry-1.docker.io/library/nginx",
            ],
            &["localhost/nginx"],
        ),
        (
            &["registry:443/app", "Registry:0443/app"],
            &["registry/app", "registry:80/app"],
        ),
        (
            &["localhost/app", "LOCALHOST/app"],
            &["localhost:443/app", "localhost:80/app"],
        ),
        (&["10.0.0.5:5000/app", "10.5:5000/app"], &["10.0.0.5/app"]),
        (&["[::1]:5000/app", "[0:0::1]:5000/app"], &["[::1]/app"]),
    ] {
        for one in spellings {
            for other in spellings {
                assert!(matches(one, other), "{one} should match {other}");
            }
            for other in others {
                assert!(!matches(one, other), "{one} should not match {other}");
                assert!(!matches(other, one), "{other} should not match {one}");
            }
        }
    }
    for domain in ["*.gcr.io", "*.GCR.io:443", "*.gcr.io:0443"] {
        assert!(
            matches(&format!("{domain}/**"), "eu.gcr.io:443/app"),
            "{domain}"
        );
    }
    assert!(matches("*.com:443/**", "a.com/app"));
}

#[test]
fn a_pattern_is_shown_in_full_and_read_again_as_the_same() {
    for (text, full) in [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.*", "docker.io/library/nginx:1.*"),
        ("acme/**", "docker.io/acme/**"),
        ("docker.io/*", "docker.io/library/*"),
        ("index.docker.io/**", "docker.io/**"),
        ("Quay.IO:443/acme/**", "quay.io/acme/**"),
        ("*.GCR.io/x", "*.gcr.io/x"),
        ("Registry:443/x", "registry:443/x"),
        ("**", "**"),
        ("[::1]:5000/x*", "[::1]:5000/x*"),
    ] {
        let read = pattern(text);
        assert_eq!(read.to_string(), full, "{text}");
        assert_eq!(pattern(full), read, "{text}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    use PatternError as E;
    let error = |text: &str| text.parse::<ImagePattern>().unwrap_err();
    for text in [
        "*",
        "*/**",
        "**/app",
        "quay*/acme/app",
        "quay.*/acme",
        "*quay.io/x",
        "nginx*",
    ] {
        assert_eq!(error(text), E::StarInHost, "{text}");
    }
    for text in ["", " "] {
        assert_eq!(error(text), E::Empty, "{text:?}");
    }
    for text in ["quay.io/acme**", "quay.io/**app", "quay.io/***"] {
        assert_eq!(error(text), E::PartOfSegment, "{text}");
    }
    for text in ["quay.io", "quay.io/", "localhost"] {
        assert!(matches!(error(text), E::NoPath { .. }), "{text}");
    }
    assert_eq!(error(&format!("quay.io/a:v1@{DIGEST}")), E::TagAndDigest);
    assert!(matches!(error("quay.io/a@sha256:*"), E::Digest(_)));
    for text in [
        "quay.io/Acme/**",
        "Acme/**",
        "quay.io/acme/",
        "quay.io//app",
        "https://quay.io/acme",
        "quay.io/a?",
        "quay.io/{a,b}",
        "quay.io/[ab]",
        "quay.io/a:",
        "quay.io/a:v 1",
        "quay.io/../a",
        "!quay.io/a",
        "quay.io:https/a",
        "^quay\\.io/a$",
    ] {
        assert!(matches!(error(text), E::Name(_)), "{text}: {}", error(text));
    }
}
