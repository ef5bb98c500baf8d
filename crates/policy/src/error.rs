//! What can be wrong with a policy, and where.

use std::fmt;

use countersign_oci::{ErrorKind, printable};

mod place;
mod problem;

pub(crate) use place::Step;
pub use place::{KeyPath, Place, Position};
pub(crate) use problem::About;
pub use problem::{Problem, TimestampFault};

/// A policy or gallery file, or a flag, that can't be used: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    place: Place,
    // Boxed so that results stay small.
    problem: Box<Problem>,
}

impl PolicyError {
    pub(crate) fn new(place: Place, problem: Problem) -> Self {
        Self {
            place,
            problem: Box::new(problem),
        }
    }

    /// Where the wrong text is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// What kind of failure it is. Every problem is in a file or a flag.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    pub(crate) fn into_parts(self) -> (Place, Problem) {
        (self.place, *self.problem)
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place != Place::default() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&printable(&self.problem.to_string()))
    }
}

// It has no source: the message has the parser's reason too.
impl std::error::Error for PolicyError {}
