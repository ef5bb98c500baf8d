use super::*;

const SHA256: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn parse(uri: &str) -> Source {
    Source::parse(uri, None).unwrap()
}

fn error(uri: &str) -> SourceError {
    Source::parse(uri, None).unwrap_err()
}

fn image(text: &str) -> Source {
    Source::Image {
        reference: text.parse().unwrap(),
    }
}

#[test]
fn images_are_named_with_or_without_their_scheme() {
    let quay = "quay.io/go-skynet/local-ai-backends:latest-cpu-llama-cpp";
    assert_eq!(parse(quay), image(quay));
    assert_eq!(parse(&format!("oci://{quay}")), image(quay));
    assert_eq!(parse(&format!("OCI://{quay}")), image(quay));
}

#[test]
fn a_reference_without_a_host_is_on_docker_hub_and_not_a_file() {
    let mirror = parse("localai/localai-backends:latest-cpu-llama-cpp");
    assert_eq!(
        mirror.to_string(),
        "docker.io/localai/localai-backends:latest-cpu-llama-cpp"
    );
    // This directory exists; that must not matter.
    assert_eq!(parse("src/source"), image("docker.io/src/source:latest"));
}

#[test]
fn layouts_and_directories_are_paths() {
    let layout = |path: &str| Source::Layout {
        path: LayoutPath::new(path.as_ref()).unwrap(),
    };
    assert_eq!(parse("ocifile:///srv/image.tar"), layout("/srv/image.tar"));
    let directory = Source::Directory {
        path: "/srv/backend".into(),
    };
    assert_eq!(parse("/srv/backend"), directory);
    assert_eq!(parse("file:///srv/backend"), directory);
    assert_eq!(parse("file://localhost/srv/backend"), directory);
}

#[test]
fn tarballs_are_known_by_the_end_of_their_path() {
    let compression = |uri: &str| match parse(uri) {
        Source::Tarball(tarball) => tarball.compression(),
        other => panic!("{other}"),
    };
    let url = |end: &str| format!("https://example.org/a{end}?token=x.zip");
    assert_eq!(compression(&url(".tar")), TarballCompression::None);
    assert_eq!(compression(&url(".tar.gz")), TarballCompression::Gzip);
    assert_eq!(compression(&url(".TGZ")), TarballCompression::Gzip);
    assert_eq!(compression(&url(".tar.zst")), TarballCompression::Zstd);
    assert_eq!(
        compression("http://example.org/a.tar"),
        TarballCompression::None
    );
}

#[test]
fn a_tarball_s_sha256_is_hex_in_any_case_with_or_without_its_name() {
    let uri = "https://example.org/a.tar";
    for text in [
        SHA256.to_owned(),
        SHA256.to_uppercase(),
        format!("sha256:{SHA256}"),
    ] {
        let Source::Tarball(tarball) = Source::parse(uri, Some(&text)).unwrap() else {
            panic!("not a tarball");
        };
        assert_eq!(tarball.digest().unwrap().hex(), SHA256);
    }
}

#[test]
fn every_display_reads_back() {
    for uri in [
        "quay.io/a/b:t",
        "ocifile:///srv/a.tar",
        "https://example.org/a.tar.gz",
        "file:///srv/a",
    ] {
        assert_eq!(parse(&parse(uri).to_string()), parse(uri));
    }
}

#[test]
fn malformed_sources_say_what_was_expected() {
    assert!(matches!(error(""), SourceError::Empty));
    assert!(matches!(error(" "), SourceError::Empty));
    assert!(matches!(error("ftp://a/b.tar"), SourceError::Scheme { found } if found == "ftp"));
    assert!(matches!(error("oci://"), SourceError::Reference(_)));
    assert!(matches!(error("quay.io/A/b"), SourceError::Reference(_)));
    assert!(matches!(
        error("ocifile://"),
        SourceError::NoPath { scheme: "ocifile" }
    ));
    assert!(matches!(
        error("file://"),
        SourceError::NoPath { scheme: "file" }
    ));
    assert!(matches!(
        error("ocifile://image.tar"),
        SourceError::Layout(LayoutPathError::Relative { found }) if found == "image.tar"
    ));
    for relative in ["file://a/b", "./a", "../a", "~/a"] {
        assert!(
            matches!(error(relative), SourceError::RelativePath { .. }),
            "{relative}"
        );
    }
    assert!(matches!(
        error("https://[::/a.tar"),
        SourceError::Url { .. }
    ));
    assert!(matches!(
        error("https://example.org/a.zip"),
        SourceError::NotATarball { found } if found == "/a.zip"
    ));
}

#[test]
fn a_login_in_a_url_is_refused_and_not_repeated() {
    let error = error("https://me:hunter2@example.org/a.tar");
    assert!(matches!(&error, SourceError::Credentials { host } if host == "example.org"));
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[test]
fn a_sha256_that_is_none_or_out_of_place_is_refused() {
    let with = |uri: &str, sha256: &str| Source::parse(uri, Some(sha256)).unwrap_err();
    let tarball = "https://example.org/a.tar";
    for sha256 in ["", "abc", &SHA256[1..], &format!("sha512:{SHA256}")] {
        assert!(
            matches!(with(tarball, sha256), SourceError::Sha256 { .. }),
            "{sha256}"
        );
    }
    for (uri, kind) in [
        ("quay.io/a/b:t", "an image"),
        ("ocifile:///a", "an image layout"),
        ("/a", "a directory"),
    ] {
        let error = with(uri, SHA256);
        assert!(
            matches!(error, SourceError::DigestOutOfPlace { kind: found } if found == kind),
            "{uri}"
        );
    }
}
