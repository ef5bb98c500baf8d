//! The last wall before a terminal: whatever others wrote, nothing that is printed moves the cursor,
//! sets colours, or shows letters in another order than they stand.

use std::path::Path;

use countersign_oci::printable;

/// Characters that are handed on at once; [`printable`] cuts what is longer than 4,096.
const PIECE: usize = 1024;

/// `text` with its line breaks, and with everything else escaped that can't be seen or changes how
/// the text around it is shown. Nothing is cut.
pub(crate) fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            shown.push('\n');
        }
        if line.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            shown.push_str(line);
            continue;
        }
        let characters: Vec<char> = line.chars().collect();
        for piece in characters.chunks(PIECE) {
            shown.push_str(&printable(&piece.iter().collect::<String>()));
        }
    }
    shown
}

/// A JSON document with the same characters escaped as JSON does it: the value stays the same.
pub(crate) fn json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        // A line break stands between tokens alone: in a text JSON escapes it.
        let plain = c == '\n' || matches!(c, ' '..='~') || {
            let text = c.to_string();
            printable(&text) == text
        };
        if plain {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
}

/// A path as a word of a shell: quoted, if it has to be.
pub(crate) fn word(path: &Path) -> String {
    let shown = self::path(path);
    shlex::try_quote(&shown).map_or_else(|_| shown.clone(), std::borrow::Cow::into_owned)
}

/// An option of a command that is advised, with the blank before it; nothing if it was not given.
pub(crate) fn option(name: &str, path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" {name} {}", word(path)))
}

/// A path in one line. Bytes that are not UTF-8 become U+FFFD each.
pub(crate) fn path(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_lines_and_nothing_else_acts() {
        assert_eq!(
            lines("a\u{1b}[2J\r\n  b\u{202e}c\u{200b}\n"),
            "a\\u{1b}[2J\\u{d}\n  b\\u{202e}c\\u{200b}\n"
        );
        assert_eq!(lines("naïve 日本語 🦀\n"), "naïve 日本語 🦀\n");
    }

    #[test]
    fn long_lines_are_not_cut() {
        let long = format!("{}\u{1b}", "é".repeat(10_000));
        assert_eq!(lines(&long), format!("{}\\u{{1b}}", "é".repeat(10_000)));
    }

    #[test]
    fn json_has_the_same_value_afterwards() {
        let value = serde_json::json!({ "a\u{202e}": "\u{1b}\u{7f}\u{9b}\u{200b}\u{e0041}é🦀\n" });
        let shown = json(&format!("{value:#}"));
        assert!(
            shown.contains("\\u202e") && shown.contains("\\udb40\\udc41"),
            "{shown}"
        );
        assert!(!shown.contains(['\u{7f}', '\u{9b}', '\u{200b}', '\u{202e}']));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn a_path_is_one_line() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let name = Path::new(OsStr::from_bytes(b"/srv/\xff\n\x1b[31m"));
        assert_eq!(path(name), "/srv/\u{fffd}\\u{a}\\u{1b}[31m");
    }
}
