//! What a trusted root says of its authorities and logs: when they count, and with which keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use countersign_sandbox::{BundleSpec, RekorVersion};
use countersign_verify::{
    CertificateError, Failure, LogKind, TimestampError, TrustError, TrustedRoot, VerifiedDocument,
    verify_bundle,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::asn1::UtcTime;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::time::Time;

use super::{BOTH, Fixture, hours_ago, refused};

/// The authority's certificates begin five years ago. Everything else is valid for longer here, so
/// that nothing but they can be the reason (CVE-2026-24122).
#[tokio::test]
async fn a_certificate_from_before_its_authority_s_own_is_refused() {
    let fixture = Fixture::new().await;
    let root = with_root(&fixture, |root| {
        for (kind, key) in [("tlogs", "publicKey"), ("ctlogs", "publicKey")] {
            for log in root[kind].as_array_mut().unwrap() {
                log[key]["validFor"] = json!({ "start": "2001-01-01T00:00:00Z" });
            }
        }
        root["certificateAuthorities"][0]["validFor"] = json!({ "start": "2001-01-01T00:00:00Z" });
    });
    let signed = |years: i64| {
        let spec = fixture.good().signed_at(hours_ago(years * 365 * 24));
        let bundle = fixture.sigstore.issue(&spec).unwrap();
        verify_bundle(
            &fixture.image,
            bundle.as_bytes(),
            &root,
            &fixture.policy(),
            Timestamp::now(),
        )
    };
    assert_eq!(signed(4).unwrap().digest(), fixture.image.digest());
    let failure = refused(signed(6));
    assert!(
        matches!(
            failure,
            Failure::Certificate(CertificateError::NoValidAuthority { .. })
        ),
        "{failure:?}"
    );
}

/// An authority that the trusted root has retired certifies nothing after its end.
#[tokio::test]
async fn a_certificate_from_after_the_end_of_its_authority_is_refused() {
    let fixture = Fixture::new().await;
    let root = with_root(&fixture, |root| {
        let authority = &mut root["certificateAuthorities"][0];
        authority["validFor"]["end"] = json!(hours_ago(48).to_string());
    });
    let signed = |hours| {
        let bundle = fixture
            .sigstore
            .issue(&fixture.good().signed_at(hours_ago(hours)));
        let bundle = bundle.unwrap();
        verify_bundle(
            &fixture.image,
            bundle.as_bytes(),
            &root,
            &fixture.policy(),
            Timestamp::now(),
        )
    };
    assert_eq!(signed(72).unwrap().digest(), fixture.image.digest());
    let failure = refused(signed(24));
    assert!(
        matches!(
            failure,
            Failure::Certificate(CertificateError::NoValidAuthority { .. })
        ),
        "{failure:?}"
    );
}

/// The sandbox's trusted root after a change to its JSON.
fn with_root(fixture: &Fixture, change: impl FnOnce(&mut Value)) -> TrustedRoot {
    let mut root = serde_json::from_str(&fixture.sigstore.trusted_root_json()).unwrap();
    change(&mut root);
    TrustedRoot::from_json("changed", &root.to_string()).unwrap()
}

/// The last certificate of a timestamp authority's chain is a trust anchor, whose own validity path
/// validation doesn't look at.
#[tokio::test]
async fn a_timestamp_from_after_the_end_of_its_authority_s_own_certificate_is_refused() {
    let fixture = Fixture::new().await;
    let end = hours_ago(48);
    let root = with_root(&fixture, |root| {
        let authorities = root["timestampAuthorities"].as_array_mut().unwrap();
        // The certificates that come with timestamps are known, but stamped nothing so late.
        let mut earlier = authorities[0].clone();
        earlier["validFor"]["end"] = json!(hours_ago(100).to_string());
        authorities.push(earlier);
        let chain = &mut authorities[0]["certChain"]["certificates"];
        let anchor = chain.as_array_mut().unwrap().last_mut().unwrap();
        let der = BASE64.decode(anchor["rawBytes"].as_str().unwrap()).unwrap();
        let shortened = BASE64.encode(ending(&der, end));
        anchor["rawBytes"] = json!(shortened);
    });
    let signed = |hours| {
        let spec = fixture.good().rekor(RekorVersion::V2);
        judge(&fixture, &spec.signed_at(hours_ago(hours)), &root)
    };
    assert_eq!(signed(72).unwrap().digest(), fixture.image.digest());
    let failure = refused(signed(24));
    assert!(
        matches!(
            failure,
            Failure::Timestamp(TimestampError::OutsideAuthorityValidity { .. })
        ),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_key_of_an_unknown_kind_costs_no_signature_that_does_not_need_it() {
    let fixture = Fixture::new().await;
    for (kind, key) in unsupported() {
        let root = with_root(&fixture, |root| {
            for logs in ["tlogs", "ctlogs"] {
                let logs = root[logs].as_array_mut().unwrap();
                let mut log = logs[0].clone();
                log["logId"]["keyId"] = json!(BASE64.encode([1; 32]));
                set_key(&mut log, kind, &key);
                logs.insert(0, log);
            }
        });
        for rekor in BOTH {
            let judged = judge(&fixture, &fixture.good().rekor(rekor), &root);
            assert!(judged.is_ok(), "{kind}: {judged:?}");
        }
    }
}

#[tokio::test]
async fn a_signature_that_needs_a_key_of_an_unknown_kind_is_refused_for_it() {
    let fixture = Fixture::new().await;
    let needed = |logs: &str, kind: &str, key: &[u8]| {
        let mut id = Value::Null;
        let root = with_root(&fixture, |root| {
            let logs = root[logs].as_array_mut().unwrap();
            // Another log stays, so that the trusted root is complete.
            let mut other = logs[0].clone();
            other["logId"]["keyId"] = json!(BASE64.encode([1; 32]));
            id = logs[0]["logId"]["keyId"].clone();
            set_key(&mut logs[0], kind, key);
            logs.push(other);
        });
        let id = BASE64.decode(id.as_str().unwrap()).unwrap();
        match refused(judge(&fixture, &fixture.good(), &root)) {
            Failure::UnsupportedLogKey {
                log,
                id: found,
                kind: found_kind,
            } => {
                assert_eq!((found, found_kind), (hex::encode(id), kind.to_owned()));
                log
            }
            other => panic!("{kind}: {other:?}"),
        }
    };
    for (kind, key) in unsupported() {
        assert_eq!(needed("tlogs", kind, &key), LogKind::Signatures);
        // In certificate logs an RSA key may stand in PKCS#1.
        if kind != PKCS1 {
            let log = needed("ctlogs", kind, &key);
            assert_eq!(log, LogKind::Certificates);
        }
    }
}

#[tokio::test]
async fn a_root_whose_logs_all_have_keys_of_unknown_kinds_is_incomplete() {
    let fixture = Fixture::new().await;
    let (kind, key) = &unsupported()[0];
    for (logs, expected) in [
        ("tlogs", "transparency log with a key of a supported kind"),
        (
            "ctlogs",
            "certificate transparency log with a key of a supported kind",
        ),
    ] {
        let mut root: Value = serde_json::from_str(&fixture.sigstore.trusted_root_json()).unwrap();
        for log in root[logs].as_array_mut().unwrap() {
            set_key(log, kind, key);
        }
        match TrustedRoot::from_json("root", &root.to_string()) {
            Err(TrustError::Incomplete { missing, .. }) => assert_eq!(missing, expected),
            other => panic!("{other:?}"),
        }
    }
}

const PKCS1: &str = "PKCS1_RSA_PKCS1V5";

/// Keys that `sigstore-verify` can't use, by the names that trusted roots have for them.
fn unsupported() -> [(&'static str, Vec<u8>); 3] {
    let p521_point = [&[0, 4][..], &[7; 132]].concat();
    let p521 = [
        tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]),
        tlv(0x06, &[0x2b, 0x81, 0x04, 0x00, 0x23]),
    ]
    .concat();
    let ed448 = tlv(0x06, &[0x2b, 0x65, 0x71]);
    let spki =
        |algorithm: &[u8], key: &[u8]| tlv(0x30, &[tlv(0x30, algorithm), tlv(0x03, key)].concat());
    let modulus = [&[0, 0xc5][..], &[0x11; 255]].concat();
    let rsa = [tlv(0x02, &modulus), tlv(0x02, &[1, 0, 1])].concat();
    [
        ("PKIX_ECDSA_P521_SHA_512", spki(&p521, &p521_point)),
        ("PKIX_ED448", spki(&ed448, &[0; 58])),
        (PKCS1, tlv(0x30, &rsa)),
    ]
}

/// DER of one value.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let mut value = match length.to_be_bytes() {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, low] => vec![tag, 0x81, low],
        [high, low] => vec![tag, 0x82, high, low],
    };
    value.extend(content);
    value
}

fn set_key(log: &mut Value, kind: &str, key: &[u8]) {
    log["publicKey"]["rawBytes"] = json!(BASE64.encode(key));
    log["publicKey"]["keyDetails"] = json!(kind);
}

/// The certificate with another end. Its signature no longer holds, which no anchor needs.
fn ending(certificate: &[u8], end: Timestamp) -> Vec<u8> {
    let mut certificate = Certificate::from_der(certificate).unwrap();
    let seconds = u64::try_from(end.as_second()).unwrap();
    let end = UtcTime::from_unix_duration(std::time::Duration::from_secs(seconds)).unwrap();
    certificate.tbs_certificate.validity.not_after = Time::UtcTime(end);
    certificate.to_der().unwrap()
}

fn judge(
    fixture: &Fixture,
    spec: &BundleSpec,
    root: &TrustedRoot,
) -> Result<VerifiedDocument, Failure> {
    let bundle = fixture.sigstore.issue(spec).unwrap();
    verify_bundle(
        &fixture.image,
        bundle.as_bytes(),
        root,
        &fixture.policy(),
        Timestamp::now(),
    )
}

#[tokio::test]
async fn a_root_says_what_it_has_and_when_it_counts() {
    let fixture = Fixture::new().await;
    let (kind, key) = &unsupported()[0];
    let root = with_root(&fixture, |root| {
        set_key(&mut root["tlogs"][1], kind, key);
        root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2040-01-01T00:00:00Z");
    });
    let [described] = &*root.describe() else {
        panic!("one root");
    };
    let [log, unsupported] = &*described.transparency_logs else {
        panic!("two logs");
    };
    assert_eq!((log.supported, unsupported.supported), (true, false));
    assert_eq!(log.validity.until, "2040-01-01T00:00:00Z".parse().ok());
    assert_eq!(unsupported.key, *kind);
    let [authority] = &*described.certificate_authorities else {
        panic!("one authority");
    };
    // The certificates end, though the root says nothing of an end.
    assert!(authority.validity.from.is_some() && authority.validity.until.is_some());
    assert_eq!(described.certificate_logs.len(), 1);
    assert_eq!(described.timestamp_authorities.len(), 1);
    assert_eq!(root.metadata(), []);
}
