//! The names of the fields of a policy, in lists that do not compile while one is left out.

use countersign_policy::{PolicySpec, SignerSpec};

/// The names of all fields of a type. It does not compile while one is left out.
///
/// "Pattern requires `..`": a field is missing in the list below. Add it there, and its case in `fields.rs`. Don't follow
/// the compiler's advice to write `..`, which would end this check.
macro_rules! fields {
    ($of:ident { $($field:ident),* $(,)? }) => {{
        let $of { $($field: _),* } = $of::default();
        vec![$(stringify!($field)),*]
    }};
}

/// The fields of a `verification` block. `Signed::case` in `fields.rs` says for each what it refuses.
pub(crate) fn fields_of_a_policy() -> Vec<&'static str> {
    fields!(PolicySpec {
        issuer,
        issuer_regex,
        identity,
        identity_regex,
        key,
        ignore_tlog,
        not_before,
        min_age,
        identities,
        claims,
        predicate_types,
        predicate,
        require,
        signature_formats,
        annotations,
        bind_name,
        trust,
        signature_sources,
        deny_digests,
    })
}

/// The fields of one of the `identities`.
pub(crate) fn fields_of_a_signer() -> Vec<&'static str> {
    fields!(SignerSpec {
        issuer,
        issuer_regex,
        identity,
        identity_regex,
        key,
        ignore_tlog,
        not_before,
        claims,
    })
}
