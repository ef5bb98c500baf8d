//! The registry client against servers that do what registries should not, and against one that
//! does what they should.

#[cfg(test)]
mod common;
#[cfg(test)]
mod pull;
