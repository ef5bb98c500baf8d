//! Reads headers of tar archives, in the same way for image layouts and for layers.
//!
//! The rules are those of Go's archive/tar, because umoci, containers/storage and containerd use
//! it. What it refuses is refused here. The callers decide what an archive may hold, and how much:
//! a layout is read at its members' offsets, a layer from start to end.

mod error;
mod header;
mod pax;

pub use error::{HeaderError, display};
pub use header::{BLOCK, Header, gnu_sparse_next};
pub use pax::{PaxMap, PaxRecords, PaxSparse, Segment};

/// The name in the body of a GNU header for long names, up to its first NUL. `None` if it is empty.
#[must_use]
pub fn long_name(body: &[u8]) -> Option<Vec<u8>> {
    let name = body.split(|&byte| byte == 0).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_vec())
}
