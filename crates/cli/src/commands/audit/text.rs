//! The counts of an audit for a person.

use countersign_download::State;

use super::tally::{GroupKey, Tally, policy_change};
use crate::output::counted;

/// The most signers and the most groups that are shown. JSON has more.
const SHOWN: usize = 12;

/// `1 image`, `2 images`.
pub(super) fn images(count: u64) -> String {
    counted(count, "image", "images")
}

/// States, signers of what is proven, and groups of what falls short.
pub(super) fn summary(tally: &Tally) -> String {
    let mut text = format!("audited {}\n", images(tally.total()));
    for state in State::ALL.iter().copied() {
        let count = tally.of(state);
        if count > 0 {
            let (name, words) = (state.as_str(), state.words());
            text.push_str(&format!("{count:>7}  {name:<18}{words}\n"));
        }
    }
    let mut changes = tally.changes().peekable();
    if changes.peek().is_some() {
        text.push_str("\nchanged\n");
    }
    for (was, state, count) in changes {
        let (was, state) = (was.as_str(), state.as_str());
        text.push_str(&format!("{count:>7}  {was} → {state}\n"));
    }
    let signers = tally.signers().largest();
    if !signers.is_empty() {
        text.push_str("\nproven by signer\n");
    }
    for (signer, count, ()) in signers.iter().take(SHOWN) {
        let (identity, issuer) = (&signer.identity, &signer.issuer);
        text.push_str(&format!("{count:>7}  {identity}\n"));
        if let Some(issuer) = issuer {
            text.push_str(&format!("         by {issuer}\n"));
        }
    }
    rest(&mut text, signers.len(), "signers");
    let groups = tally.groups().largest();
    if !groups.is_empty() {
        text.push_str("\nnot proven by group\n");
    }
    for (key, count, group) in groups.iter().take(SHOWN) {
        let named = &group.named;
        text.push_str(&format!("{count:>7}  {}\n", described(key)));
        let more = count.saturating_sub(named.len() as u64);
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.push_str(&format!("         {}{more}\n", named.join(", ")));
        if let Some(reason) = group.reason() {
            text.push_str(&format!("         reason: {reason}\n"));
        }
        if let Some(change) = policy_change(key, group) {
            text.push_str(&format!("         the policy would need: {change}\n"));
        }
    }
    rest(&mut text, groups.len(), "groups");
    let refused = tally.refused();
    if !refused.is_empty() {
        let shown: Vec<&str> = refused.iter().map(String::as_str).take(SHOWN).collect();
        let listed = shown.join(", ");
        let count = refused.len();
        let entries = match (tally.refused_is_cut(), count) {
            (true, _) => "entries or more",
            (false, 1) => "entry",
            (false, _) => "entries",
        };
        text.push_str(&format!(
            "\nrefused with require_integrity\n{count:>7}  {entries}: {listed}\n"
        ));
        rest(&mut text, refused.len(), "entries");
    }
    text
}

fn rest(text: &mut String, count: usize, what: &str) {
    if count > SHOWN {
        let rest = count - SHOWN;
        text.push_str(&format!(
            "         and {rest} more {what}: see --output json\n"
        ));
    }
}

fn described(key: &GroupKey) -> String {
    let GroupKey {
        state,
        gallery,
        repository,
        platform,
        signer,
    } = key;
    let mut text = format!("{} in {repository}", state.as_str());
    if let Some(gallery) = gallery {
        text.push_str(&format!(" of {gallery}"));
    }
    if let Some(platform) = platform {
        text.push_str(&format!(" for {platform}"));
    }
    if let Some(signer) = signer {
        text.push_str(&format!(", signed by {signer}"));
    }
    text
}
