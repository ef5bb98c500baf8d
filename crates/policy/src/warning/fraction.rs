//! Rules on a predicate that no number meets.

use super::Warning;
use crate::matcher::Matcher;
use crate::predicate::PredicateRule;

/// The note on a rule whose value is a number with a fraction or an exponent: only a text has it.
pub(super) fn fraction(rule: &PredicateRule) -> Option<Warning> {
    let Matcher::Exact(value) = &rule.matcher else {
        return None;
    };
    let number: serde_json::Number = serde_json::from_str(value).ok()?;
    number.is_f64().then(|| Warning::PredicateFraction {
        pointer: rule.pointer.as_str().to_owned(),
        value: value.clone(),
    })
}
