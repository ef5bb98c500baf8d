//! Bounds on DER: how many elements one part may have, and how deep parts may be nested.
//!
//! The `der` crate sorts sets by insertion: the time grows with the square of their size. `x509-cert` and
//! `cms` decode all of their input. So input from strangers is checked here first, in one pass.

use super::at_most_bytes;
use crate::failure::Failure;

/// Today's signing certificates have 1 to 3 KiB.
pub(super) const CERTIFICATE_BYTES: usize = 16 << 10;
/// Its name in errors.
pub(super) const CERTIFICATE: &str = "the certificate";

/// The most elements of one sequence. Signing certificates have up to 35 extensions. Every other sequence
/// in certificates and timestamps is shorter.
const ELEMENTS_MAX: usize = 64;
/// The most elements of one set. Honest sets have up to 8 (the signed attributes of a timestamp). Many sets
/// fit into 16 KiB, and the time to sort them all grows with this bound.
const SET_MAX: usize = 16;
/// The most levels. In a timestamp, the names of its certificates are at level 16.
const DEPTH_MAX: usize = 32;

const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const CONSTRUCTED: u8 = 0x20;
/// With all these bits set, the tag's number continues in the next bytes. The `der` crate refuses that.
const LONG_TAG: u8 = 0x1f;

/// A certificate that is small enough to decode. Only [`check_certificate`] makes one.
#[derive(Debug)]
pub(crate) struct BoundedCertificate<'a> {
    bytes: &'a [u8],
    der: BoundedDer,
}

impl<'a> BoundedCertificate<'a> {
    /// The DER.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The proof that its parts are within bounds.
    pub(super) fn into_der(self) -> BoundedDer {
        self.der
    }
}

/// Checks the size and the parts of a signing certificate, before anything decodes it.
///
/// # Errors
/// [`Failure::TooLarge`], [`Failure::TooMany`].
pub(crate) fn check_certificate(bytes: &[u8]) -> Result<BoundedCertificate<'_>, Failure> {
    at_most_bytes(CERTIFICATE, CERTIFICATE_BYTES, bytes.len())?;
    let der = check(
        bytes,
        "elements in one part of the certificate",
        "levels in the certificate",
    )?;
    Ok(BoundedCertificate { bytes, der })
}

/// Proof that some DER does not have too many elements or levels. Only [`check`] makes one.
#[derive(Debug)]
pub(super) struct BoundedDer(());

/// Checks the elements of all sets and sequences in `bytes`, also of those inside octet strings: most of the
/// content of certificates and timestamps is there.
///
/// The check stops at bytes that are not DER. A decoder stops there too.
///
/// # Errors
/// [`Failure::TooMany`]. `elements` and `levels` are the names that it gives to what is too many.
pub(super) fn check(
    bytes: &[u8],
    elements: &'static str,
    levels: &'static str,
) -> Result<BoundedDer, Failure> {
    let too_many = |what, limit, found| Failure::TooMany { what, limit, found };
    // For each part that is open: its remaining bytes, how many elements were read, and the limit.
    let mut parts: Vec<(&[u8], usize, usize)> = vec![(bytes, 0, ELEMENTS_MAX)];
    while let Some((rest, count, limit)) = parts.last_mut() {
        let Some((tag, content, after)) = element(rest) else {
            parts.pop();
            continue;
        };
        *rest = after;
        *count += 1;
        if *count > *limit {
            let found = *count + elements_in(after);
            return Err(too_many(elements, *limit, found));
        }
        if tag & CONSTRUCTED != 0 || tag == OCTET_STRING {
            if parts.len() > DEPTH_MAX {
                return Err(too_many(levels, DEPTH_MAX, parts.len()));
            }
            let limit = match tag {
                SEQUENCE | OCTET_STRING => ELEMENTS_MAX,
                // A context-specific tag (`[0]`) may be in the place of a set's tag.
                _ => SET_MAX,
            };
            parts.push((content, 0, limit));
        }
    }
    Ok(BoundedDer(()))
}

fn elements_in(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some((_, _, after)) = element(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// The tag and the content of the first element, and the bytes after it. `None` at the end, and if the
/// bytes are not DER.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & LONG_TAG == LONG_TAG {
        return None;
    }
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = length
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82][..], &length, content].concat()
    }

    fn found(bytes: &[u8]) -> Option<(&'static str, usize)> {
        match check(bytes, "elements", "levels") {
            Ok(BoundedDer(())) => None,
            Err(Failure::TooMany { what, found, .. }) => Some((what, found)),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn elements_are_counted_wherever_they_lie() {
        let null = [0x05, 0x00];
        for (tag, limit) in [(SEQUENCE, 64), (0x31, 16), (0xa0, 16), (OCTET_STRING, 64)] {
            assert_eq!(found(&tlv(tag, &null.repeat(limit))), None);
            let one_more = found(&tlv(tag, &null.repeat(limit + 1)));
            assert_eq!(one_more, Some(("elements", limit + 1)));
            let many = tlv(tag, &null.repeat(1_000));
            assert_eq!(found(&many), Some(("elements", 1_000)));
            let deeper = tlv(0x30, &[&null[..], &tlv(0x31, &many)].concat());
            assert_eq!(found(&deeper), Some(("elements", 1_000)));
        }
        // Numbers and texts hold no elements.
        assert_eq!(found(&tlv(0x0c, &null.repeat(1_000))), None);
    }

    /// A decoder reads these elements before it comes to the end.
    #[test]
    fn elements_before_what_is_no_der_are_counted() {
        let many = [&[0x05, 0x00].repeat(1_000)[..], &[0xff, 0xff]].concat();
        assert_eq!(found(&tlv(0x31, &many)), Some(("elements", 1_000)));
        let cut = [&tlv(0x31, &many)[..], &[0x30, 0x84, 0xff]].concat();
        assert_eq!(found(&cut), Some(("elements", 1_000)));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels| (0..levels).fold(Vec::new(), |inner, _| tlv(0x30, &inner));
        assert_eq!(found(&nested(32)), None);
        assert_eq!(found(&nested(33)), Some(("levels", 33)));
    }
}
