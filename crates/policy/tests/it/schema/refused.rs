//! Why each document is refused: for what is wrong with it on purpose, and not for a slip in the table.

use insta::assert_snapshot;

use super::{KEY, SIGNER, read, refused};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_document_is_refused_for_its_own_mistake() {
    let lines: Vec<String> = refused()
        .into_iter()
        .map(|document| {
            let problem = format!("{:?}", read(&document).unwrap_err().problem());
            let (name, _) = problem.split_once([' ', '(']).unwrap_or((&problem, ""));
            let document = document.replace(SIGNER, "").replace(KEY, "PEM");
            let document = document.trim_end().replace('\n', " / ");
            format!("{name}: {document}")
        })
        .collect();
    assert_snapshot!(lines.join("\n"), @r#"
    Neither: {}
    NoPolicy: []
    NoPolicy: ~
    Form: a policy
    NoPolicy: require_integrity: true
    Empty: galleries: []
    Neither: issuer: a
    Neither: identity: a
    Both: {issuer: a, issuer_regex: a, identity: b}
    Both: {issuer: a, identity: b, identity_regex: b}
    Empty: identities: []
    Neither: identities: [{issuer: a}]
    Both: identities: [{issuer: a, identity: b, identity_regex: b}]
    SignerBesideIdentities: {identities: [{issuer: a, identity: b}], issuer: a}
    SignerBesideIdentities: {identities: [{issuer: a, identity: b}], identity_regex: b}
    UnknownKey: {verification: {issuer: a, identity: b}, issuer: a}
    UnknownKey: {verification: {issuer: a, identity: b}, bind_name: true}
    UnknownKey: {require_integrty: true, verification: {issuer: a, identity: b}}
    UnknownKey: identities: [{issuer: a, identity: b, bind_name: true}]
    UnknownKey: identities: [{isuer: a, identity: b}]
    PolicyBesideGalleries: {verification: {issuer: a, identity: b}, galleries: [{name: a, url: 'file:a'}]}
    MissingKey: - {name: a}
    MissingKey: - {url: 'file:a'}
    Empty: - {name: '', url: 'file:a'}
    Empty: - {name: a, url: ' '}
    Form: - a
    Form: galleries: {name: a, url: 'file:a'}
    Neither: verification: {}
    Form: verification: ~
    Form: verification: []
    Neither: verification: {issuer: a}
    UnknownKey: verification: {isuer: a, identity: b}
    Neither: - {name: a, url: https://example.org/index.yaml, verification: {}}
    Form: - {name: a, url: https://example.org/index.yaml, verification: ~}
    Form: - {name: a, url: https://example.org/index.yaml, verification: []}
    Neither: - {name: a, url: https://example.org/index.yaml, verification: {issuer: a}}
    UnknownKey: - {name: a, url: https://example.org/index.yaml, verification: {isuer: a, identity: b}}
    Empty: key:
    Form: key: 5
    Empty: key: ' '
    IgnoreTlogWithoutKey: {issuer: a, identity: b, ignore_tlog: true}
    BesideKey: {key: PEM, issuer: a, identity: b}
    BesideKey: {key: PEM, identity_regex: b}
    BesideKey: {key: PEM, claims: {build_trigger: push}}
    Form: {key: PEM, ignore_tlog: maybe}
    NoTime: {key: PEM, ignore_tlog: true, not_before: 2026-08-05T00:00:00Z}
    NoTime: {key: PEM, ignore_tlog: true, min_age: 1h}
    SignerBesideIdentities: {key: PEM, identities: [{issuer: a, identity: b}]}
    SignerBesideIdentities: {ignore_tlog: true, identities: [{issuer: a, identity: b}]}
    BesideKey: identities: [{key: PEM, issuer: a}]
    IgnoreTlogWithoutKey: identities: [{issuer: a, identity: b, ignore_tlog: true}]
    NoTime: identities: [{key: PEM, ignore_tlog: true, not_before: 2026-08-05T00:00:00Z}]
    Form: - {name: a, url: https://example.org/index.yaml, mirrors: https://mirror.example}
    Form: - {name: a, url: https://example.org/index.yaml, mirrors: [[]]}
    Empty: identity: b / issuer:
    Empty: identity: b / issuer: ''
    Empty: identity: b / issuer: '  '
    Form: identity: b / issuer: [a]
    Form: identity: b / issuer: {a: b}
    Form: identity: b / issuer: 5
    Form: identity: b / issuer: 1.5
    Form: identity: b / issuer: true
    UnknownKey: identity: b / issuers: a
    Empty: identity: b / issuer_regex:
    Empty: identity: b / issuer_regex: ''
    Empty: identity: b / issuer_regex: '  '
    Form: identity: b / issuer_regex: [a]
    Form: identity: b / issuer_regex: {a: b}
    Form: identity: b / issuer_regex: 5
    Form: identity: b / issuer_regex: 1.5
    Form: identity: b / issuer_regex: true
    UnknownKey: identity: b / issuer_regexs: a
    Empty: issuer: a / identity:
    Empty: issuer: a / identity: ''
    Empty: issuer: a / identity: '  '
    Form: issuer: a / identity: [a]
    Form: issuer: a / identity: {a: b}
    Form: issuer: a / identity: 5
    Form: issuer: a / identity: 1.5
    Form: issuer: a / identity: true
    UnknownKey: issuer: a / identitys: a
    Empty: issuer: a / identity_regex:
    Empty: issuer: a / identity_regex: ''
    Empty: issuer: a / identity_regex: '  '
    Form: issuer: a / identity_regex: [a]
    Form: issuer: a / identity_regex: {a: b}
    Form: issuer: a / identity_regex: 5
    Form: issuer: a / identity_regex: 1.5
    Form: issuer: a / identity_regex: true
    UnknownKey: issuer: a / identity_regexs: a
    UnknownKey: isuer_regex: a
    UnknownKey: notBefore: 2026-08-05T00:00:00Z
    UnknownKey: not_befor: 2026-08-05T00:00:00Z
    Empty: min_age:
    Form: min_age: ''
    Form: min_age: 24
    Form: min_age: 0h
    Form: min_age: 1.5h
    Form: min_age: 1w
    Form: min_age: 100000d
    Form: min_age: [24h]
    Empty: not_before:
    Empty: not_before: ''
    Timestamp: not_before: 2026-08-05
    Timestamp: not_before: 2026-08-05T00:00:00
    Timestamp: not_before: 2026
    Timestamp: not_before: yesterday
    Form: not_before: [2026-08-05T00:00:00Z]
    UnknownKey: identites: [{issuer: a, identity: b}]
    SignerBesideIdentities: identities: [{issuer: a, identity: b}]
    UnknownKey: claim: {build_trigger: push}
    Form: claims:
    Empty: claims: {}
    Form: claims: []
    UnknownKey: claims: {build_triger: push}
    Empty: claims: {build_trigger: ''}
    Empty: claims: {build_trigger: }
    Form: claims: {build_trigger: [push]}
    Both: claims: {build_trigger: push, build_trigger_regex: push}
    UnknownKey: claims: {build_trigger_regexp: push}
    UnknownKey: predicate_type: [a]
    Form: predicate_types:
    Empty: predicate_types: []
    Empty: predicate_types: ['']
    Form: predicate_types: a
    MissingKey: predicate: {/a: b}
    UnknownKey: predicate_types: [a] / predicates: {/a: b}
    Form: predicate_types: [a] / predicate:
    Empty: predicate_types: [a] / predicate: {}
    Form: predicate_types: [a] / predicate: [/a]
    Form: predicate_types: [a] / predicate: {a: b}
    Form: predicate_types: [a] / predicate: {'': b}
    Form: predicate_types: [a] / predicate: {_regex: b}
    Form: predicate_types: [a] / predicate: {a/b: c}
    Form: predicate_types: [a] / predicate: {/a~2: b}
    Form: predicate_types: [a] / predicate: {/a~: b}
    Form: predicate_types: [a] / predicate: {/a~_regex: b}
    Empty: predicate_types: [a] / predicate: {/a: ''}
    Empty: predicate_types: [a] / predicate: {/a: }
    Form: predicate_types: [a] / predicate: {/a: {b: c}}
    Form: require:
    Empty: require: []
    Form: require: signature
    Form: require: [signatures]
    SameProof: require: [signature, signature]
    SameProof: require: [{predicate_type: a, predicate: {/a: b}}, signature, {predicate_type: a, predicate: {/a: b}}]
    Form: require: ['']
    MissingKey: require: [{}]
    Form: require: [[signature]]
    MissingKey: require: [{predicate: {/a: b}}]
    Empty: require: [{predicate_type: ''}]
    Form: require: [{predicate_type: a, predicate: {a: b}}]
    UnknownKey: require: [{predicate_type: a, predicates: {/a: b}}]
    Empty: require: [{predicate_type: a, claims: {}}]
    UnknownKey: require: [{predicate_type: a, identity: b}]
    UnknownKey: requires: [signature]
    BesideRequire: require: [signature] / predicate_types: [a]
    BesideRequire: require: [signature] / predicate_types: [a] / predicate: {/a: b}
    UnknownKey: signature_format: [bundle]
    Form: signature_formats:
    Empty: signature_formats: []
    Form: signature_formats: [bundles]
    Form: signature_formats: ['']
    Form: signature_formats: bundle
    UnknownKey: annotation: {a: b}
    Form: annotations:
    Empty: annotations: {}
    Empty: annotations: {a: ''}
    Empty: annotations: {'': a}
    Form: annotations: {a: [b]}
    Form: annotations: [a=b]
    UnknownKey: bind_nam: true
    Form: bind_name:
    Form: bind_name: yes
    Form: bind_name: 1
    UnknownKey: trusts: {trusted_root: a}
    Form: trust:
    Trust: trust: {}
    Form: trust: trusted_root.json
    Form: trust: GitHub
    Form: trust: [github]
    UnknownKey: trust: {trusted_roots: a}
    Empty: trust: {trusted_root: ''}
    Trust: trust: {trusted_root: a, tuf_root: b}
    Trust: trust: {trusted_root: a, tuf_url: https://tuf.example, tuf_root: b}
    Trust: trust: {tuf_url: https://tuf.example}
    Trust: trust: {tuf_root: a}
    Url: trust: {tuf_url: tuf.example, tuf_root: a}
    Url: trust: {tuf_url: file:///srv/tuf, tuf_root: a}
    Url: trust: {tuf_url: 5, tuf_root: a}
    UnknownKey: signature_source: [ghcr.io/acme/app]
    Form: signature_sources:
    Empty: signature_sources: []
    Repository: signature_sources: ['']
    Form: signature_sources: ghcr.io/acme/app
    Form: signature_sources: [a.io/0, a.io/1, a.io/2, a.io/3, a.io/4, a.io/5, a.io/6, a.io/7, a.io/8]
    UnknownKey: deny_digest: []
    Form: deny_digests:
    Empty: deny_digests: []
    Digest: deny_digests: ['']
    Digest: deny_digests: [sha256:abc]
    Digest: deny_digests: [md5:00000000000000000000000000000000]
    UnknownKey: colour: green
    "#);
}
