//! `--shard 3/16`: a part of the subjects, the same part on every machine.
//!
//! It depends on what is audited alone, not on its place in the list: a list that grows moves nothing.

use std::fmt;
use std::str::FromStr;

use countersign_download::AuditSubject;
use countersign_oci::Digest;

/// One of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    number: u64,
    of: u64,
}

impl Shard {
    /// Which part it is, from 1.
    pub(super) fn number(self) -> u64 {
        self.number
    }

    /// How many parts there are.
    pub(super) fn of(self) -> u64 {
        self.of
    }

    /// Whether this part has the subject.
    pub(super) fn has(self, subject: &AuditSubject) -> bool {
        let (gallery, entry) = (subject.gallery(), subject.entry());
        let key = format!(
            "{}\0{}\0{subject}",
            gallery.unwrap_or_default(),
            entry.unwrap_or_default()
        );
        let digest = Digest::sha256(key.as_bytes());
        let first = digest.hex().get(..15).unwrap_or_default();
        let number = u64::from_str_radix(first, 16).unwrap_or_default();
        number.checked_rem(self.of) == Some(self.number - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/');
        // An index that begins with 0, as that of a Kubernetes Indexed Job, is written 0+1/16.
        let number = |text: &str| match text.strip_suffix("+1") {
            Some(index) => index.parse::<u64>().ok()?.checked_add(1),
            None => text.parse().ok(),
        };
        let read = parts.and_then(|(part, of)| Some((number(part)?, of.parse().ok()?)));
        match read {
            Some((number, of)) if 1 <= number && number <= of => Ok(Self { number, of }),
            Some(_) | None => Err(format!(
                "expected a part of a number of parts, from 1/16 to 16/16, found `{text}`"
            )),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_in_one_part_and_parts_are_alike_in_size() {
        let shards: Vec<Shard> = (1..=16)
            .map(|n| format!("{n}/16").parse().unwrap())
            .collect();
        let mut counts = [0; 16];
        for number in 0..1_600 {
            let reference = format!("quay.io/a/b:{number}").parse().unwrap();
            let subject = AuditSubject::of_image(reference);
            let parts = shards
                .iter()
                .enumerate()
                .filter(|(_, one)| one.has(&subject));
            let parts: Vec<usize> = parts.map(|(at, _)| at).collect();
            assert_eq!(parts.len(), 1);
            counts[parts[0]] += 1;
        }
        assert!(
            counts.iter().all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_part_that_there_is_not_is_refused() {
        for wrong in ["0/16", "17/16", "1", "1/0", "a/b", "", "-1/2"] {
            let says = format!(
                "expected a part of a number of parts, from 1/16 to 16/16, found `{wrong}`"
            );
            assert_eq!(wrong.parse::<Shard>().unwrap_err(), says);
        }
    }
}
