//! What the text of a pattern shows: dots that match any character, slips of whoever thinks of other patterns or
//! quotes, and a repository that is left open.

/// The pattern with a `\` before each dot that matches one character of any kind; `None` if there is no such dot.
///
/// A dot with a repetition after it is no slip, and a dot in brackets matches itself.
pub(super) fn with_escaped_dots(pattern: &str) -> Option<String> {
    let mut corrected = String::with_capacity(pattern.len() + 8);
    let mut escaped = false;
    let mut in_brackets = false;
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        let plain = !escaped && !in_brackets;
        let repeated = matches!(characters.peek(), Some('*' | '+' | '?' | '{'));
        match c {
            '.' if plain && !repeated => corrected.push('\\'),
            '[' if plain => in_brackets = true,
            ']' if !escaped => in_brackets = false,
            _ => {}
        }
        corrected.push(c);
        escaped = c == '\\' && !escaped;
    }
    (corrected != pattern).then_some(corrected)
}

/// The pattern with one backslash for each two; `None` if no two stand together.
pub(super) fn with_single_backslashes(pattern: &str) -> Option<String> {
    let mut text = pattern.to_owned();
    // Somebody may have doubled them twice.
    while text.contains(r"\\") {
        text = text.replace(r"\\", r"\");
    }
    (text != pattern).then_some(text)
}

/// The pattern with `.*` for each `*` that repeats a letter, a digit, a `/` or the like, and the first character that
/// is so repeated; `None` if none is.
///
/// Such a `*` is one of a shell: in the texts that are matched, nothing is repeated so.
pub(super) fn with_any_text(pattern: &str) -> Option<(String, char)> {
    let mut corrected = String::with_capacity(pattern.len() + 8);
    let mut first = None;
    let mut before = None;
    let mut escaped = false;
    let mut in_brackets = false;
    // `**` is any text too, in some shells.
    let mut is_any_text = false;
    for c in pattern.chars() {
        if c == '*' && is_any_text {
            continue;
        }
        is_any_text = false;
        match c {
            '[' if !escaped => in_brackets = true,
            ']' if !escaped => in_brackets = false,
            '*' if !escaped && !in_brackets => {
                if let Some(repeated) = before {
                    first = first.or(Some(repeated));
                    corrected.push('.');
                    is_any_text = true;
                }
            }
            _ => {}
        }
        corrected.push(c);
        let literal = c.is_alphanumeric() || "/-_@:".contains(c);
        before = (literal && !escaped && !in_brackets).then_some(c);
        escaped = c == '\\' && !escaped;
    }
    first.map(|first| (corrected, first))
}

/// The pattern that was meant by a text that no certificate has, but a pattern or the name of files may have; `None` of
/// any other text.
///
/// No name of a Git branch or tag has a `*`, a `\` or a `^`, or begins a part with a dot (git-check-ref-format), and
/// no address and URL that a provider writes has one of these.
pub(super) fn meant_pattern(text: &str) -> Option<String> {
    let is_regex = text.contains('\\') || text.contains(".*") || text.contains("/.+");
    if is_regex || text.starts_with('^') {
        let single = with_single_backslashes(text);
        let single = single.as_deref().unwrap_or(text);
        return Some(with_escaped_dots(single).unwrap_or_else(|| single.to_owned()));
    }
    text.contains('*').then(|| {
        let parts: Vec<String> = text
            .split('*')
            .map(|part| regex::escape(part).replace(r"\-", "-"))
            .collect();
        parts.join(".*")
    })
}

/// The one text that a pattern without repetitions, choices and brackets matches; `None` of any other pattern.
pub(super) fn only_match(pattern: &str) -> Option<String> {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('$').unwrap_or(pattern);
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        match c {
            '*' | '+' | '?' | '{' | '}' | '[' | ']' | '(' | ')' | '|' | '^' | '$' => return None,
            // `\d`, `\w`, and the like are classes; before punctuation it means the character itself.
            '\\' => text.push(characters.next().filter(char::is_ascii_punctuation)?),
            _ => text.push(c),
        }
    }
    Some(text)
}

/// Slashes before the part after the repository: `https:`, the empty one, host, owner, repository.
const REPOSITORY_SLASHES: usize = 5;

/// Whether a repetition stands where host, owner and repository have to be named, as far as a
/// pattern's text shows it: in any of its alternatives, behind the fewest slashes that lead there.
pub(super) fn leaves_repository_open(pattern: &str) -> bool {
    let mut group = Group::default();
    let mut around = Vec::new();
    let mut slashes = 0;
    let mut in_brackets = false;
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            _ if escaped => {}
            // A slash in a bracket expression parts nothing.
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            _ if in_brackets => {}
            '/' => slashes += 1,
            '*' | '+' | '{' if slashes < REPOSITORY_SLASHES => return true,
            '(' => {
                around.push(std::mem::replace(&mut group, Group::beginning(slashes)));
            }
            '|' => {
                group.fewest = group.fewest.min(slashes);
                slashes = group.before;
            }
            ')' => {
                slashes = group.fewest.min(slashes);
                group = around.pop().unwrap_or_default();
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    false
}

/// Whether it is a pattern of addresses at one domain, as far as its text shows it.
pub(super) fn fixes_domain(pattern: &str) -> bool {
    let domain = match pattern.rsplit_once('@') {
        Some((name, domain)) if !name.contains(['/', '|']) => domain,
        Some(_) | None => return false,
    };
    !domain.contains('/') && only_match(domain).is_some_and(|domain| domain.contains('.'))
}

/// A group of a pattern, or the pattern as a whole.
struct Group {
    /// Slashes before it.
    before: usize,
    /// The fewest after any of its alternatives so far.
    fewest: usize,
}

impl Group {
    fn beginning(before: usize) -> Self {
        Self {
            before,
            fewest: usize::MAX,
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::beginning(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{only_match, with_escaped_dots};

    #[test]
    fn each_slip_of_a_dot_is_corrected_and_no_other_dot() {
        let corrected = with_escaped_dots;
        assert_eq!(
            corrected("https://github.com/a/b/.github/x.yml@.+").as_deref(),
            Some(r"https://github\.com/a/b/\.github/x\.yml@.+")
        );
        for right in [
            r"a\.b", "a.*b", "a.+", "a.?b", "a.{2}", "[a.b]", r"\[.+\]", r"\\.*",
        ] {
            assert_eq!(corrected(right), None, "{right}");
        }
        assert_eq!(corrected(r"\\.a").as_deref(), Some(r"\\\.a"));
        assert_eq!(corrected(r"\[a.b\]").as_deref(), Some(r"\[a\.b\]"));
    }

    #[test]
    fn a_pattern_that_repeats_nothing_has_one_match() {
        assert_eq!(
            only_match(r"^https://a\.b/c$").as_deref(),
            Some("https://a.b/c")
        );
        for several in ["a.*", "a|b", "(a)", "[ab]", "a?", r"a\d", "a{2}", r"a\"] {
            assert_eq!(only_match(several), None, "{several}");
        }
    }
}
