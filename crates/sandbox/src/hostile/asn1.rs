//! Certificates and timestamps of hostile bundles, in DER.

use super::LARGE;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
const SHA256: [u8; 11] = [
    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
];
const ECDSA_WITH_SHA256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const SIGNED_DATA: [u8; 11] = [
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02,
];
const TST_INFO: [u8; 13] = [
    0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04,
];

/// DER of one value.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0);
    let length = length.get(significant.unwrap_or(length.len() - 1)..);
    let length = length.unwrap_or_default();
    let mut value = vec![tag];
    if content.len() > 0x7f {
        value.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
    }
    value.extend(length);
    value.extend(content);
    value
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

fn number(number: u32) -> Vec<u8> {
    tlv(INTEGER, &(number & 0x7fff_ffff | 0x4000_0000).to_be_bytes())
}

/// Elements of up to this many bytes, the greatest first. This is the worst order for an insertion
/// sort.
fn descending(bytes: usize, element: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let size = element(0).len().max(1);
    let count = u32::try_from(bytes / size).unwrap_or(u32::MAX);
    (0..count).rev().map(element).collect()
}

/// How many sets a name has: just under the limit of readers for a sequence's elements.
const SETS_MAX: usize = 60;

/// A name of sets with this many parts each. Another `other` gives another name.
fn name(bytes: usize, in_one_set: usize, other: u32) -> Vec<u8> {
    let parts = descending(bytes, |n| {
        sequence(&[&COMMON_NAME, &number(n << 3 | other)])
    });
    let sets: Vec<u8> = parts
        .chunks(in_one_set)
        .take(SETS_MAX)
        .flat_map(|parts| tlv(SET, &parts.concat()))
        .collect();
    tlv(SEQUENCE, &sets)
}

/// The start of a certificate, up to its issuer, whose name has sets with this many parts.
pub(super) fn names(bytes: usize, in_one_set: usize) -> Vec<u8> {
    let version = tlv(0xa0, &tlv(INTEGER, &[2]));
    let algorithm = sequence(&[&ECDSA_WITH_SHA256]);
    let tbs = sequence(&[
        &version,
        &number(1),
        &algorithm,
        &name(bytes, in_one_set, 0),
    ]);
    sequence(&[&tbs, &algorithm])
}

/// A timestamp response, with another issuer in the first of its certificates. The signed parts
/// don't change.
pub(super) fn with_names(response: &[u8], in_one_set: usize, other: u32) -> Vec<u8> {
    let issuer = |_: &[u8]| name(LARGE - 2_500, in_one_set, other);
    // Response, token, its content, signed data, certificates, the first, what is signed of it, issuer.
    changed(response, &[0, 1, 1, 0, 3, 0, 0, 3], &issuer)
}

/// The DER of `value`, with a change to the element at `path`. The path has positions from 0; the
/// first of them is the value itself.
fn changed(value: &[u8], path: &[usize], change: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let Some((position, rest)) = path.split_first() else {
        return change(value);
    };
    let mut all = Vec::new();
    for (at, (tag, content, element)) in elements(value).into_iter().enumerate() {
        if at != *position {
            all.extend(element);
        } else if rest.is_empty() {
            all.extend(change(element));
        } else {
            all.extend(tlv(tag, &changed(content, rest, change)));
        }
    }
    all
}

/// Of each element: its tag, its content, and all its bytes.
fn elements(mut bytes: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut all = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let long = usize::from(first.saturating_sub(0x80));
        let (length, content) = rest.split_at_checked(long).unwrap_or_default();
        let length = match *first {
            short @ ..0x80 => usize::from(short),
            _ => length
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        };
        let content = content.get(..length).unwrap_or_default();
        let (element, after) = bytes.split_at(2 + long + content.len());
        all.push((*tag, content, element));
        bytes = after;
    }
    all
}

/// Sequences in sequences.
pub(super) fn nested(bytes: usize) -> Vec<u8> {
    let mut value = Vec::new();
    while value.len() < bytes {
        value = tlv(SEQUENCE, &value);
    }
    value
}

/// A timestamp response with these parts of the signed data after its version.
fn response(parts: &[&[u8]]) -> Vec<u8> {
    let signed = sequence(&[&tlv(INTEGER, &[3]), &parts.concat()]);
    let token = sequence(&[&SIGNED_DATA, &tlv(0xa0, &signed)]);
    sequence(&[&sequence(&[&tlv(INTEGER, &[0])]), &token])
}

fn no_content() -> Vec<u8> {
    sequence(&[&TST_INFO, &tlv(0xa0, &tlv(OCTET_STRING, &[]))])
}

/// The following differ for each `other`, because timestamps must not repeat.
pub(super) fn algorithms(bytes: usize, other: u32) -> Vec<u8> {
    let algorithms = descending(bytes, |n| sequence(&[&SHA256, &number(n << 3 | other)]));
    response(&[&tlv(SET, &algorithms.concat()), &no_content()])
}

pub(super) fn certificates(bytes: usize, other: u32) -> Vec<u8> {
    let certificates = descending(bytes, |n| sequence(&[&number(n << 3 | other)]));
    let algorithms = tlv(SET, &sequence(&[&SHA256]));
    response(&[
        &algorithms,
        &no_content(),
        &tlv(0xa0, &certificates.concat()),
    ])
}

pub(super) fn attributes(bytes: usize, other: u32) -> Vec<u8> {
    let values = descending(bytes, |n| number(n << 3 | other));
    let attribute = sequence(&[&SHA256, &tlv(SET, &values.concat())]);
    let algorithm = sequence(&[&SHA256]);
    let issuer = sequence(&[&tlv(SEQUENCE, &[]), &number(1)]);
    let signer = sequence(&[
        &tlv(INTEGER, &[1]),
        &issuer,
        &algorithm,
        &tlv(0xa0, &attribute),
        &algorithm,
        &tlv(OCTET_STRING, &[]),
    ]);
    response(&[&tlv(SET, &algorithm), &no_content(), &tlv(SET, &signer)])
}

/// The set is in an octet string in the authority's name.
pub(super) fn content(bytes: usize, other: u32) -> Vec<u8> {
    let parts = descending(bytes, |n| {
        sequence(&[&COMMON_NAME, &number(n << 3 | other)])
    });
    let name = tlv(SEQUENCE, &tlv(SET, &parts.concat()));
    let imprint = sequence(&[&sequence(&[&SHA256]), &tlv(OCTET_STRING, &[0; 32])]);
    let info = sequence(&[
        &tlv(INTEGER, &[1]),
        &COMMON_NAME,
        &imprint,
        &number(1),
        &tlv(0x18, b"20260101000000Z"),
        &tlv(0xa0, &tlv(0xa4, &name)),
    ]);
    let content = sequence(&[&TST_INFO, &tlv(0xa0, &tlv(OCTET_STRING, &info))]);
    response(&[&tlv(SET, &sequence(&[&SHA256])), &content, &tlv(SET, &[])])
}
