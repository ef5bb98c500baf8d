//! Text that others wrote, in the markup of a report.

use countersign_oci::printable;

/// Text in a page or in XML: nothing in it begins a tag, ends an attribute, or turns the text around it. What XML 1.0
/// has no way to write is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => shown.push(' '),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebody_else_is_no_markup_and_turns_nothing_around() {
        let shown = escaped("a\"'><x/>&\u{1b}\u{fffe}\u{202e}\u{2066}b");
        assert!(
            shown.starts_with("a&quot;&#39;&gt;&lt;x/&gt;&amp;"),
            "{shown}"
        );
        assert!(shown.is_ascii() && shown.ends_with('b'), "{shown}");
    }
}
