//! An error and its causes as one text.

use std::error::Error;

use crate::excerpt::printable;

/// `error` and its causes, the nearest first, with `: ` between them. Each is as it says itself: it may have several lines,
/// and text of others.
pub fn with_causes(error: &dyn Error) -> String {
    messages(error).join(": ")
}

/// As [`with_causes`], in one line and made [`printable`]: `; ` stands for a line break, and one space for blanks. At most
/// `max` characters are kept, then an ellipsis follows. A line that points into the one above it is left out.
pub fn in_one_line(error: &dyn Error, max: usize) -> String {
    let lines = messages(error).into_iter().map(|message| {
        let lines = message.lines().map(str::trim_start);
        let lines = lines.filter(|line| !line.starts_with('^'));
        let lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>().join("; ")
    });
    printable(&cut(&lines.collect::<Vec<_>>().join(": "), max))
}

/// What the error and each of its causes say.
fn messages(error: &dyn Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        said.push(cause.to_string());
        source = cause.source();
    }
    said
}

/// The first `max` characters of `text`, and an ellipsis if there are more.
pub fn cut(text: &str, max: usize) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(max).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Says(&'static str, #[source] Option<Box<Says>>);

    #[test]
    fn causes_follow_the_error_in_one_line_that_shows_all_it_has() {
        let deepest = Says("no\u{202e} route\tto  host", None);
        let error = Says(
            "not fetched",
            Some(Box::new(Says(
                "one\n  two\n  ^ here",
                Some(Box::new(deepest)),
            ))),
        );
        assert_eq!(
            with_causes(&error),
            "not fetched: one\n  two\n  ^ here: no\u{202e} route\tto  host"
        );
        let line = "not fetched: one; two: no\\u{202e} route to host";
        assert_eq!(in_one_line(&error, 100), line);
        assert_eq!(in_one_line(&error, 12), "not fetched:…");
    }

    #[test]
    fn what_is_cut_ends_with_an_ellipsis() {
        assert_eq!(cut("häuser", 6), "häuser");
        assert_eq!(cut("häuser", 5), "häuse…");
    }
}
