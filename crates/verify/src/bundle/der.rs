//! The bounds of DER: how many elements one part may have, and how deep parts may lie.
//!
//! The `der` crate sorts sets by insertion, at a cost that grows with the square of their size, and
//! `x509-cert` and `cms` decode whole what they are given. So what a stranger sent is first walked
//! through here, which costs as much as reading it once.

use super::at_most_bytes;
use crate::failure::Failure;

/// Today's signing certificates have 1 to 3 KiB.
pub(super) const CERTIFICATE_BYTES: usize = 16 << 10;
/// What errors call it.
pub(super) const CERTIFICATE: &str = "the certificate";

/// Elements of one sequence. Signing certificates have up to 35 extensions, and nothing else in them or
/// in timestamps has as many elements.
const ELEMENTS_MAX: usize = 64;
/// Elements of one set. Honest ones have up to 8 (the signed attributes of a timestamp). Many sets fit
/// into 16 KiB, and what sorting all of them costs grows with this bound.
const SET_MAX: usize = 16;
/// A timestamp's certificates have their names' texts at the sixteenth level.
const DEPTH_MAX: usize = 32;

const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const CONSTRUCTED: u8 = 0x20;
/// All bits of the number: it goes on in the bytes that follow, which the `der` crate refuses.
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

    /// That its parts are within bounds.
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

/// That some DER has few enough elements and levels. Only [`check`] makes one.
#[derive(Debug)]
pub(super) struct BoundedDer;

/// Checks the elements of all sets and sequences in `bytes`, also of those in octet strings, in
/// which certificates and timestamps keep most of what they say.
///
/// What isn't DER is not looked at any further: whoever decodes it doesn't come further either.
///
/// # Errors
/// [`Failure::TooMany`], with `elements` or `levels` for what there is too much of.
pub(super) fn check(
    bytes: &[u8],
    elements: &'static str,
    levels: &'static str,
) -> Result<BoundedDer, Failure> {
    let too_many = |what, limit, found| Failure::TooMany { what, limit, found };
    // The rest of each part that the walk is in, how many of its elements came before, and how many
    // it may have.
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
                // A tag of the context's own (`[0]`) may stand for that of a set.
                _ => SET_MAX,
            };
            parts.push((content, 0, limit));
        }
    }
    Ok(BoundedDer)
}

fn elements_in(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some((_, _, after)) = element(rest) {
        rest = after;
        count += 1;
    }
    count
}

/// Tag and content of the first element, and what comes after it. `None` at the end, and where
/// there is no DER.
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
            Ok(BoundedDer) => None,
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

    /// The decoder reads the elements before it sees where they end.
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
