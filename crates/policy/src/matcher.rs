//! Texts and patterns that a value must match.
//!
//! A pattern must match the whole value. It is compiled between `\A` and `\z`; alternation, flags and
//! parentheses in the pattern can't remove these. Compiling has limits. The time of matching is linear in the
//! value's length (the `regex` crate guarantees this).

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The longest accepted pattern, in bytes.
const PATTERN_MAX: usize = 4096;
/// Largest compiled pattern, in bytes.
const COMPILED_MAX: usize = 1 << 20;
/// Largest cache of the lazy automaton, in bytes.
const CACHE_MAX: usize = 2 << 20;
/// Deepest nesting of groups and repetitions.
const NESTING_MAX: u32 = 64;

/// What one value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// The claim equals this text, byte by byte.
    Exact(String),
    /// The whole claim matches this pattern.
    Regex(WholeRegex),
}

impl Matcher {
    /// Whether `value` satisfies this.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(expected) => expected == value,
            Self::Regex(pattern) => pattern.is_match(value),
        }
    }

    /// The text or the pattern, as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Regex(pattern) => pattern.as_str(),
        }
    }

    /// How close `value` is, if it does not match: larger is closer. It only decides which of several
    /// signers is shown.
    pub(crate) fn nearness(&self, value: &str) -> usize {
        match self {
            Self::Exact(expected) => common_prefix(expected, value),
            Self::Regex(pattern) => pattern.part_matched(value).map_or(0, str::len),
        }
    }
}

/// `` `text` `` or ``a match of `pattern` ``.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => write!(f, "`{text}`"),
            Self::Regex(pattern) => write!(f, "a match of `{pattern}`"),
        }
    }
}

/// A regular expression (syntax of the [`regex`] crate, close to RE2's) that matches whole values
/// only. To match a prefix, end the pattern in `.*`.
#[derive(Clone)]
pub struct WholeRegex {
    pattern: String,
    whole: Regex,
}

impl WholeRegex {
    /// Compiles `pattern`, with limits on its length, nesting and compiled size.
    ///
    /// # Errors
    ///
    /// [`RegexError`] if it is not a pattern, or exceeds a limit.
    pub fn new(pattern: &str) -> Result<Self, RegexError> {
        if pattern.len() > PATTERN_MAX {
            return Err(RegexError::TooLong {
                bytes: pattern.len(),
            });
        }
        // First without our parentheses: `a)|(?:b` is not a pattern. Inside our parentheses it would be
        // one, and its halves would not be anchored.
        compile(pattern)?;
        // A pattern in verbose mode may end in a comment, and our parenthesis would be part of it. A line
        // break ends the comment. This form is tried only if the first one is not a pattern.
        let whole = compile(&format!(r"\A(?:{pattern})\z"))
            .or_else(|_| compile(&format!("\\A(?:{pattern}\n)\\z")))?;
        Ok(Self {
            pattern: pattern.to_owned(),
            whole,
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn is_match(&self, value: &str) -> bool {
        self.whole.is_match(value)
    }

    /// The first part of `value` that the pattern matches without anchors.
    pub(crate) fn part_matched<'v>(&self, value: &'v str) -> Option<&'v str> {
        // Compiled here because only the message of a refusal needs it.
        let part = compile(&self.pattern).ok()?.find(value)?.as_str();
        (!part.is_empty()).then_some(part)
    }
}

impl PartialEq for WholeRegex {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for WholeRegex {}

impl fmt::Display for WholeRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

impl fmt::Debug for WholeRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.pattern, f)
    }
}

/// Why a text can't be used as a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegexError {
    /// The pattern is too long.
    #[error("expected at most {PATTERN_MAX} bytes, found {bytes}")]
    TooLong {
        /// Length of the pattern, in bytes.
        bytes: usize,
    },
    /// Not a regular expression.
    #[error("{reason}")]
    Syntax {
        /// What is wrong, in one line.
        reason: String,
    },
    /// The compiled pattern is too large, for example with nested counted repetitions.
    #[error("it compiles to more than {COMPILED_MAX} bytes; use fewer or smaller repetitions")]
    TooLarge,
}

fn compile(pattern: &str) -> Result<Regex, RegexError> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_MAX)
        .dfa_size_limit(CACHE_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RegexError::TooLarge,
            other => RegexError::Syntax {
                reason: last_line(&other.to_string()),
            },
        })
}

/// The message of the `regex` crate has several lines with the pattern and a marker. The last line is the
/// reason.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Length, in bytes, of the longest common prefix of whole characters.
pub(crate) fn common_prefix(a: &str, b: &str) -> usize {
    a.chars()
        .zip(b.chars())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pattern: &str) -> WholeRegex {
        WholeRegex::new(pattern).unwrap()
    }

    #[test]
    fn a_pattern_matches_whole_values_only() {
        let pattern = whole("https://github\\.com/acme/app");
        assert!(pattern.is_match("https://github.com/acme/app"));
        assert!(!pattern.is_match("https://github.com/acme/app-evil"));
        assert!(!pattern.is_match("xhttps://github.com/acme/app"));
    }

    #[test]
    fn alternation_does_not_escape_the_anchors() {
        let pattern = whole("a|b");
        assert!(pattern.is_match("a") && pattern.is_match("b"));
        assert!(!pattern.is_match("a-evil"));
        assert!(!pattern.is_match("evil-b"));
    }

    #[test]
    fn an_alternative_that_is_a_prefix_of_another_still_matches_the_longer_value() {
        assert!(whole("a|ab").is_match("ab"));
    }

    #[test]
    fn parentheses_that_close_ours_are_refused() {
        let error = WholeRegex::new("a)|(?:b").unwrap_err();
        assert!(matches!(error, RegexError::Syntax { .. }));
    }

    #[test]
    fn multi_line_mode_does_not_let_one_line_stand_for_the_value() {
        for pattern in ["(?m)^good$", "(?m:^good$)", "^good$"] {
            let pattern = whole(pattern);
            assert!(pattern.is_match("good"));
            assert!(!pattern.is_match("evil\ngood"));
            assert!(!pattern.is_match("good\nevil"));
            assert!(!pattern.is_match("good\n"));
        }
    }

    #[test]
    fn a_verbose_pattern_may_end_in_a_comment() {
        let pattern = whole("(?x) go od # the only one");
        assert!(pattern.is_match("good"));
        assert!(!pattern.is_match("good\n"));
        assert!(!pattern.is_match("good-evil"));
    }

    #[test]
    fn an_empty_alternative_matches_the_empty_value_only() {
        let pattern = whole("|a");
        assert!(pattern.is_match(""));
        assert!(!pattern.is_match("b"));
    }

    #[test]
    fn oversized_patterns_are_refused() {
        assert_eq!(
            WholeRegex::new("((a{100}){100}){100}").unwrap_err(),
            RegexError::TooLarge
        );
        assert_eq!(
            WholeRegex::new(&"a".repeat(PATTERN_MAX + 1)).unwrap_err(),
            RegexError::TooLong {
                bytes: PATTERN_MAX + 1
            }
        );
        let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        assert!(matches!(
            WholeRegex::new(&deep).unwrap_err(),
            RegexError::Syntax { .. }
        ));
    }

    #[test]
    fn syntax_errors_are_one_line() {
        insta::assert_snapshot!(WholeRegex::new("(a").unwrap_err(), @"unclosed group");
    }
}
