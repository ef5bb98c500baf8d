//! The cache of layers: the flags. Without them there is none.

use std::path::PathBuf;

use clap::Args;
use countersign_download::LayerCache;

use super::limits::size;

/// Bytes of all layers together, if nobody says how many.
const DEFAULT: u64 = 10 << 30;

/// Whether layers are kept for the next installation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache of layers (default: none)")]
pub(crate) struct LayerArguments {
    /// Keep the layers that are fetched, for the next installation
    ///
    /// A layer that is in DIRECTORY is not fetched again. It is compared with its digest each time it is used, so
    /// it doesn't matter who can write to DIRECTORY.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) layer_cache: Option<PathBuf>,

    /// Size of all layers in it [default: 10GiB]
    ///
    /// If there are more, those that were not used for the longest time are removed.
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "layer_cache")]
    pub(crate) layer_cache_size: Option<u64>,
}

impl LayerArguments {
    pub(crate) fn cache(&self) -> Option<LayerCache> {
        let Self {
            layer_cache,
            layer_cache_size,
        } = self;
        let bytes = layer_cache_size.unwrap_or(DEFAULT);
        Some(LayerCache::new(layer_cache.clone()?, bytes))
    }
}
