//! Reads the `WWW-Authenticate` header (RFC 9110, sections 11.2 to 11.6), and accepts more than the
//! grammar allows.
//!
//! Registries send URLs without quotes, so an unquoted value may have any characters except spaces
//! and commas. The `http-auth` crate allows only one space after a scheme, doesn't know token68,
//! and rejects the whole header if it can't read one challenge.

/// One challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HeaderChallenge<'a> {
    pub(super) scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl HeaderChallenge<'_> {
    /// The first parameter with this name. Upper and lower case are the same.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self.parameters.iter();
        let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The challenges in a header's value. Headers have at most some kilobytes. `None` if the value has
/// another form.
pub(super) fn challenges(value: &str) -> Option<Vec<HeaderChallenge<'_>>> {
    let mut rest = skip(value, &[' ', '\t', ',']);
    let mut challenges = Vec::new();
    while !rest.is_empty() {
        let scheme;
        (scheme, rest) = token(rest)?;
        if !rest.is_empty() && !rest.starts_with([' ', '\t', ',']) {
            return None;
        }
        let mut challenge = HeaderChallenge {
            scheme,
            parameters: Vec::new(),
        };
        rest = skip(rest, BLANKS);
        if let Some(behind) = token68(rest) {
            rest = behind;
        }
        // The next text starts another challenge, unless it is a name with a value.
        while let Some((name, behind)) = name(skip(rest, &[' ', '\t', ','])) {
            let value;
            (value, rest) = parameter_value(behind)?;
            challenge.parameters.push((name, value));
        }
        challenges.push(challenge);
        rest = skip(rest, &[' ', '\t', ',']);
    }
    Some(challenges)
}

const BLANKS: &[char] = &[' ', '\t'];

fn skip<'a>(text: &'a str, these: &[char]) -> &'a str {
    text.trim_start_matches(these)
}

/// A token, and the text after it (RFC 9110, section 5.6.2).
fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)));
    let (token, behind) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, behind))
}

/// The text after a token68. A token68 has no name, and may end with equals signs.
fn token68(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c)));
    let (head, behind) = text.split_at(end.unwrap_or(text.len()));
    let behind = behind.trim_start_matches('=');
    let alone = behind.is_empty() || skip(behind, BLANKS).starts_with(',');
    (!head.is_empty() && alone).then_some(behind)
}

/// The name of a parameter, and the text after its equals sign.
fn name(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = token(text)?;
    let value = skip(behind, BLANKS).strip_prefix('=')?;
    Some((name, skip(value, BLANKS)))
}

/// A value without its quotes, and the text after it.
fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, behind) = text.split_at(end);
        return (!value.contains('"')).then(|| (value.to_owned(), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each challenge as `scheme` or `scheme(name:value;name:value)`.
    fn read(value: &str) -> Option<Vec<String>> {
        let shown = |challenge: HeaderChallenge| {
            let parameters = challenge.parameters.iter();
            let parameters: Vec<String> = parameters.map(|(n, v)| format!("{n}:{v}")).collect();
            format!("{}({})", challenge.scheme, parameters.join(";"))
        };
        Some(challenges(value)?.into_iter().map(shown).collect())
    }

    #[test]
    fn challenges_are_told_from_their_parameters() {
        for (value, expected) in [
            ("", vec![]),
            (" ,, ", vec![]),
            ("Basic", vec!["Basic()"]),
            ("Basic,", vec!["Basic()"]),
            ("A, B", vec!["A()", "B()"]),
            ("A b=c", vec!["A(b:c)"]),
            ("A  b = c ,\t d=\"e\"", vec!["A(b:c;d:e)"]),
            ("A b=c, D, E f=g", vec!["A(b:c)", "D()", "E(f:g)"]),
            ("A b=\"c, D e=\\\"f\\\\\"", vec!["A(b:c, D e=\"f\\)"]),
            ("A b=\"c\" d=\"e\"", vec!["A(b:c;d:e)"]),
            ("A b=\"\", c=", vec!["A(b:;c:)"]),
            ("A dG9rZW4=, B c=d", vec!["A()", "B(c:d)"]),
            ("A dG9rZW4==", vec!["A()"]),
            ("A https, B", vec!["A()", "B()"]),
            (
                "A r=https://h:1/t?a=b&c, s=x",
                vec!["A(r:https://h:1/t?a=b&c;s:x)"],
            ),
        ] {
            let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(read(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_challenge_is_refused() {
        for value in [
            "=",
            "A=b",
            "\"A\"",
            "A b=\"c",
            "A b=\"c\\",
            "A b=c\"d\"",
            "A b=c d/e",
            "é",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }

    #[test]
    fn names_have_no_case() {
        let read = challenges("A Realm=x, REALM=y").unwrap();
        assert_eq!(read[0].parameter("realm"), Some("x"));
        assert_eq!(read[0].parameter("service"), None);
    }
}
