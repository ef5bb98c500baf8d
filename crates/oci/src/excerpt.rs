//! Texts by strangers, made fit for an error: short, in one line, without control characters that
//! a terminal would obey.

/// Characters kept of a text.
const LENGTH_MAX: usize = 200;

/// The start of `text`, with an ellipsis if there is more; control characters become spaces.
pub fn excerpt(text: &str) -> String {
    let mut characters = text.trim().chars();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut start: String = characters.by_ref().take(LENGTH_MAX).map(clean).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_clean_line() {
        assert_eq!(excerpt(" a\n\u{1b}[31mb\n"), "a  [31mb");
    }

    #[test]
    fn an_excerpt_of_a_long_text_is_short() {
        let found = excerpt(&"x".repeat(1_000_000));
        assert_eq!(found.chars().count(), LENGTH_MAX + 1);
        assert!(found.ends_with('…'));
    }
}
