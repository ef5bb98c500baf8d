//! `--annotation KEY=VALUE`, which may be given several times.
//!
//! A key that is given twice is refused, and never dropped.

use std::collections::BTreeMap;

use crate::failure::{Failure, Kind};

/// The pairs of a repeated `--annotation`. A key given twice would silently drop a condition.
pub(crate) fn annotations(pairs: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut annotations = BTreeMap::new();
    for (key, value) in pairs {
        if let Some(other) = annotations.insert(key.clone(), value.clone()) {
            let message =
                format!("the annotation `{key}` is given twice, as `{other}` and as `{value}`");
            return Err(Failure::new(Kind::Usage, message).hint("give each key once"));
        }
    }
    Ok(annotations)
}

/// `KEY=VALUE`, split at the first equals sign.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => {
            Ok((key.into(), value.into()))
        }
        Some(_) | None => Err(format!("expected KEY=VALUE, found `{text}`")),
    }
}

/// The same, of a signature. `a=b,c=d` is refused: cosign takes it for two.
pub(crate) fn parse_signed_pair(text: &str) -> Result<(String, String), String> {
    let pair = parse_pair(text)?;
    if text.split(',').skip(1).any(|part| part.contains('=')) {
        let each: Vec<String> = text.split(',').map(|part| format!("-a '{part}'")).collect();
        Err(format!(
            "expected one KEY=VALUE, found a comma and another `=`, which cosign takes for several: write {}",
            each.join(" ")
        ))
    } else {
        Ok(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_split_at_the_first_equals_sign() {
        assert_eq!(parse_pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        // No policy can ask for a value that is empty.
        for text in ["a=", "=b", "a"] {
            let refused = format!("expected KEY=VALUE, found `{text}`");
            assert_eq!(parse_pair(text), Err(refused));
        }
    }

    #[test]
    fn several_pairs_in_one_are_refused() {
        let refused = parse_signed_pair("a=b,c=d").unwrap_err();
        assert!(refused.ends_with("write -a 'a=b' -a 'c=d'"), "{refused}");
        // cosign refuses it.
        assert_eq!(parse_signed_pair("a=b,c"), Ok(("a".into(), "b,c".into())));
    }
}
