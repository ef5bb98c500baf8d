//! Reads and writes YAML. JSON is YAML too. Every error has its line and column.
//!
//! Aliases and merge keys are applied. A duplicate key, a second document and an unknown tag are errors.
//! [`Bounds`] limits the time and the memory that any text can take.

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{DeserializeError, Location, MessageFormatter as _, UserMessageFormatter};

use crate::error::{Place, PolicyError, Position, Problem};
use crate::nearest::meant;

/// The limits for reading one text.
pub(crate) struct Bounds {
    /// The most bytes of text.
    pub(crate) bytes: usize,
    /// The most parser events: scalars, starts and ends. What an alias repeats counts again.
    pub(crate) events: usize,
}

impl Bounds {
    /// For a file that a person writes.
    pub(crate) const POLICY: Self = Self {
        bytes: 1 << 20,
        events: 100_000,
    };
    /// For an index of thousands of images. LocalAI's index has 1,033 entries in 289 kB. These are 56,000 events
    /// when its merge keys are applied.
    pub(crate) const INDEX: Self = Self {
        bytes: 32 << 20,
        events: 500_000,
    };
}

/// The most levels of lists and mappings. Our files have 6.
const DEPTH_MAX: usize = 32;
/// The most aliases for each anchor, on average. LocalAI's index has 13.
const ALIASES_PER_ANCHOR: usize = 200;

/// Reads one document.
///
/// # Errors
///
/// A [`PolicyError`] with the file and the position. It has no path of keys, because the parser knows none.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    file_name: &str,
    bounds: &Bounds,
) -> Result<T, PolicyError> {
    read(text, file_name, bounds, |options| {
        serde_saphyr::from_str_with_options(text, options)
    })
}

/// As [`parse`], with a seed that says what each part is read as.
pub(crate) fn parse_seeded<T>(
    seed: impl for<'de> DeserializeSeed<'de, Value = T>,
    text: &str,
    file_name: &str,
    bounds: &Bounds,
) -> Result<T, PolicyError> {
    read(text, file_name, bounds, |options| {
        serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
            seed.deserialize(deserializer)
        })
    })
}

fn read<T>(
    text: &str,
    file_name: &str,
    bounds: &Bounds,
    read: impl FnOnce(serde_saphyr::Options) -> Result<T, DeserializeError>,
) -> Result<T, PolicyError> {
    let place = |position| Place {
        file: Some(file_name.to_owned()),
        position,
        ..Place::default()
    };
    if text.len() > bounds.bytes {
        let reason = format!(
            "expected at most {} bytes, found {}",
            bounds.bytes,
            text.len()
        );
        return Err(PolicyError::new(place(None), Problem::Budget { reason }));
    }
    read(options(bounds)).map_err(|error| {
        let position = error.location().as_ref().map(position);
        PolicyError::new(place(position), problem(error.without_snippet()))
    })
}

/// Writes a document. A long text is not folded to several lines, so that it can be searched and compared.
pub(crate) fn write(document: &impl serde::Serialize) -> Result<String, serde_saphyr::ser::Error> {
    let options =
        serde_saphyr::ser_options! { min_fold_chars: usize::MAX, folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(document, options)
}

pub(crate) fn position(location: &Location) -> Position {
    Position {
        line: location.line(),
        column: location.column(),
    }
}

fn options(bounds: &Bounds) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_events: bounds.events,
            max_nodes: bounds.events,
            max_aliases: bounds.events / 10,
            max_merge_keys: bounds.events / 10,
            max_recorded_anchor_events: bounds.events,
            max_total_scalar_bytes: bounds.bytes * 2,
            max_total_comment_bytes: bounds.bytes,
            alias_anchor_ratio_multiplier: ALIASES_PER_ANCHOR,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: bounds.events,
            max_replay_stack_depth: DEPTH_MAX,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        emit_comments: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

fn problem(error: &DeserializeError) -> Problem {
    use DeserializeError as E;
    let form = |expected: &str| Problem::Form {
        expected: expected.to_owned(),
        found: None,
    };
    match error {
        E::AliasError { error, .. } => problem(error),
        E::Unexpected { expected, .. } => form(in_words(expected)),
        E::SerdeInvalidType {
            unexpected,
            expected,
            ..
        }
        | E::SerdeInvalidValue {
            unexpected,
            expected,
            ..
        } => Problem::Form {
            expected: expected.clone(),
            found: Some(unexpected.clone()),
        },
        E::InvalidBooleanStrict { .. } => form("`true` or `false`"),
        E::InvalidScalar { ty, .. } => form(in_words(ty)),
        E::NullIntoString { .. } => Problem::Empty { expected: "a text" },
        E::SerdeInvalidLength { .. } => Problem::Empty {
            expected: "at least one entry",
        },
        E::SerdeMissingField { field, .. } => Problem::MissingKey { key: field },
        E::SerdeUnknownField {
            field, expected, ..
        } => Problem::UnknownKey {
            found: field.clone(),
            nearest: meant(field, expected.iter().copied()),
            valid: expected.iter().map(|&key| key.to_owned()).collect(),
        },
        E::DuplicateMappingKey { key, .. } => Problem::DuplicateKey {
            key: key.clone().unwrap_or_default(),
        },
        E::Budget { .. }
        | E::AliasReplayCounterOverflow { .. }
        | E::AliasReplayLimitExceeded { .. }
        | E::AliasExpansionLimitExceeded { .. }
        | E::AliasReplayStackDepthExceeded { .. } => Problem::Budget {
            reason: reason(error),
        },
        _ => Problem::Syntax {
            reason: reason(error),
        },
    }
}

/// In common words what the parser expects.
fn in_words(expected: &str) -> &str {
    match expected {
        "string scalar" => "a text",
        "sequence start" => "a list",
        "mapping start" => "a mapping",
        "bool" => "`true` or `false`",
        other => other,
    }
}

/// The parser's message without its position: the error has it already.
fn reason(error: &DeserializeError) -> String {
    match error {
        DeserializeError::Budget { breach, .. } => over_budget(breach),
        error => UserMessageFormatter.format_message(error).into_owned(),
    }
}

fn over_budget(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Depth { depth } => {
            format!("lists and mappings have {depth} levels, and at most {DEPTH_MAX} are allowed")
        }
        BudgetBreach::AliasAnchorRatio { aliases, anchors } => {
            format!("it repeats {anchors} anchors by {aliases} aliases, which is too often")
        }
        BudgetBreach::ScalarBytes { .. }
        | BudgetBreach::CommentBytes { .. }
        | BudgetBreach::InputBytes { .. } => "it has too much text".to_owned(),
        BudgetBreach::Documents { .. } => "it has more than one document".to_owned(),
        BudgetBreach::Events { .. }
        | BudgetBreach::Aliases { .. }
        | BudgetBreach::Anchors { .. }
        | BudgetBreach::Nodes { .. }
        | BudgetBreach::MergeKeys { .. }
        | BudgetBreach::RecordedAnchorEvents { .. } => {
            "it has too many values when its aliases are followed".to_owned()
        }
        // Neither an include nor an end without its start can be in our files.
        _ => "its structure is too large".to_owned(),
    }
}
