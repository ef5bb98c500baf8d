//! Makes text of others safe to print: from registries, certificates, statements, galleries and
//! archives. All such text goes through here before a person reads it.
//!
//! Characters that are invisible, or that change how other text is shown, are written as `\u{…}`.
//! So a text can't hide characters, move the cursor, set colours, start a new line or change the
//! order of letters.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The most characters that [`printable`] keeps. Real identities and messages are much shorter.
const PRINTABLE_MAX: usize = 4096;

/// The most characters that [`excerpt`] keeps.
const EXCERPT_MAX: usize = 200;

/// Escapes every character of `text` that is invisible or that changes how other text is shown. At
/// most 4,096 characters are kept, then an ellipsis follows.
///
/// It escapes control characters, line and paragraph separators, characters that change the writing
/// direction, zero-width and other invisible characters, all blanks except the space, and
/// private-use and unassigned characters.
///
/// ```
/// use countersign_oci::printable;
///
/// assert_eq!(printable("naïve\u{202e}gpj.exe\n"), r"naïve\u{202e}gpj.exe\u{a}");
/// ```
pub fn printable(text: &str) -> String {
    escape(text, PRINTABLE_MAX)
}

/// The start of `text`, escaped like by [`printable`]: at most 200 characters, then an ellipsis.
/// Blanks at both ends are dropped. Each line break or tab becomes a space, so that a web page in
/// place of a value can be recognised.
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

/// As [`excerpt`], but nothing is dropped, and line breaks are escaped too.
pub(crate) fn printable_start(text: &str) -> String {
    escape(text, EXCERPT_MAX)
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

/// Whether `c` is visible and doesn't change how other text is shown.
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
        // Other categories: variation selectors, Hangul fillers, the grapheme joiner. The Braille
        // pattern without dots is the only blank that Unicode doesn't count here.
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
