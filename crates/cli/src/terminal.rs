//! What a terminal can show: colours, and so many columns.
//!
//! Colours never change what is said.

use std::io::IsTerminal;

use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style, Styles};

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal
    Auto,
    /// Always, in files and pipes too
    Always,
    /// Never
    Never,
}

/// Whether a stream gets colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    Ansi,
    Plain,
}

impl Colours {
    pub(crate) fn of(stream: &impl IsTerminal, when: ColorWhen) -> Self {
        match when {
            ColorWhen::Always => Self::Ansi,
            ColorWhen::Auto if stream.is_terminal() => Self::Ansi,
            ColorWhen::Auto | ColorWhen::Never => Self::Plain,
        }
    }

    /// `text` as something of this kind. The text is ours, or has been made printable.
    pub(crate) fn paint(self, role: Role, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => {
                let style = role.style();
                format!("{style}{text}{style:#}")
            }
        }
    }
}

/// What is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Error,
    Warning,
    Hint,
    /// The line that says what was done.
    Headline,
}

impl Role {
    fn style(self) -> Style {
        match self {
            Self::Error => AnsiColor::Red.on_default().bold(),
            Self::Warning => AnsiColor::Yellow.on_default().bold(),
            Self::Hint => AnsiColor::Cyan.on_default().bold(),
            Self::Headline => AnsiColor::Green.on_default().bold(),
        }
    }
}

/// The colours of `--help` and of mistakes in a command line, which are those of cargo.
pub(crate) const HELP_STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Cyan.on_default().bold())
    .invalid(AnsiColor::Yellow.on_default().bold());

/// The columns of the terminal that standard output is; `None` where it is none.
pub(crate) fn width() -> Option<u16> {
    let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
    Some(width.0)
}

/// Whether a person can be asked for something: standard input and standard error are terminals.
pub(crate) fn has_person() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_terminal_gets_colours_by_itself() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Colours::of(&file, ColorWhen::Auto), Colours::Plain);
        assert_eq!(Colours::of(&file, ColorWhen::Never), Colours::Plain);
        assert_eq!(Colours::of(&file, ColorWhen::Always), Colours::Ansi);
    }

    #[test]
    fn paint_ends_with_what_is_painted() {
        let painted = Colours::Ansi.paint(Role::Error, "error");
        assert_eq!(painted, "\u{1b}[1m\u{1b}[31merror\u{1b}[0m");
        assert_eq!(Colours::Plain.paint(Role::Error, "error"), "error");
    }
}
