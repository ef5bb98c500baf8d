//! What `--output json` prints, as types that the schema is derived from. A command's own document
//! stands beside the command; here is what several have in common.
//!
//! A field that has no value is left out.

pub(crate) mod check;
pub(crate) mod document;
pub(crate) mod error;
pub(crate) mod evidence;
pub(crate) mod installation;
pub(crate) mod mode;
pub(crate) mod preview;
pub(crate) mod results;
pub(crate) mod signing;
pub(crate) mod wanted;
