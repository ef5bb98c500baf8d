//! Text that others wrote, made safe to print: registries, certificates, statements, galleries and
//! archives. Whatever of theirs a person reads on a terminal or in a log goes through here.
//!
//! A character that can't be seen, or that changes how the text around it is shown, is written as
//! `\u{…}`. So two texts that look alike are alike, and nothing can move the cursor, set colours,
//! start a line of its own, or show its letters in another order than they stand.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters kept by [`printable`]. No honest identity or message comes near it.
const PRINTABLE_MAX: usize = 4096;

/// Characters kept by [`excerpt`].
const EXCERPT_MAX: usize = 200;

/// `text` with every character escaped that can't be seen or that changes how others are shown: at
/// most 4,096 characters of it, then an ellipsis.
///
/// Escaped are control characters, line and paragraph separators, bidirectional overrides and
/// isolates, zero-width and other invisible characters, all blanks but the space, private-use and
/// unassigned characters.
///
/// ```
/// use countersign_oci::printable;
///
/// assert_eq!(printable("naïve\u{202e}gpj.exe\n"), r"naïve\u{202e}gpj.exe\u{a}");
/// ```
pub fn printable(text: &str) -> String {
    escape(text, PRINTABLE_MAX)
}

/// The beginning of `text`, as [`printable`] writes it: at most 200 characters of it, then an
/// ellipsis. Blanks at both ends are dropped, and each line break or tab becomes a space, so that a
/// page in place of a value can be recognised.
pub fn excerpt(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .take(EXCERPT_MAX + 1)
        .map(|c| {
            if matches!(c, '\n' | '\r' | '\t') {
                ' '
            } else {
                c
            }
        })
        .collect();
    escape(&line, EXCERPT_MAX)
}

fn escape(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut characters = text.chars();
    for c in characters.by_ref().take(max) {
        if is_visible(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a reader sees that `c` is there, and it changes nothing of what is around it.
fn is_visible(c: char) -> bool {
    use GeneralCategory as Category;
    if (' '..='~').contains(&c) {
        return true;
    }
    match CodePointMapData::<Category>::new().get(c) {
        // Format: overrides and isolates of the direction, zero-width characters, tags.
        Category::Control
        | Category::Format
        | Category::LineSeparator
        | Category::ParagraphSeparator
        | Category::SpaceSeparator
        | Category::PrivateUse
        | Category::Surrogate
        | Category::Unassigned => false,
        // Of other categories: variation selectors, fillers of Hangul, the joiner of graphemes. A
        // Braille pattern without dots is the one blank that Unicode doesn't count among these.
        _ => c != '\u{2800}' && !CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_whatever_kind_it_is_of() {
        for (text, expected) in [
            ("a\u{1b}[31mb\u{7f}\u{9b}", r"a\u{1b}[31mb\u{7f}\u{9b}"),
            ("a\r\n\tb\u{85}", r"a\u{d}\u{a}\u{9}b\u{85}"),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            // Overrides and isolates of the direction, and its marks.
            (
                "\u{202a}\u{202e}\u{2066}\u{2069}",
                r"\u{202a}\u{202e}\u{2066}\u{2069}",
            ),
            ("\u{200e}\u{200f}\u{61c}", r"\u{200e}\u{200f}\u{61c}"),
            // Of no width.
            (
                "a\u{200b}\u{200d}\u{2060}\u{feff}b",
                r"a\u{200b}\u{200d}\u{2060}\u{feff}b",
            ),
            (
                "\u{ad}\u{34f}\u{180e}\u{fe0f}",
                r"\u{ad}\u{34f}\u{180e}\u{fe0f}",
            ),
            (
                "\u{115f}\u{3164}\u{ffa0}\u{2800}",
                r"\u{115f}\u{3164}\u{ffa0}\u{2800}",
            ),
            // Tags, and variation selectors of the supplement.
            ("\u{e0041}\u{e0100}", r"\u{e0041}\u{e0100}"),
            // Blanks that look like a space, or like none.
            ("a\u{a0}\u{2009}\u{3000}b", r"a\u{a0}\u{2009}\u{3000}b"),
            // What no font is agreed on.
            ("\u{e000}\u{fffff}\u{378}", r"\u{e000}\u{fffff}\u{378}"),
        ] {
            assert_eq!(printable(text), expected);
            assert!(printable(text).chars().all(is_visible));
        }
    }

    #[test]
    fn what_can_be_read_stays() {
        for text in [
            "https://github.com/o/r/.github/workflows/w.yaml@refs/heads/main",
            r#"a \ "b" `c` ~"#,
            "naïve e\u{301} Ελλάδα Україна 日本語 한국어 हिन्दी עברית العربية 🦀",
        ] {
            assert_eq!(printable(text), text);
            assert_eq!(excerpt(text), text);
        }
    }

    #[test]
    fn an_excerpt_is_one_line() {
        assert_eq!(
            excerpt(" a\r\n\tb\u{1b}[31m\u{202e}c\n"),
            r"a   b\u{1b}[31m\u{202e}c"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        for (shown, max) in [
            (printable(&"é".repeat(PRINTABLE_MAX)), PRINTABLE_MAX),
            (excerpt(&"é".repeat(EXCERPT_MAX)), EXCERPT_MAX),
        ] {
            assert_eq!(shown, "é".repeat(max));
        }
        let page = "é".repeat(1_000_000);
        assert_eq!(printable(&page), "é".repeat(PRINTABLE_MAX) + "…");
        assert_eq!(excerpt(&page), "é".repeat(EXCERPT_MAX) + "…");
    }
}
