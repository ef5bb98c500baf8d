//! The exit codes of `countersign`, as `docs/scripting.md` has them. They are written out: what a user's script meets
//! must not follow the program.

pub(crate) const DONE: i32 = 0;
pub(crate) const USAGE: i32 = 2;
pub(crate) const UNSIGNED: i32 = 3;
pub(crate) const REFUSED_BY_POLICY: i32 = 4;
pub(crate) const INVALID: i32 = 5;
pub(crate) const NOT_FOUND: i32 = 6;
pub(crate) const UNREACHABLE: i32 = 7;
pub(crate) const REJECTED: i32 = 9;
