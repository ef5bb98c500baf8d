//! Foreign text in messages: certificates, statements and files are written by others, and what a
//! person reads ends on a terminal.

/// `text` with its control characters escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}
