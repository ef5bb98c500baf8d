//! Foreign text in messages: certificates, statements and files are written by others, and what a
//! person reads ends on a terminal.

use std::borrow::Cow;

/// Longest text shown, in characters; no honest identity or message comes near it.
const SHOWN_MAX: usize = 4096;

/// `text` with its control characters escaped, cut after [`SHOWN_MAX`] characters.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len().min(SHOWN_MAX));
    for (position, c) in text.chars().enumerate() {
        if position == SHOWN_MAX {
            printable.push('…');
            break;
        }
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

/// As much of a text as it is recognised by, in characters.
const EXCERPT_MAX: usize = 80;

/// The beginning of `text`: where a list or a mapping belongs, all of a web page may stand.
pub(crate) fn excerpt(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(EXCERPT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_others_kept() {
        assert_eq!(
            printable("naïve\u{1b}[2J\r\n\u{9b}x"),
            "naïve\\u{1b}[2J\\r\\n\\u{9b}x"
        );
    }

    #[test]
    fn endless_text_is_cut() {
        let shown = printable(&"é".repeat(SHOWN_MAX + 1));
        assert_eq!(shown.chars().count(), SHOWN_MAX + 1);
        assert!(shown.ends_with("é…"));
    }

    #[test]
    fn an_excerpt_is_the_beginning_alone() {
        assert_eq!(excerpt("naïve"), "naïve");
        let page = format!("<html>{}", "é".repeat(EXCERPT_MAX));
        assert_eq!(excerpt(&page).chars().count(), EXCERPT_MAX + 1);
    }
}
