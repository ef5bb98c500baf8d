//! Upper bounds on what is read of a gallery or an image.

/// Bounds on the content of one image. Reaching one is an error, never a silent cut.
///
/// The defaults let through the largest images in common use (GPU back ends of tens of gigabytes)
/// and stop what only an attack or an accident produces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Layers of one image. Default 128; overlay file systems can't stack more than that either.
    pub layers: u64,
    /// Bytes of the image configuration. Default 4 MiB.
    pub config_bytes: u64,
    /// Compressed bytes of all layers together, by their descriptors. Default 32 GiB.
    pub compressed_bytes: u64,
    /// Bytes of all layers together once decompressed, headers and padding included, and the holes of
    /// sparse files as if they were bytes. Default 128 GiB.
    pub unpacked_bytes: u64,
    /// How many bytes one compressed byte of a layer may become, beyond the first
    /// [`Self::EXPANSION_FLOOR`]. Default 250. Deflate can reach 1032; zstd has no limit.
    pub expansion: u64,
    /// Archive entries of all layers together, and directories that the archives have entries in but
    /// not themselves: one name can stand for as many as [`Self::depth`]. Default 1,000,000.
    pub entries: u64,
    /// Bytes of one path, and of the target of one link. Default 4096, Linux's `PATH_MAX`.
    pub path_bytes: u64,
    /// Directories nested in each other. Default 128.
    pub depth: u64,
}

/// Which of the [`Limits`] was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// [`Limits::layers`]
    Layers,
    /// [`Limits::config_bytes`]
    ConfigBytes,
    /// [`Limits::compressed_bytes`]
    CompressedBytes,
    /// [`Limits::unpacked_bytes`]
    UnpackedBytes,
    /// [`Limits::expansion`]
    Expansion,
    /// [`Limits::entries`]
    Entries,
    /// [`Limits::path_bytes`]
    PathBytes,
    /// [`Limits::depth`]
    Depth,
    /// Another limit, which can't be changed.
    Fixed,
}

impl Bound {
    /// What is counted: `layers`, `entries`, `directories` or `bytes`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Entries => "entries",
            Self::Depth => "directories",
            Self::ConfigBytes
            | Self::CompressedBytes
            | Self::UnpackedBytes
            | Self::Expansion
            | Self::PathBytes
            | Self::Fixed => "bytes",
        }
    }
}

impl Limits {
    /// Decompressed bytes of a layer up to which [`Self::expansion`] isn't looked at: a small file
    /// of zeros is no bomb. 64 MiB.
    pub const EXPANSION_FLOOR: u64 = 64 << 20;

    /// Mirrors of one entry of a gallery.
    pub const MIRRORS: usize = 32;

    /// Meta entries of a gallery that lead from one to the next. LocalAI's own lead to an image at
    /// once.
    pub const META_ENTRIES: usize = 8;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 128,
            config_bytes: 4 << 20,
            compressed_bytes: 32 << 30,
            unpacked_bytes: 128 << 30,
            expansion: 250,
            entries: 1_000_000,
            path_bytes: 4096,
            depth: 128,
        }
    }
}
