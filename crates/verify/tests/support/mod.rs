//! What the tests of this crate share. Each of them uses a part of it.
#![allow(dead_code)]

pub(crate) mod tuf;
