//! Headers of tar archives, read in one way for image layouts and for layers.
//!
//! Go's archive/tar is the measure, since umoci, containers/storage and containerd all read with it.
//! What it refuses is refused here. What archives hold, and how much of it, is decided by whoever
//! walks through them: a layout is read at its members' places, a layer from front to back.

mod error;
mod header;
mod pax;

pub use error::HeaderError;
pub use header::{BLOCK, Header, gnu_sparse_next};
pub use pax::{PaxMap, PaxRecords, PaxSparse, Segment};

pub(crate) use error::display;

/// The name in the body of a GNU header for long names, which ends with a NUL. An empty one says
/// nothing.
#[must_use]
pub fn long_name(body: &[u8]) -> Option<Vec<u8>> {
    let name = body.split(|&byte| byte == 0).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_vec())
}
