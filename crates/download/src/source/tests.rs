use super::*;
use crate::samples::sources;

const SHA256: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn parse(uri: &str) -> Source {
    Source::parse(uri, None).unwrap()
}

fn error(uri: &str) -> SourceError {
    Source::parse(uri, None).unwrap_err()
}

fn digest(of: char) -> Digest {
    let hex = of.to_string().repeat(64);
    format!("sha256:{hex}").parse().unwrap()
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
    let url = |end: &str| format!("https://example.org/a{end}?token=x.zip");
    let rows = [".tar", ".tar.gz", ".TGZ", ".tar.zst"].map(url);
    for uri in rows
        .iter()
        .map(String::as_str)
        .chain(["http://example.org/a.tar"])
    {
        assert!(matches!(parse(uri), Source::Tarball(_)), "{uri}");
    }
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
    for source in sources() {
        let sha256 = source.checksum().map(Digest::hex);
        let read = Source::parse(&source.to_string(), sha256);
        assert_eq!(read.unwrap(), source);
    }
}

#[test]
fn what_each_kind_of_source_is() {
    let (requested, bytes) = (digest('a'), digest('b'));
    let names = |digest: Option<&Digest>| match digest {
        None => "none",
        Some(digest) if *digest == requested => "the requested",
        Some(digest) if *digest == bytes => "that of the bytes",
        Some(_) => "its own",
    };
    let lines = sources().into_iter().map(|source| {
        let pinned = source.pinned_to(&requested, &bytes);
        format!(
            "{}: {source}\n  {:?}, {}, {}\n  digest: {}, checksum: {}, pinned to: {}\n",
            source.kind(),
            source.server(),
            if source.is_local() {
                "local"
            } else {
                "not local"
            },
            if source.can_be_signed() {
                "signed"
            } else {
                "never signed"
            },
            names(source.own_digest()),
            names(source.checksum()),
            names(pinned.own_digest()),
        )
    });
    insta::assert_snapshot!(lines.collect::<String>(), @r"
    an image: registry.example/app:v1
      Host(Public), not local, signed
      digest: none, checksum: none, pinned to: the requested
    an image: registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
      Host(Public), not local, signed
      digest: its own, checksum: none, pinned to: the requested
    an image layout: ocifile:///srv/image.tar
      Files, local, signed
      digest: none, checksum: none, pinned to: none
    a tarball: https://example.org/app.tar
      Host(Public), not local, never signed
      digest: none, checksum: none, pinned to: that of the bytes
    a tarball: https://example.org/app.tar
      Host(Public), not local, never signed
      digest: its own, checksum: its own, pinned to: that of the bytes
    a directory: file:///srv/app
      Files, local, never signed
      digest: none, checksum: none, pinned to: none
    ");
}

#[test]
fn the_page_on_galleries_names_every_scheme_and_which_of_them_are_local() {
    let page = include_str!("../../../../docs/galleries.md");
    let local = "work only in an index that is itself a file";
    let local = page.lines().find(|line| line.contains(local)).unwrap();
    for source in sources() {
        if let Some((scheme, _)) = source.to_string().split_once("://") {
            let named = local.contains(&format!("`{scheme}:`"));
            assert_eq!(named, source.is_local(), "{source}");
        }
    }
    for scheme in Scheme::ALL {
        let scheme = format!("{}://", scheme.as_str());
        assert!(page.contains(&scheme), "{scheme}");
    }
}

#[test]
fn a_kind_that_can_name_a_digest_is_sampled_with_one() {
    let digest = digest('a');
    let all = sources();
    for source in &all {
        let can = source.pinned_to(&digest, &digest).own_digest().is_some();
        let mut of_kind = all.iter().filter(|other| other.kind() == source.kind());
        let is_sampled = of_kind.any(|other| other.own_digest().is_some());
        assert_eq!(can, is_sampled, "samples.rs: {}", source.kind());
    }
}

/// What a page says of tarballs holds of every kind that has a `sha256`.
#[test]
fn the_pages_name_every_kind_that_a_sha256_is_for() {
    let pages = [
        include_str!("../../../../docs/audit.md"),
        include_str!("../../../../docs/copy.md"),
        include_str!("../../../../docs/galleries.md"),
        include_str!("../../../../docs/security-model.md"),
    ];
    let blocks = pages.iter().flat_map(|page| page.split("\n\n"));
    let items = blocks.flat_map(|block| block.split("\n- ").flat_map(|item| item.split("\n| ")));
    let sentences: Vec<String> = items
        .flat_map(|item| item.split(". "))
        .map(|sentence| sentence.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|sentence| sentence.to_lowercase().contains("tarball"))
        .collect();
    assert!(sentences.len() > 4, "{sentences:#?}");
    let digest = digest('a');
    for source in sources() {
        if source.pinned_to(&digest, &digest).checksum().is_none() {
            continue;
        }
        let (_, noun) = source.kind().split_once(' ').unwrap();
        for sentence in &sentences {
            assert!(sentence.to_lowercase().contains(noun), "{noun}: {sentence}");
        }
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
    for path in [
        "file:srv/b",
        "ocifile:srv/b",
        "file:/srv/b",
        "file:./b",
        "file:b",
        "ocifile:b",
    ] {
        assert!(
            matches!(error(path), SourceError::NoSlashes { .. }),
            "{path}"
        );
    }
    // Its host is called so.
    let image = Source::parse("file:5000/app:v1", None).unwrap();
    assert!(matches!(image, Source::Image { .. }), "{image}");
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
fn each_scheme_without_its_slashes_is_answered_with_a_source_that_can_be_read() {
    for scheme in Scheme::ALL {
        let found = format!("{}:/srv/content.tar", scheme.as_str());
        let example = match error(&found) {
            SourceError::NoSlashes { example, .. } => example,
            // Skopeo's word for a layout: it is told so.
            _ if scheme == Scheme::Oci => scheme.example().1,
            other => panic!("{found}: {other}"),
        };
        let begin = format!("{}://", scheme.as_str());
        assert!(example.starts_with(&begin), "{example}");
        parse(example);
    }
}

/// What is read of a source is fuzzed, by the target of references, from one of each scheme on.
#[test]
fn every_scheme_is_a_seed_of_fuzzing() {
    let target = include_str!("../../../../fuzz/fuzz_targets/references.rs");
    assert!(target.contains("Source::parse("));
    let seeds = include_str!("../../../../xtask/src/fuzz/seeds.rs");
    for scheme in Scheme::ALL {
        let begin = format!("\"{}://", scheme.as_str());
        assert!(seeds.contains(&begin), "REFERENCES of seeds.rs: {begin}");
    }
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
    let expected = with("quay.io/a/b:t", SHA256).to_string();
    for source in sources() {
        let kind = source.kind();
        let Err(error) = Source::parse(&source.to_string(), Some(SHA256)) else {
            // The error names the kinds that take one: `for tarballs alone`.
            let plural = format!("{}s", kind.trim_start_matches("a "));
            assert!(expected.contains(&plural), "{kind}");
            continue;
        };
        assert!(
            matches!(error, SourceError::DigestOutOfPlace { kind: found } if found == kind),
            "{source}"
        );
    }
}

#[test]
fn the_page_on_galleries_and_the_error_name_every_ending() {
    let page = include_str!("../../../../docs/galleries.md");
    let error = error("https://example.org/a.zip").to_string();
    for ending in ARCHIVE_ENDINGS {
        assert!(page.contains(&format!("`{ending}`")), "{ending}");
        assert!(error.contains(ending), "{error}");
    }
}
