//! A text in which `*` stands for any characters.

use std::fmt;

/// A text in which `*` stands for any characters, or none. It is held against a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What stands between the stars; at least one.
    parts: Vec<String>,
}

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            parts: text.split('*').map(str::to_owned).collect(),
        }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else {
            return false;
        };
        let Some((last, between)) = rest.split_last() else {
            return text == first;
        };
        let Some(mut left) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in between {
            // The first place is as good as any: what follows may only be further on.
            let Some((_, after)) = left.split_once(part.as_str()) else {
                return false;
            };
            left = after;
        }
        left.ends_with(last.as_str())
    }
}

impl Glob {
    /// Whether some text may match both. It says yes where it can't tell.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        let begins = |one: &Self, other: &Self| {
            let (one, other) = (one.parts.first(), other.parts.first());
            one.zip(other)
                .is_none_or(|(one, other)| one.starts_with(other.as_str()))
        };
        let ends = |one: &Self, other: &Self| {
            let (one, other) = (one.parts.last(), other.parts.last());
            one.zip(other)
                .is_none_or(|(one, other)| one.ends_with(other.as_str()))
        };
        match (self.parts.as_slice(), other.parts.as_slice()) {
            ([text], _) => other.matches(text),
            (_, [text]) => self.matches(text),
            _ => {
                (begins(self, other) || begins(other, self))
                    && (ends(self, other) || ends(other, self))
            }
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("*"))
    }
}
