use super::*;

fn result(reference: &str, state: State, identity: &str) -> AuditResult {
    AuditResult {
        reference: reference.into(),
        gallery: None,
        entry: None,
        role: None,
        platform: None,
        digest: None,
        state: state.into(),
        signer: Some(JsonSigner {
            issuer: Some("https://ci.example".into()),
            identity: Some(identity.into()),
        }),
        signed_at: None,
        log_index: None,
        format: None,
        reason: None,
        was: None,
        error: None,
    }
}

#[test]
fn a_repository_is_a_source_without_tag_and_digest() {
    for (source, expected) in [
        ("quay.io/a/b:1", "quay.io/a/b"),
        ("localhost:5000/a/b", "localhost:5000/a/b"),
        ("localhost:5000/a/b:1@sha256:44", "localhost:5000/a/b"),
        ("", ""),
    ] {
        assert_eq!(repository(source), expected);
    }
}

#[test]
fn every_image_is_counted_and_names_without_end_take_no_memory_without_end() {
    let mut tally = Tally::default();
    for number in 0..3_000 {
        let identity = format!("stranger-{number}");
        tally.count(&result("quay.io/a/b:1", State::OtherSigner, &identity));
        tally.count(&result("quay.io/a/b:1", State::Proven, &identity));
    }
    assert_eq!(
        (tally.total(), tally.of(State::OtherSigner)),
        (6_000, 3_000)
    );
    for (kept, beyond) in [
        (tally.groups().largest().len(), tally.groups().beyond()),
        (tally.signers().largest().len(), tally.signers().beyond()),
    ] {
        assert_eq!((kept, beyond), (GROUPS_MAX, 3_000 - GROUPS_MAX as u64));
    }
    for number in 2..=10 {
        let reference = format!("quay.io/a/b:{number}");
        tally.count(&result(&reference, State::OtherSigner, "stranger-7"));
    }
    let groups = tally.groups().largest();
    let (key, count, group) = groups.first().unwrap();
    assert_eq!(key.signer.as_deref(), Some("stranger-7"));
    assert_eq!((*count, group.named.len()), (10, NAMED));
}

#[test]
fn what_an_installation_would_not_refuse_or_nobody_knows_is_not_counted_as_refused() {
    let mut tally = Tally::default();
    let mut count = |entry: String, role, state| {
        tally.count(&AuditResult {
            entry: Some(entry),
            role,
            ..result("quay.io/a/b:1", state, "stranger")
        });
    };
    let primary = Some(JsonRole::Primary);
    count("unsigned".into(), primary, State::Unsigned);
    count("uncovered".into(), None, State::Uncovered);
    count("mirrored".into(), Some(JsonRole::Mirror), State::Unsigned);
    // An installation asks a mirror, which may be proven.
    count("missing".into(), primary, State::Missing);
    for state in [State::Unreachable, State::Rejected, State::Failed] {
        count("unknown".into(), primary, state);
    }
    let names: Vec<&String> = tally.refused().iter().collect();
    assert_eq!(names, ["uncovered", "unsigned"]);
    assert!(!tally.refused_is_cut());

    let mut tally = Tally::default();
    for number in 0..=NAMES_MAX {
        // A second platform is no further entry.
        for _ in 0..2 {
            tally.count(&AuditResult {
                entry: Some(format!("entry-{number}")),
                ..result("quay.io/a/b:1", State::Unsigned, "stranger")
            });
        }
        assert_eq!(tally.refused_is_cut(), number == NAMES_MAX);
    }
    let text = super::super::text::summary(&tally);
    assert!(
        text.contains("  10000  entries or more: entry-0, "),
        "{text}"
    );
}

#[test]
fn the_order_in_which_verdicts_come_changes_nothing() {
    let results = (10..20).map(|number| {
        let mut one = result(&format!("quay.io/a/b:{number}"), State::Unsigned, "someone");
        one.reason = Some(format!("reason {number}"));
        one.signed_at = Some(format!("20{number}-01-01T00:00:00Z"));
        one
    });
    let mut results: Vec<AuditResult> = results.collect();
    let summary = |results: &[AuditResult]| {
        let mut tally = Tally::default();
        results.iter().for_each(|one| tally.count(one));
        serde_json::to_string(&tally.summary()).unwrap()
    };
    let forward = summary(&results);
    assert!(forward.contains("reason 10"), "{forward}");
    results.reverse();
    assert_eq!(summary(&results), forward);
}

#[test]
fn the_change_for_what_nothing_covers_names_every_kind_with_a_sha256() {
    let mut tally = Tally::default();
    tally.count(&result("https://example.org/a.tar", State::Uncovered, "x"));
    let groups = tally.groups().largest();
    let (key, _, group) = groups.first().unwrap();
    let change = policy_change(key, group).unwrap();
    let sources = countersign_download::samples::sources();
    for source in sources.iter().filter(|source| source.checksum().is_some()) {
        assert!(change.contains(source.kind()), "{change}");
    }
    // No policy accepts a directory.
    let mut tally = Tally::default();
    tally.count(&result("file:///srv/d", State::Uncovered, "x"));
    let groups = tally.groups().largest();
    let (key, _, group) = groups.first().unwrap();
    assert_eq!(policy_change(key, group), None);
}
