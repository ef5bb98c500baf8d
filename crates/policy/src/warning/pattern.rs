//! What the text of a pattern shows: dots that match any character, slips of whoever thinks of other patterns or
//! quotes, and a repository that is left open.

use std::convert::Infallible;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{self, AssertionKind, Ast, LiteralKind, RepetitionKind, Visitor};

/// The pattern with a `\` before each dot that matches one character of any kind; `None` if there is no such dot.
///
/// A dot with a repetition after it is no slip, and a dot in brackets matches itself.
pub(super) fn with_escaped_dots(pattern: &str) -> Option<String> {
    let mut corrected = pattern.to_owned();
    // From the last to the first, so that the places stay right.
    for place in visited(pattern, Dots::default())?.into_iter().rev() {
        corrected.insert(place, '\\');
    }
    (corrected != pattern).then_some(corrected)
}

/// The pattern with one backslash for each two; `None` if no two stand together.
pub(super) fn with_single_backslashes(pattern: &str) -> Option<String> {
    let mut text = pattern.to_owned();
    // Somebody may have doubled them twice.
    while text.contains(r"\\") {
        text = text.replace(r"\\", r"\");
    }
    (text != pattern).then_some(text)
}

/// The pattern with `.*` for each `*` that repeats a letter, a digit, a `/` or the like, and the first character that
/// is so repeated; `None` if none is.
///
/// Such a `*` is one of a shell: in the texts that are matched, nothing is repeated so.
pub(super) fn with_any_text(pattern: &str) -> Option<(String, char)> {
    let stars = visited(pattern, Stars::default())?;
    let &(_, first) = stars.first()?;
    let mut corrected = pattern.to_owned();
    for (place, _) in stars.into_iter().rev() {
        let rest = corrected.split_off(place);
        // `**` is any text too, in some shells.
        let after = rest.trim_start_matches('*');
        corrected.push_str(".*");
        corrected.push_str(after);
    }
    Some((corrected, first))
}

/// The pattern that was meant by a text that no certificate has, but a pattern or the name of files may have; `None` of
/// any other text.
///
/// No name of a Git branch or tag has a `*`, a `\` or a `^`, or begins a part with a dot (git-check-ref-format), and
/// no address and URL that a provider writes has one of these.
pub(super) fn meant_pattern(text: &str) -> Option<String> {
    let is_regex = text.contains('\\') || text.contains(".*") || text.contains("/.+");
    if is_regex || text.starts_with('^') {
        let single = with_single_backslashes(text);
        let single = single.as_deref().unwrap_or(text);
        return Some(with_escaped_dots(single).unwrap_or_else(|| single.to_owned()));
    }
    text.contains('*').then(|| {
        let parts: Vec<String> = text
            .split('*')
            .map(|part| regex::escape(part).replace(r"\-", "-"))
            .collect();
        parts.join(".*")
    })
}

/// The one text that a pattern without repetitions, choices and brackets matches; `None` of any other pattern. A dot is
/// taken for itself.
pub(super) fn only_match(pattern: &str) -> Option<String> {
    literal_text(&parts(pattern)?)
}

/// The text of parts that are characters, between anchors or not.
fn literal_text(parts: &[Ast]) -> Option<String> {
    let parts = match parts {
        [first, rest @ ..] if is_start(first) => rest,
        all => all,
    };
    let parts = match parts {
        [rest @ .., last] if is_end(last) => rest,
        all => all,
    };
    let characters = parts.iter().map(|part| match part {
        Ast::Literal(literal) => Some(literal.c),
        Ast::Dot(_) => Some('.'),
        _ => None,
    });
    characters.collect()
}

/// Slashes before the part after the repository: `https:`, the empty one, host, owner, repository.
const REPOSITORY_SLASHES: usize = 5;

/// Whether a repetition stands where host, owner and repository have to be named: in any of the pattern's alternatives,
/// behind the fewest slashes that lead there. A slash in brackets parts nothing.
pub(super) fn leaves_repository_open(pattern: &str) -> bool {
    let ast = Parser::new().parse(pattern);
    ast.map_or(true, |ast| slashes_after(&ast, 0).is_none())
}

/// The fewest slashes after `ast`, if there are `before` before it; `None` if a repetition leaves the repository open.
fn slashes_after(ast: &Ast, before: usize) -> Option<usize> {
    match ast {
        Ast::Literal(literal) => Some(before + usize::from(literal.c == '/')),
        Ast::Group(group) => slashes_after(&group.ast, before),
        Ast::Concat(concat) => {
            let mut parts = concat.asts.iter();
            parts.try_fold(before, |before, part| slashes_after(part, before))
        }
        Ast::Alternation(alternation) => {
            let alternatives = alternation.asts.iter();
            let after = alternatives.map(|one| slashes_after(one, before));
            let after = after.collect::<Option<Vec<_>>>()?;
            Some(after.into_iter().min().unwrap_or(before))
        }
        Ast::Repetition(repetition) => {
            let after = slashes_after(&repetition.ast, before)?;
            match repetition.op.kind {
                // It may be there never.
                RepetitionKind::ZeroOrOne => Some(before),
                _ if after < REPOSITORY_SLASHES => None,
                RepetitionKind::OneOrMore => Some(after),
                RepetitionKind::ZeroOrMore | RepetitionKind::Range(_) => Some(before),
            }
        }
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => Some(before),
    }
}

/// Whether it is a pattern of addresses at one domain.
pub(super) fn fixes_domain(pattern: &str) -> bool {
    let at = |part: &Ast| matches!(part, Ast::Literal(literal) if literal.c == '@');
    let parts = parts(pattern).unwrap_or_default();
    let Some((name, domain)) = parts.iter().rposition(at).and_then(|place| {
        let (at, domain) = parts.get(place..)?.split_first()?;
        Some((pattern.get(..at.span().start.offset)?, domain))
    }) else {
        return false;
    };
    let domain = literal_text(domain);
    !name.contains(['/', '|'])
        && domain.is_some_and(|domain| domain.contains('.') && !domain.contains('/'))
}

/// Whether all that a pattern matches begins with a letter, a digit or a slash that no URL of `https` begins with.
pub(super) fn lacks_scheme(pattern: &str) -> bool {
    let parts = parts(pattern).unwrap_or_default();
    let first = parts.iter().find(|part| !is_start(part));
    matches!(first, Some(Ast::Literal(literal))
        // As other languages quote a pattern.
        if literal.c == '/'
            || literal.c.is_ascii_alphanumeric() && !literal.c.eq_ignore_ascii_case(&'h'))
}

/// The parts that follow each other in a pattern.
fn parts(pattern: &str) -> Option<Vec<Ast>> {
    let mut ast = Parser::new().parse(pattern).ok()?;
    Some(match &mut ast {
        Ast::Concat(concat) => std::mem::take(&mut concat.asts),
        Ast::Empty(_) => Vec::new(),
        _ => vec![ast],
    })
}

fn is_start(ast: &Ast) -> bool {
    is_anchor(ast, &[AssertionKind::StartLine, AssertionKind::StartText])
}

fn is_end(ast: &Ast) -> bool {
    is_anchor(ast, &[AssertionKind::EndLine, AssertionKind::EndText])
}

fn is_anchor(ast: &Ast, kinds: &[AssertionKind]) -> bool {
    matches!(ast, Ast::Assertion(assertion) if kinds.contains(&assertion.kind))
}

/// What `visitor` finds in the pattern; `None` if it is none.
fn visited<V: Visitor<Err = Infallible>>(pattern: &str, visitor: V) -> Option<V::Output> {
    let ast = Parser::new().parse(pattern).ok()?;
    let Ok(found) = ast::visit(&ast, visitor);
    Some(found)
}

/// Finds the dots that nothing repeats.
#[derive(Default)]
struct Dots {
    places: Vec<usize>,
    repeated: Vec<usize>,
}

impl Visitor for Dots {
    type Output = Vec<usize>;
    type Err = Infallible;

    fn finish(self) -> Result<Vec<usize>, Infallible> {
        let Self { places, repeated } = self;
        let places = places.into_iter();
        Ok(places.filter(|place| !repeated.contains(place)).collect())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        match ast {
            Ast::Dot(span) => self.places.push(span.start.offset),
            Ast::Repetition(repetition) if matches!(*repetition.ast, Ast::Dot(_)) => {
                self.repeated.push(repetition.span.start.offset);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Finds each `*` that repeats a character that is written as itself, and that character.
#[derive(Default)]
struct Stars(Vec<(usize, char)>);

impl Visitor for Stars {
    type Output = Vec<(usize, char)>;
    type Err = Infallible;

    fn finish(self) -> Result<Self::Output, Infallible> {
        Ok(self.0)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Infallible> {
        if let Ast::Repetition(repetition) = ast
            && repetition.op.kind == RepetitionKind::ZeroOrMore
            && let Ast::Literal(literal) = &*repetition.ast
            && literal.kind == LiteralKind::Verbatim
            && (literal.c.is_alphanumeric() || "/-_@:".contains(literal.c))
        {
            self.0.push((repetition.op.span.start.offset, literal.c));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        fixes_domain, lacks_scheme, leaves_repository_open, only_match, with_any_text,
        with_escaped_dots,
    };

    #[test]
    fn each_slip_of_a_dot_is_corrected_and_no_other_dot() {
        let corrected = with_escaped_dots;
        assert_eq!(
            corrected("https://github.com/a/b/.github/x.yml@.+").as_deref(),
            Some(r"https://github\.com/a/b/\.github/x\.yml@.+")
        );
        for right in [
            r"a\.b",
            "a.*b",
            "a.+",
            "a.?b",
            "a.{2}",
            "[a.b]",
            r"\[.+\]",
            r"\\.*",
            "[[:alpha:].]",
            "[].]",
            "[^].]",
            "(?x)a # b.c\n",
        ] {
            assert_eq!(corrected(right), None, "{right}");
        }
        assert_eq!(corrected(r"\\.a").as_deref(), Some(r"\\\.a"));
        assert_eq!(corrected(r"\[a.b\]").as_deref(), Some(r"\[a\.b\]"));
    }

    #[test]
    fn a_pattern_that_repeats_nothing_has_one_match() {
        assert_eq!(
            only_match(r"^https://a\.b/c$").as_deref(),
            Some("https://a.b/c")
        );
        for several in ["a.*", "a|b", "(a)", "[ab]", "a?", r"a\d", "a{2}", r"a\"] {
            assert_eq!(only_match(several), None, "{several}");
        }
        assert_eq!(only_match(r"\Aa\x2fb\z").as_deref(), Some("a/b"));
    }

    #[test]
    fn a_star_of_a_shell_becomes_any_text() {
        let corrected = |pattern| with_any_text(pattern).map(|(corrected, _)| corrected);
        for (pattern, expected) in [
            ("a/*", "a/.*"),
            ("a/**@b*?", "a/.*@b.*?"),
            ("(a*|b)", "(a.*|b)"),
        ] {
            assert_eq!(corrected(pattern).as_deref(), Some(expected), "{pattern}");
        }
        for right in [
            r"a\/*",
            "[a*]",
            "[]a*]",
            ".*",
            "(a)*",
            "a+",
            r"\.*",
            "(?x)a # b*\n",
        ] {
            assert_eq!(corrected(right), None, "{right}");
        }
    }

    #[test]
    fn a_repetition_before_the_fifth_slash_leaves_the_repository_open() {
        for open in [
            "https://github.com/a/.+",
            "https://github.com/a(/b)?/.+",
            "https://github.com/(a/b/c|d)/.+",
            "https://github.com/a/[^/]+/x",
            "https://github.com/a(/b)*.+",
        ] {
            assert!(leaves_repository_open(open), "{open}");
        }
        for closed in [
            "https://github.com/a/b/.+",
            r"https:\/\/github\.com\/a\/b\/.+",
            "https?://github.com/a/b/.+",
            "https://github.com/a/(b|c)/.+",
            "https://github.com/a/b[]*]/.+",
            "https://github.com/a/b/[[:alpha:]/]*",
        ] {
            assert!(!leaves_repository_open(closed), "{closed}");
        }
    }

    #[test]
    fn addresses_at_one_domain_are_told_from_others() {
        for one in [r".+@example\.com", r"^[^@]+@example\.com$"] {
            assert!(fixes_domain(one), "{one}");
        }
        for other in [
            r".+@.+\.com",
            r"a/b@c\.d",
            r"a@b\.c|d@e\.f",
            r".+[@]b\.c",
            ".+@com",
        ] {
            assert!(!fixes_domain(other), "{other}");
        }
    }

    #[test]
    fn what_can_begin_with_https_does_not_lack_the_scheme() {
        for lacks in ["github.com/.+", "^/.+/$", r"a\.b"] {
            assert!(lacks_scheme(lacks), "{lacks}");
        }
        for may in ["https://.+", "g*.+", "/?.+", "ab|h", "(?i)g", "[g]", ""] {
            assert!(!lacks_scheme(may), "{may}");
        }
    }
}
