//! What the text of a pattern shows: dots that match any character, and a repository that is left open.

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
