//! No byte of a bundle can be changed without being refused, but for those that say nothing.

use std::collections::BTreeSet;
use std::thread;

use countersign_policy::Policy;
use countersign_verify::verify_bundle;
use jiff::Timestamp;

use super::{RECORDED, Recorded};

/// A byte's position, and what it is changed to.
type Change = (usize, u8);

/// Why a change is accepted.
type Reason = fn(&[u8], Change) -> bool;

/// All changes that are accepted. Everything else is refused.
const ACCEPTED: [(&str, Reason); 1] = [(
    "white space between JSON's parts says nothing, and readers are told to skip it",
    |bundle, (at, to)| between_parts(bundle, at) && is_space(bundle[at]) && is_space(to),
)];

/// Every byte is changed: each time in one bit, in another one from byte to byte, and to what its
/// neighbours in JSON and in base64 would be, where it has any.
#[test]
fn every_changed_byte_is_refused_or_says_nothing() {
    for name in RECORDED {
        let bundle = Recorded::read(name).bundle();
        let changes: Vec<Change> = (0..bundle.len())
            .flat_map(|at| replacements(&bundle, at).map(move |to| (at, to)))
            .collect();
        let expected: BTreeSet<Change> = changes
            .iter()
            .copied()
            .filter(|change| ACCEPTED.iter().any(|(_, says)| says(&bundle, *change)))
            .collect();
        let accepted = accepted(name, &changes);
        let shown = |changes: &BTreeSet<Change>| -> Vec<String> {
            changes
                .iter()
                .map(|(at, to)| {
                    let before = String::from_utf8_lossy(&bundle[at.saturating_sub(30)..=*at]);
                    format!("{at}: `{before}` to {:?}", char::from(*to))
                })
                .collect()
        };
        assert_eq!(shown(&accepted), shown(&expected), "{name}");
    }
}

/// The changes after which the bundle is still accepted.
fn accepted(name: &str, changes: &[Change]) -> BTreeSet<Change> {
    let recorded = Recorded::read(name);
    let (root, image, bundle) = (recorded.trusted_root(), recorded.image(), recorded.bundle());
    let policy = Policy::try_from(recorded.signer.spec()).unwrap();
    let is_accepted = |(at, to): Change| {
        let mut changed = bundle.clone();
        changed[at] = to;
        verify_bundle(&image, &changed, &root, &policy, Timestamp::now()).is_ok()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = changes.len().div_ceil(threads);
    thread::scope(|scope| {
        let parts: Vec<_> = changes
            .chunks(share)
            .map(|part| {
                scope.spawn(|| -> Vec<Change> {
                    let part = part.iter().copied();
                    part.filter(|change| is_accepted(*change)).collect()
                })
            })
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    })
}

fn replacements(bundle: &[u8], at: usize) -> impl Iterator<Item = u8> {
    let byte = bundle[at];
    let bit = byte ^ (1 << (at % 8));
    let alike: &[u8] = match byte {
        b'+' => b"-",
        b'/' => b"_",
        b'=' => b"A",
        b' ' => b"\t\n\r",
        b'A'..=b'Z' | b'a'..=b'z' => &[],
        _ => b" ",
    };
    std::iter::once(bit).chain(alike.iter().copied())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether a byte of JSON lies outside of all strings.
fn between_parts(json: &[u8], at: usize) -> bool {
    let mut in_string = false;
    let mut escaped = false;
    for byte in &json[..at] {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ => {}
        }
    }
    !in_string
}
