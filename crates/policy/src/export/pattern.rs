//! Patterns for programs that are written in Go.
//!
//! Go's syntax is close to ours, but not the same. A pattern that it would read otherwise is refused, with what
//! to write instead.

use std::ops::Range;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, Assertion, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem, Flag,
    Flags, FlagsItemKind, HexLiteralKind, LiteralKind, RepetitionKind, RepetitionRange, Span,
    Visitor,
};

/// The most repetitions that Go takes.
const REPETITIONS_MAX: u32 = 1000;
/// What `\d` stands for, in words that mean the same in both.
const DIGIT: &str = r"\p{Nd}";
const NO_DIGIT: &str = r"\P{Nd}";

/// The pattern between anchors, so that it matches a whole value where others are searched.
///
/// # Errors
/// What Go would read otherwise, and what to write instead.
pub(super) fn anchored(pattern: &str) -> Result<String, String> {
    let ast = Parser::new()
        .parse(pattern)
        .map_err(|error| error.to_string())?;
    let digits = ast::visit(
        &ast,
        Portable {
            pattern,
            digits: Vec::new(),
        },
    )?;
    let mut text = pattern.to_owned();
    // From the last to the first, so that the places stay right.
    for (place, class) in digits.into_iter().rev() {
        text.replace_range(place, class);
    }
    Ok(format!("^(?:{text})$"))
}

/// Looks for what Go reads otherwise.
struct Portable<'p> {
    pattern: &'p str,
    /// Where `\d` and `\D` stand, and what to write for them; in order.
    digits: Vec<(Range<usize>, &'static str)>,
}

impl Portable<'_> {
    fn found(&self, span: &Span, instead: &str) -> String {
        let found = self.pattern.get(span.start.offset..span.end.offset);
        format!(
            "its patterns are Go's, and `{}` means something else in them; {instead}",
            countersign_oci::printable(found.unwrap_or_default())
        )
    }

    fn perl(&mut self, class: &ClassPerl) -> Result<(), String> {
        let instead = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, negated) => {
                let place = class.span.start.offset..class.span.end.offset;
                self.digits
                    .push((place, if negated { NO_DIGIT } else { DIGIT }));
                return Ok(());
            }
            (ClassPerlKind::Word, false) => "write `[0-9A-Za-z_]`",
            (ClassPerlKind::Word, true) => "write `[^0-9A-Za-z_]`",
            (ClassPerlKind::Space, _) => "write the characters that you mean in brackets",
        };
        Err(self.found(&class.span, instead))
    }

    fn flags(&self, flags: &Flags) -> Result<(), String> {
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Negation
                | FlagsItemKind::Flag(
                    Flag::CaseInsensitive
                    | Flag::MultiLine
                    | Flag::DotMatchesNewLine
                    | Flag::SwapGreed,
                ) => {}
                FlagsItemKind::Flag(Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace) => {
                    return Err(self.found(&item.span, "leave this flag out"));
                }
            }
        }
        Ok(())
    }

    fn literal(&self, literal: &ast::Literal) -> Result<(), String> {
        let same = match &literal.kind {
            LiteralKind::Verbatim | LiteralKind::Meta | LiteralKind::Superfluous => true,
            LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(HexLiteralKind::X) => {
                true
            }
            LiteralKind::Special(kind) => *kind != ast::SpecialLiteralKind::Space,
            LiteralKind::Octal | LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) => false,
        };
        if same {
            Ok(())
        } else {
            Err(self.found(&literal.span, "write the character itself"))
        }
    }
}

impl Visitor for Portable<'_> {
    type Output = Vec<(Range<usize>, &'static str)>;
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.digits)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Empty(_)
            | Ast::Dot(_)
            | Ast::ClassBracketed(_)
            | Ast::Alternation(_)
            | Ast::Concat(_) => Ok(()),
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Assertion(assertion) => match **assertion {
                Assertion {
                    kind:
                        AssertionKind::StartLine
                        | AssertionKind::EndLine
                        | AssertionKind::StartText
                        | AssertionKind::EndText,
                    ..
                } => Ok(()),
                Assertion { ref span, .. } => {
                    Err(self.found(span, "write the characters that may stand there"))
                }
            },
            Ast::ClassUnicode(class) => Err(self.found(
                &class.span,
                "write the characters that you mean in brackets",
            )),
            Ast::ClassPerl(class) => self.perl(class),
            Ast::Repetition(repetition) => {
                let written = self.pattern.get(repetition.op.span.start.offset..);
                let from_zero = written.is_some_and(|rest| rest.starts_with("{,"));
                let most = match &repetition.op.kind {
                    RepetitionKind::ZeroOrOne
                    | RepetitionKind::ZeroOrMore
                    | RepetitionKind::OneOrMore => 0,
                    RepetitionKind::Range(
                        RepetitionRange::Exactly(most)
                        | RepetitionRange::AtLeast(most)
                        | RepetitionRange::Bounded(_, most),
                    ) => *most,
                };
                if from_zero {
                    return Err(self.found(&repetition.op.span, "write the 0"));
                }
                if most > REPETITIONS_MAX {
                    let most = format!("repeat at most {REPETITIONS_MAX} times");
                    return Err(self.found(&repetition.op.span, &most));
                }
                if matches!(*repetition.ast, Ast::Repetition(_)) {
                    return Err(
                        self.found(&repetition.span, "put `(?:` and `)` around the inner one")
                    );
                }
                Ok(())
            }
            Ast::Group(group) => match group.flags() {
                Some(flags) => self.flags(flags),
                None => Ok(()),
            },
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Range(range) => {
                self.literal(&range.start)?;
                self.literal(&range.end)
            }
            ClassSetItem::Unicode(class) => Err(self.found(
                &class.span,
                "write the characters that you mean in brackets",
            )),
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Bracketed(class) => match &class.kind {
                ClassSet::Item(_) | ClassSet::BinaryOp(_) => {
                    Err(self.found(&class.span, "write one pair of brackets"))
                }
            },
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err(self.found(&op.span, "write the characters that you mean in brackets"))
    }
}

#[cfg(test)]
mod tests {
    use super::anchored;

    #[test]
    fn a_pattern_means_the_same_in_go_or_is_refused() {
        for (pattern, expected) in [
            (r"a|b", r"^(?:a|b)$"),
            (r"v\d+\D[\d.]", r"^(?:v\p{Nd}+\P{Nd}[\p{Nd}.])$"),
            (r"(?i)abc", r"^(?:(?i)abc)$"),
            (r"[[:alpha:]_-]{1,63}", r"^(?:[[:alpha:]_-]{1,63})$"),
            (r"é\x{e9}\.", r"^(?:é\x{e9}\.)$"),
        ] {
            assert_eq!(anchored(pattern).as_deref(), Ok(expected), "{pattern}");
        }
        for pattern in [
            r"\w",
            r"\W",
            r"\s",
            r"[\w.]",
            r"\bx",
            r"(?x) a",
            r"(?u)a",
            r"\pL",
            r"[\p{Greek}]",
            r"[a-z&&[^b]]",
            r"[[a]b]",
            r"\u00e9",
            r"a{1001}",
            r"a{2,1001}",
            r"a**",
            r"(?R)a",
            r"[a--b]",
        ] {
            let refused = anchored(pattern).unwrap_err();
            assert!(
                refused.starts_with("its patterns are Go's, and `"),
                "{pattern}: {refused}"
            );
        }
        // No word for it in our syntax either.
        insta::assert_snapshot!(anchored("(").unwrap_err(), @r"
        regex parse error:
            (
            ^
        error: unclosed group
        ");
    }
}
