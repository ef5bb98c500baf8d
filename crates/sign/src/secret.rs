//! Secrets that a service quotes in its answer, taken out of it.

/// Characters of a secret that may be shown: fewer tell nothing, and may be there by chance.
const HARMLESS: usize = 8;

/// `text` without `secret`: whole, a part of it between dots (a token has three), and the beginning
/// of one at the end of a text that was cut.
pub(crate) fn without(text: &str, secret: &str) -> String {
    const SHOWN: &str = "[token]";
    if secret.is_empty() {
        return text.to_owned();
    }
    let mut text = text.replace(secret, SHOWN);
    let parts = || std::iter::once(secret).chain(secret.split('.'));
    for part in parts().filter(|part| part.len() > HARMLESS) {
        text = text.replace(part, SHOWN);
    }
    let cut = text.trim_end_matches('…');
    let tail = parts()
        .filter_map(|part| {
            let ends = part.char_indices().map(|(at, _)| at).rev();
            ends.filter(|at| *at > HARMLESS)
                .find(|at| part.get(..*at).is_some_and(|start| cut.ends_with(start)))
        })
        .max();
    match tail.and_then(|length| text.get(..cut.len().saturating_sub(length))) {
        Some(rest) => format!("{rest}{SHOWN}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "eyJhbGciOiJFUzI1.eyJpc3MiOiJodHRw.c2lnbmF0dXJlIQ";

    #[test]
    fn a_quoted_secret_is_taken_out_whole_in_parts_and_cut() {
        for (text, expected) in [
            (format!("bad token {SECRET}."), "bad token [token]."),
            ("claims eyJpc3MiOiJodHRw".into(), "claims [token]"),
            (
                "bad token eyJhbGciOiJFUzI1.eyJpc3M".into(),
                "bad token [token].eyJpc3M",
            ),
            (format!("bad token {}", &SECRET[..12]), "bad token [token]"),
            (format!("bad token {}…", &SECRET[..12]), "bad token [token]"),
            ("nothing of it".into(), "nothing of it"),
        ] {
            assert_eq!(without(&text, SECRET), expected);
        }
        assert_eq!(without("text", ""), "text");
        assert_eq!(without("a hunter2 b", "hunter2"), "a [token] b");
    }
}
