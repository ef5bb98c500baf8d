//! Warnings about a policy that is valid but weaker than its author may think.
//!
//! Warnings look only at texts and times. They are hints for a person, and never change what is accepted.
//! A policy can be weak without a warning.

use countersign_oci::printable;
use jiff::Timestamp;

use crate::claims::Claim;
use crate::format::SignatureFormat;
use crate::keys::TIME_CONDITIONS;
use crate::policy::{AcceptedSigner, LogUse, Policy};

mod fraction;
mod name;
mod pattern;
mod predicate_type;
mod provider;
mod signer;

use fraction::fraction;
use predicate_type::short_type;
use signer::{claim_warnings, signer_warnings};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Worth knowing. Nothing has to be changed.
    Note,
    /// The policy accepts more than its author may think, or nothing at all.
    Warning,
}

/// A weak point. Signers are counted from 0, as in [`Policy::signers`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// An issuer pattern that matches several providers. So somebody can get the identity from another
    /// provider.
    #[error(
        "the issuer pattern `{}` matches more than one provider ({}); set `issuer` to the one \
         you mean",
        printable(.pattern), .providers.join(", ")
    )]
    SeveralProviders {
        /// Which signer.
        signer: usize,
        /// Its issuer pattern.
        pattern: String,
        /// The providers' issuers.
        providers: Vec<&'static str>,
    },
    /// An issuer without `https://`, as in some instructions. No certificate has such an issuer, so the
    /// policy accepts nobody.
    #[error(
        "no certificate has the issuer `{}`, because Fulcio records issuers as URLs; write `{}`",
        printable(.issuer), printable(.expected)
    )]
    IssuerWithoutScheme {
        /// Which signer.
        signer: usize,
        /// Its issuer, or pattern.
        issuer: String,
        /// The same with `https://`.
        expected: String,
    },
    /// An identity pattern that matches any repository. Whoever can create a repository there can sign.
    #[error("the identity pattern `{}` {}", printable(.pattern), open(.pattern))]
    OpenRepository {
        /// Which signer.
        signer: usize,
        /// Its identity pattern.
        pattern: String,
    },
    /// A `.` that matches any character: `githubXcom` matches too.
    #[error(
        "in the pattern `{}`, a `.` matches any character; write `{}`",
        printable(.pattern), printable(.corrected)
    )]
    UnescapedDot {
        /// Which signer.
        signer: usize,
        /// The pattern.
        pattern: String,
        /// The same with a `\\` before each of these dots, and other slips corrected.
        corrected: String,
    },
    /// A backslash that matches a backslash, as where a pattern for double quotes stands in others. No certificate has
    /// one, so the policy accepts nobody.
    #[error(
        "the pattern `{}` asks for a backslash, which no certificate has; outside double quotes, write one backslash \
         for each two: `{}`",
        printable(.pattern), printable(.corrected)
    )]
    DoubledBackslash {
        /// Which signer.
        signer: usize,
        /// The pattern.
        pattern: String,
        /// The pattern that was meant.
        corrected: String,
    },
    /// A `*` as in the names of files, where it stands for any text. In a pattern it repeats what is before it.
    #[error(
        "in the pattern `{}`, `{repeated}*` matches any number of `{repeated}`, and no other text; for any text, \
         write `.*`: `{}`",
        printable(.pattern), printable(.corrected)
    )]
    GlobPattern {
        /// Which signer.
        signer: usize,
        /// The pattern.
        pattern: String,
        /// The character that the first such `*` repeats.
        repeated: char,
        /// The pattern that was meant.
        corrected: String,
    },
    /// A pattern as the value of a key that is compared as a whole. No certificate has it, so the policy accepts nobody.
    #[error(
        "no certificate has the {key} `{}`: `{key}` is compared character by character; for a pattern, write \
         `{key}_regex` with `{}`",
        printable(.value), printable(.corrected)
    )]
    PatternAsText {
        /// Which signer.
        signer: usize,
        /// `issuer`, `identity` or the name of a claim.
        key: &'static str,
        /// The value.
        value: String,
        /// The pattern that was meant.
        corrected: String,
    },
    /// An issuer that is almost a well-known one.
    #[error(
        "the issuer `{}` is no well-known one, but nearly `{meant}`; if you mean that, write it so",
        printable(.issuer)
    )]
    AlmostKnownIssuer {
        /// Which signer.
        signer: usize,
        /// Its issuer.
        issuer: String,
        /// The one that is nearest.
        meant: &'static str,
    },
    /// A character that no issuer and no identity has: a typographic quote, a blank.
    #[error(
        "no certificate has the {key} `{}`: it has the character {character:?}, which may come from copying; \
         remove it",
        printable(.value)
    )]
    StrayCharacter {
        /// Which signer.
        signer: usize,
        /// `issuer` or `identity`.
        key: &'static str,
        /// The value.
        value: String,
        /// The first such character.
        character: char,
    },
    /// An identity that no certificate of this issuer can have.
    #[error(
        "no certificate of the issuer `{}` has the identity `{}`; identities of this issuer look like \
         `{expected}`{}{}",
        printable(.issuer), printable(.identity),
        about_pattern(.identity, *.pattern), of_other_issuer(*.fits)
    )]
    ImpossibleIdentity {
        /// Which signer.
        signer: usize,
        /// Its issuer.
        issuer: String,
        /// Its identity, or pattern.
        identity: String,
        /// Whether it is a pattern.
        pattern: bool,
        /// What an identity looks like.
        expected: &'static str,
        /// The issuer whose identities look like this one.
        fits: Option<&'static str>,
    },
    /// A value of a claim that no certificate of this issuer can have.
    #[error(
        "no certificate of the issuer `{}` has the {claim} `{}`; with this issuer, it is {expected}",
        printable(.issuer), printable(.value)
    )]
    ImpossibleClaim {
        /// Which signer.
        signer: usize,
        /// Its issuer.
        issuer: String,
        /// The claim.
        claim: Claim,
        /// Its value, or a pattern that only one text matches.
        value: String,
        /// What the claim looks like, in words.
        expected: &'static str,
    },
    /// A `not_before` that is not reached yet.
    #[error(
        "`not_before` is {not_before}, which is in the future: every signature that exists today is refused"
    )]
    FutureNotBefore {
        /// The time.
        not_before: Timestamp,
    },
    /// No `not_before`: signatures of any age are accepted.
    #[error(
        "there is no `not_before`, so signatures of any age are accepted; after an incident, set it \
         to the time from which signatures are good again"
    )]
    NoNotBefore,
    /// Digests are denied. One may be an index, and another index can list the same images.
    #[error(
        "if `deny_digests` lists an index, the images in it are denied only while the repository has \
         that index; list these images too: `countersign policy check --resolve` prints them"
    )]
    DeniedIndexes,
    /// Simple signing is accepted, which proves less than a bundle.
    #[error(
        "`signature_formats` accepts `simple_signing`, cosign's legacy form: it has the log's promise \
         to include the signature, and no proof that the log did; leave it out as soon as all images \
         are signed with bundles"
    )]
    SimpleSigning,
    /// Simple signing is accepted and names are bound.
    #[error(
        "signatures in the form `simple_signing` seldom name a tag: for these, `bind_name` binds the \
         repository only, so a signature of one tag is accepted for every other"
    )]
    SimpleSigningTag,
    /// A name by which cosign's flags know a predicate type. No statement has it.
    #[error(
        "no statement has the predicate type `{name}`, because cosign writes the type in full; write `{uri}`"
    )]
    ShortPredicateType {
        /// The name.
        name: &'static str,
        /// The type that cosign writes for it.
        uri: &'static str,
    },
    /// A rule on a predicate that a text can meet, and no number.
    #[error(
        "the rule on the predicate's `{}` is met by the text `{}` alone: a number with a fraction or an exponent, or a \
         very large one, is always refused; nothing is wrong if a text is meant",
        printable(.pointer), printable(.value)
    )]
    PredicateFraction {
        /// Where the field is.
        pointer: String,
        /// What it is compared with.
        value: String,
    },
    /// The time of a key's signature can be proven anew.
    #[error(
        "a key's signature has no certificate that bounds its time: whoever has an old signature can have \
         it logged or stamped again, and it then passes `not_before` and counts as new; to withdraw what a \
         key has signed, use a new key or `deny_digests`"
    )]
    KeyTimes {
        /// Which signer.
        signer: usize,
    },
    /// Log entries and timestamps of a key's signatures are not read.
    #[error(
        "`ignore_tlog`: nothing proves when the key signed, and no log shows what it has signed; \
         {} are not possible, an older image is not recognised as older, and if \
         the key is stolen nobody will see what is signed with it",
        TIME_CONDITIONS.map(|key| format!("`{key}`")).join(" and ")
    )]
    IgnoredLog {
        /// Which signer.
        signer: usize,
    },
    /// The signer looks like a reusable workflow, and no claim limits who may call it.
    #[error(
        "the identity `{}` looks like a reusable workflow, which can sign for every repository \
         that calls it; name the repository in `claims`: `source_repository_uri`, or better \
         `source_repository_identifier`",
        printable(.identity)
    )]
    AnyCaller {
        /// Which signer.
        signer: usize,
        /// Its identity, or pattern.
        identity: String,
    },
}

/// What a pattern leaves open. One without a slash is of no repository: it may be meant for addresses.
fn open(pattern: &str) -> &'static str {
    if pattern.contains('/') {
        "does not fix the repository: every workflow in every repository that it matches can sign; write the owner \
             and the repository in full"
    } else {
        "fixes neither a repository nor the domain of an address: whoever gets an identity that it matches can \
             sign; write the repository or the domain in full"
    }
}

/// Why a pattern matches no identity.
fn about_pattern(identity: &str, is_pattern: bool) -> &'static str {
    match is_pattern {
        true if identity.starts_with('/') => "; leave out the slashes around the pattern",
        true => "; a pattern must match the whole identity",
        false => "",
    }
}

fn of_other_issuer(fits: Option<&str>) -> String {
    fits.map_or_else(String::new, |issuer| {
        format!(
            "; an identity like this is of the issuer `{issuer}`: if you mean that, write it so"
        )
    })
}

impl Policy {
    /// The weak points of this policy at the time `now`, signer by signer.
    pub fn warnings(&self, now: Timestamp) -> Vec<Warning> {
        let Self {
            signers,
            not_before,
            deny_digests,
            bind_name,
            // These only make the policy stricter, or say where to look.
            min_age: _,
            predicate,
            require,
            // Those of `require` are among them.
            predicate_types,
            // Asked by `accepts_format` below.
            signature_formats: _,
            annotations: _,
            trust: _,
            signature_sources: _,
        } = self;
        let mut warnings: Vec<Warning> = signers
            .iter()
            .enumerate()
            .flat_map(|(position, signer)| signer_warnings(position, signer))
            .collect();
        // An entry of `require` has claims of its own beside these.
        for one in require {
            for (position, signer) in one.signers.iter().enumerate() {
                let mut found = claim_warnings(position, signer);
                found.retain(|warning| !warnings.contains(warning));
                warnings.extend(found);
            }
        }
        let own = signers.iter().map(AcceptedSigner::not_before);
        let in_future = own
            .chain([*not_before])
            .flatten()
            .filter(|time| *time > now);
        warnings.extend(in_future.map(|not_before| Warning::FutureNotBefore { not_before }));
        // With `ignore_tlog` there is no time that a bound could be held against.
        let unbounded = |signer: &AcceptedSigner| {
            signer.not_before().is_none()
                && signer.key().is_none_or(|key| key.log == LogUse::Demanded)
        };
        if not_before.is_none() && signers.iter().any(unbounded) {
            warnings.push(Warning::NoNotBefore);
        }
        warnings.extend(predicate_types.iter().filter_map(|name| short_type(name)));
        let of_proofs = require.iter().flat_map(|one| &one.predicate);
        warnings.extend(predicate.iter().chain(of_proofs).filter_map(fraction));
        if self.accepts_format(SignatureFormat::SimpleSigning) {
            // With `ignore_tlog` nothing of the log is read in either form, so this one is no weaker.
            if self.needs_trusted_root() {
                warnings.push(Warning::SimpleSigning);
            }
            if *bind_name {
                warnings.push(Warning::SimpleSigningTag);
            }
        }
        if !deny_digests.is_empty() {
            warnings.push(Warning::DeniedIndexes);
        }
        warnings
    }
}
