//! Where in a file something stands.

use std::fmt;

use countersign_oci::printable;

/// Where something is. What is unknown is `None`: a flag has neither a file nor a position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file's name, as the caller gave it.
    pub file: Option<String>,
    /// Where in the file.
    pub position: Option<Position>,
    /// The keys that lead there.
    pub path: KeyPath,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(file) = &self.file {
            f.write_str(&printable(file))?;
            separator = ": ";
        }
        if let Some(position) = self.position {
            if self.file.is_some() {
                f.write_str(":")?;
            }
            write!(f, "{position}")?;
            separator = ": ";
        }
        if !self.path.is_root() {
            write!(f, "{separator}{}", printable(&self.path.to_string()))?;
        }
        Ok(())
    }
}

/// A line and a column. Both are counted from 1, and the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: u64,
    /// From 1, in characters.
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The keys and list positions that lead to a value: `galleries[2].verification.issuer`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// This path, and `key` below it.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// This path, and the list entry at `index` (from 0) below it.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path without its last step.
    pub(crate) fn parent(&self) -> Self {
        let above = self.0.split_last().map(|(_, above)| above.to_vec());
        Self(above.unwrap_or_default())
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The key that the path ends with; `None` for the document itself and for an entry of a list.
    pub fn last_key(&self) -> Option<&str> {
        match self.0.last()? {
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        }
    }

    /// Whether this is the document itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
