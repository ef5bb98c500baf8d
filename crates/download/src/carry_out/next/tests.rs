//! The rule as tables. A user reads the same rule in `docs/galleries.md`, under "Sources, mirrors, fallback
//! tags": where a row here changes, that page and the list in `next.rs` change too.

use Consequence::{End, TryNext, TrySameDigest};

use super::*;

const A: char = 'a';
const B: char = 'b';

fn digest(of: char) -> Digest {
    let hex = of.to_string().repeat(64);
    format!("sha256:{hex}").parse().unwrap()
}

fn planned(role: Role, text: &str) -> PlannedSource {
    // A digest's one letter stands for 64 of them.
    let text = match text.split_once('@') {
        Some((name, of)) => format!("{name}@sha256:{}", of.repeat(64)),
        None => text.to_owned(),
    };
    let (uri, sha256) = match text.split_once(" of ") {
        Some((uri, of)) => (uri.to_owned(), Some(of.repeat(64))),
        None => (text, None),
    };
    let source = Source::parse(&uri, sha256.as_deref()).unwrap();
    PlannedSource { role, source }
}

/// A primary, two mirrors, two fallback tags of the primary and one of a mirror.
fn images() -> Vec<PlannedSource> {
    vec![
        planned(Role::Primary, "one.example.org/app:latest"),
        planned(Role::Mirror, "two.example.org/app:latest"),
        planned(Role::Mirror, "three.example.org/app:other"),
        planned(Role::Fallback, "one.example.org/app:master"),
        planned(Role::Fallback, "two.example.org/app:master"),
        planned(Role::Fallback, "one.example.org/app:master-development"),
    ]
}

type Outcome = (Option<char>, Consequence);

/// What is asked next, as `number of the source: digest`; `-` where nothing is.
fn asked(sources: &[PlannedSource], locked: Option<char>, outcomes: &[Outcome]) -> String {
    let failed: Vec<FailedAttempt> = outcomes
        .iter()
        .map(|(of, consequence)| FailedAttempt {
            digest: of.map(digest),
            consequence: *consequence,
        })
        .collect();
    match next(
        sources,
        Fallbacks::Asked,
        locked.map(digest).as_ref(),
        &failed,
    ) {
        None => "-".to_owned(),
        Some(NextSource { planned, digest }) => {
            let at = sources.iter().position(|one| one == planned).unwrap();
            let digest = digest.map_or("its name".to_owned(), |digest| {
                digest.hex().chars().take(1).collect()
            });
            format!("{at}: {digest}")
        }
    }
}

#[test]
fn the_next_image_by_the_outcomes_of_those_before() {
    let rows: &[(&[Outcome], &str)] = &[
        (&[], "0: its name"),
        // Not there: the next is asked, by its own name as long as no name was resolved.
        (&[(None, TryNext)], "1: its name"),
        (&[(None, TryNext), (None, TryNext)], "2: its name"),
        // It resolved, and then became unreachable: mirrors are asked for what it resolved to.
        (&[(Some(A), TryNext)], "1: a"),
        (&[(Some(A), TryNext), (Some(A), TryNext)], "2: a"),
        (&[(None, TryNext), (Some(B), TryNext)], "2: b"),
        // Its content doesn't hold: only copies of the same digest.
        (&[(Some(A), TrySameDigest)], "1: a"),
        (&[(Some(A), TrySameDigest), (Some(A), TryNext)], "2: a"),
        (&[(None, TryNext), (Some(B), TrySameDigest)], "2: b"),
        // It doesn't hold, and what it is is not known: nothing is a copy of it.
        (&[(None, TrySameDigest)], "-"),
        // Any other error ends it, at whichever source.
        (&[(None, End)], "-"),
        (&[(Some(A), End)], "-"),
        (&[(None, TryNext), (Some(B), End)], "-"),
        (&[(Some(A), TrySameDigest), (Some(A), End)], "-"),
        // A fallback is another name: it isn't asked for what the primary resolved to.
        (&[(None, TryNext); 3], "3: its name"),
        (
            &[(Some(A), TryNext), (Some(A), TryNext), (Some(A), TryNext)],
            "3: its name",
        ),
        // After content that doesn't hold there is no fallback.
        (
            &[
                (Some(A), TrySameDigest),
                (Some(A), TryNext),
                (Some(A), TryNext),
            ],
            "-",
        ),
        (
            &[(None, TryNext), (None, TryNext), (Some(B), TrySameDigest)],
            "-",
        ),
        // Of one fallback tag the first source that resolves it decides; another tag is another name.
        (
            &[
                (None, TryNext),
                (None, TryNext),
                (None, TryNext),
                (Some(B), TryNext),
            ],
            "4: b",
        ),
        (
            &[
                (None, TryNext),
                (None, TryNext),
                (None, TryNext),
                (Some(B), TryNext),
                (Some(B), TryNext),
            ],
            "5: its name",
        ),
        // A fallback whose content doesn't hold leads to none of the others, copies included.
        (
            &[
                (None, TryNext),
                (None, TryNext),
                (None, TryNext),
                (Some(B), TrySameDigest),
            ],
            "-",
        ),
        // There are no more.
        (&[(None, TryNext); 6], "-"),
    ];
    for (outcomes, expected) in rows {
        assert_eq!(asked(&images(), None, outcomes), *expected, "{outcomes:?}");
    }
}

#[test]
fn a_locked_plan_asks_every_source_for_the_locked_digest() {
    let rows: &[(&[Outcome], &str)] = &[
        (&[], "0: a"),
        (&[(Some(A), TryNext)], "1: a"),
        (&[(Some(A), TrySameDigest)], "1: a"),
        (&[(Some(A), TryNext); 3], "3: a"),
        (&[(Some(A), TrySameDigest); 3], "-"),
        (&[(Some(A), End)], "-"),
    ];
    for (outcomes, expected) in rows {
        let found = asked(&images(), Some(A), outcomes);
        assert_eq!(found, *expected, "{outcomes:?}");
    }
}

#[test]
fn a_digest_of_a_source_s_own_holds_unless_its_group_has_another() {
    let sources = [
        planned(Role::Primary, "one.example.org/app@a"),
        planned(Role::Mirror, "two.example.org/app@b"),
    ];
    assert_eq!(asked(&sources, None, &[]), "0: a");
    // Unreachable, it decides all the same: its entry names it first.
    assert_eq!(asked(&sources, None, &[(Some(A), TryNext)]), "1: a");
    assert_eq!(asked(&sources, None, &[(None, TryNext)]), "1: b");
}

#[test]
fn other_kinds_of_sources_are_asked_for_what_their_entry_says() {
    let sources = [
        planned(Role::Primary, "https://one.example.org/app.tar of a"),
        planned(Role::Mirror, "https://two.example.org/app.tar of a"),
        planned(Role::Mirror, "https://two.example.org/app.tar of b"),
        planned(Role::Mirror, "/srv/app"),
        planned(Role::Mirror, "ocifile:///srv/layout"),
    ];
    let rows: &[(&[Outcome], &str)] = &[
        (&[], "0: a"),
        (&[(Some(A), TryNext)], "1: a"),
        (&[(Some(A), TrySameDigest)], "1: a"),
        // Other bytes are no copy.
        (&[(Some(A), TryNext); 2], "2: b"),
        (&[(Some(A), TrySameDigest); 2], "-"),
        // A directory can't be asked for a digest, so it is never known to be a copy.
        (&[(Some(A), TryNext); 3], "3: its name"),
        (
            &[
                (Some(A), TryNext),
                (Some(A), TryNext),
                (Some(B), TrySameDigest),
            ],
            "-",
        ),
        // A layout can.
        (
            &[
                (Some(A), TryNext),
                (Some(A), TryNext),
                (Some(B), TryNext),
                (None, TryNext),
            ],
            "4: b",
        ),
    ];
    for (outcomes, expected) in rows {
        assert_eq!(asked(&sources, None, outcomes), *expected, "{outcomes:?}");
    }
}

/// After a primary that is unreachable; after one whose content doesn't hold.
#[test]
fn what_each_kind_of_source_is_asked_for_after_a_primary_that_resolved_to_a_digest() {
    let lines = crate::samples::sources().into_iter().map(|source| {
        let mirror = PlannedSource {
            role: Role::Mirror,
            source,
        };
        let sources = [
            planned(Role::Primary, "one.example.org/app:latest"),
            mirror.clone(),
        ];
        let unreachable = asked(&sources, None, &[(Some(A), TryNext)]);
        let bad = asked(&sources, None, &[(Some(A), TrySameDigest)]);
        format!("{}: {unreachable}; {bad}\n", mirror.source)
    });
    insta::assert_snapshot!(lines.collect::<String>(), @r"
    registry.example/app:v1: 1: a; 1: a
    registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855: 1: a; 1: a
    ocifile:///srv/image.tar: 1: a; 1: a
    https://example.org/app.tar: 1: its name; -
    https://example.org/app.tar: 1: e; -
    file:///srv/app: 1: its name; -
    ");
}

/// The sentences on copies of one digest, in the page and above the rule, each behind the rows that it says. They are
/// compared letter by letter: whoever changes a row finds the sentence beside it.
#[test]
fn what_is_said_of_copies_of_one_digest_is_what_is_asked() {
    let words = |text: &str| {
        let text = text.replace("//!", "").replace('*', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let page = words(include_str!("../../../../../docs/galleries.md"));
    let rule = words(include_str!("../next.rs"));
    let says = |in_page: &str, in_rule: &str| {
        assert!(page.contains(in_page), "docs/galleries.md: {in_page}");
        assert!(rule.contains(in_rule), "next.rs: {in_rule}");
    };
    let images = images();
    let (refused, gone) = ((Some(A), TrySameDigest), (Some(A), TryNext));
    assert_eq!(asked(&images, None, &[refused]), "1: a");
    assert_eq!(asked(&images, None, &[refused; 3]), "-");
    says(
        "If an image is refused, only copies of the same digest are tried, and never another tag.",
        "only other copies of the digest that it resolved to are asked, and never a fallback tag.",
    );
    assert_eq!(asked(&images, None, &[gone]), "1: a");
    says(
        "Mirrors are asked for the digest that the `uri` resolved to.",
        "they are asked for the digest that it resolved to. A mirror can't choose what is installed.",
    );
    assert_eq!(asked(&images, None, &[(None, End)]), "-");
    says(
        "If a source is not found or can't be reached, the next is tried.",
        "After any other error no source is asked.",
    );
}

#[test]
fn the_page_on_galleries_names_the_statuses_that_lead_to_the_next_source() {
    let page = include_str!("../../../../../docs/galleries.md");
    let (_, section) = page.split_once("\n## Sources, mirrors").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let numbers = section.split(|c: char| !c.is_ascii_alphanumeric());
    let mut named: Vec<u16> = numbers.filter_map(|word| word.parse().ok()).collect();
    named.sort_unstable();
    let leads = |status: &u16| Consequence::of_status(*status) == TryNext;
    // 401 and 403 depend on the kind of server, which the page says.
    let expected = (400..500).filter(|status| leads(status) || [401, 403].contains(status));
    assert_eq!(named, expected.collect::<Vec<u16>>());
    assert!((500..600).all(|status| leads(&status)) && section.contains("5xx"));
}

#[test]
fn what_is_told_is_the_first_failure_that_says_more_than_not_there() {
    let rows: &[(&[Consequence], Option<usize>)] = &[
        (&[], None),
        (&[TryNext], Some(0)),
        (&[TryNext, TryNext], Some(0)),
        (&[TryNext, TrySameDigest], Some(1)),
        (&[TryNext, End], Some(1)),
        (&[TrySameDigest, TryNext], Some(0)),
        (&[TrySameDigest, End], Some(0)),
        (&[TryNext, TrySameDigest, TrySameDigest], Some(1)),
    ];
    for (consequences, expected) in rows {
        for kind in [ErrorKind::NotFound, ErrorKind::Unreachable] {
            let found = decisive(consequences.iter().map(|one| (kind, *one)));
            assert_eq!(found, *expected, "{kind:?} {consequences:?}");
        }
    }
    // Whatever is asked next, what is wrong with the content says more.
    for kind in [ErrorKind::Invalid, ErrorKind::Policy, ErrorKind::Unsigned] {
        let failures = [(ErrorKind::Unreachable, TryNext), (kind, TryNext)];
        assert_eq!(decisive(failures), Some(1), "{kind:?}");
    }
}

#[test]
fn where_fallbacks_are_left_out_the_plan_ends_before_them() {
    let failed = |count| {
        let attempt = FailedAttempt {
            digest: None,
            consequence: TryNext,
        };
        vec![attempt; count]
    };
    let sources = images();
    for (count, asked) in [(0, true), (1, true), (2, true), (3, false), (4, false)] {
        let next = next(&sources, Fallbacks::LeftOut, None, &failed(count));
        assert_eq!(next.is_some(), asked, "{count}");
    }
}

#[test]
fn the_page_on_galleries_says_of_each_status_what_it_means() {
    use countersign_oci::StatusMeaning::{self, Absent, NotAble, NotNow};
    let page = include_str!("../../../../../docs/galleries.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for (end, meanings) in [
        (" doesn't have it.", &[Absent][..]),
        (" counts as one that can't be reached.", &[NotNow, NotAble]),
    ] {
        let (before, _) = page.split_once(end).unwrap();
        let (_, list) = before.rsplit_once("A server that answers ").unwrap();
        let numbers = list.split(|c: char| !c.is_ascii_alphanumeric());
        let named: Vec<u16> = numbers.filter_map(|word| word.parse().ok()).collect();
        let means = |status: &u16| meanings.contains(&StatusMeaning::of(*status));
        let expected: Vec<u16> = (400..500).filter(means).collect();
        assert_eq!(named, expected, "{end}");
    }
    let refused = countersign_oci::samples::errors();
    let refused = refused
        .iter()
        .filter(|error| matches!(error, countersign_oci::Error::Unauthorized { .. }));
    for error in refused {
        assert_eq!(error.consequence(), TryNext, "{error}");
    }
    let says = "If a registry refuses access (401 or 403), the next source is tried too";
    assert!(page.contains(says), "{says}");
    for status in [401, 403] {
        let location = "https://example.org/app.tar".to_owned();
        let error = crate::HttpError::Status { location, status };
        assert_eq!(error.consequence(), TrySameDigest, "{status}");
    }
    let says = "If a web server refuses access to a tarball, only copies with the same `sha256`";
    assert!(page.contains(says), "{says}");
}
