//! Go's patterns, as ours.

use std::ops::Range;

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetItem, Span, Visitor,
};

/// A pattern for the whole value that matches what `pattern` finds in any part of it, in Go's syntax.
///
/// # Errors
/// What can't be read as Go reads it.
pub(super) fn whole(pattern: &str) -> Result<String, String> {
    let ast = Parser::new().parse(pattern).map_err(|error| {
        let text = error.to_string();
        format!(
            "its pattern can't be read: {}",
            text.lines().last().unwrap_or_default().trim()
        )
    })?;
    let classes = ast::visit(
        &ast,
        Classes {
            pattern,
            found: Vec::new(),
        },
    )?;
    let mut text = pattern.to_owned();
    for (place, class) in classes.into_iter().rev() {
        text.replace_range(place, class);
    }
    Ok(match anchors(&ast) {
        (true, true) => text,
        (true, false) => format!("(?:{text})(?s:.*)"),
        (false, true) => format!("(?s:.*)(?:{text})"),
        (false, false) => format!("(?s:.*)(?:{text})(?s:.*)"),
    })
}

/// Whether the pattern matches at the beginning only, and at the end only.
fn anchors(ast: &Ast) -> (bool, bool) {
    let is = |ast: Option<&Ast>, kinds: [AssertionKind; 2]| match ast {
        Some(Ast::Assertion(assertion)) => kinds.contains(&assertion.kind),
        _ => false,
    };
    // With flags, `^` may mean the beginning of a line.
    let parts = match ast {
        Ast::Concat(concat) => concat.asts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let start = is(
        parts.first(),
        [AssertionKind::StartLine, AssertionKind::StartText],
    );
    let end = is(
        parts.last(),
        [AssertionKind::EndLine, AssertionKind::EndText],
    );
    if parts.iter().any(|part| matches!(part, Ast::Flags(_))) {
        (false, false)
    } else {
        (start, end)
    }
}

/// Looks for classes that are of ASCII alone there.
struct Classes<'p> {
    pattern: &'p str,
    /// Where they stand, and what to write for them; in order.
    found: Vec<(Range<usize>, &'static str)>,
}

impl Classes<'_> {
    fn replace(&mut self, span: &Span, by: &'static str) {
        self.found.push((span.start.offset..span.end.offset, by));
    }

    fn unreadable(&self, span: &Span) -> String {
        let found = self.pattern.get(span.start.offset..span.end.offset);
        let found = countersign_oci::printable(found.unwrap_or_default());
        format!("`{found}` in its pattern means something else here; write the pattern by hand")
    }
}

fn class(class: &ClassPerl, in_brackets: bool) -> Option<&'static str> {
    Some(match (&class.kind, class.negated, in_brackets) {
        (ClassPerlKind::Digit, false, true) => "0-9",
        (ClassPerlKind::Digit, false, false) => "[0-9]",
        (ClassPerlKind::Digit, true, false) => "[^0-9]",
        (ClassPerlKind::Word, false, true) => "0-9A-Za-z_",
        (ClassPerlKind::Word, false, false) => "[0-9A-Za-z_]",
        (ClassPerlKind::Word, true, false) => "[^0-9A-Za-z_]",
        (ClassPerlKind::Space, false, true) => r"\t\n\f\r ",
        (ClassPerlKind::Space, false, false) => r"[\t\n\f\r ]",
        (ClassPerlKind::Space, true, false) => r"[^\t\n\f\r ]",
        (_, true, true) => return None,
    })
}

impl Visitor for Classes<'_> {
    type Output = Vec<(Range<usize>, &'static str)>;
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.found)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::ClassPerl(found) => match class(found, false) {
                Some(by) => self.replace(&found.span, by),
                None => return Err(self.unreadable(&found.span)),
            },
            Ast::Assertion(found) => match found.kind {
                AssertionKind::WordBoundary => self.replace(&found.span, r"(?-u:\b)"),
                AssertionKind::NotWordBoundary => self.replace(&found.span, r"(?-u:\B)"),
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Perl(found) => match class(found, true) {
                Some(by) => self.replace(&found.span, by),
                None => return Err(self.unreadable(&found.span)),
            },
            // There they are characters like others.
            ClassSetItem::Bracketed(found) => return Err(self.unreadable(&found.span)),
            _ => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err(self.unreadable(&op.span))
    }
}
