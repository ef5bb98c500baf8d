//! Flags that raise or lower the bounds on what is installed, and their names for refusals.
//!
//! Every bound has a hint, and each flag has the name by which a refusal mentions it.

use clap::Args;
use countersign_download::{Bound, Limits};

/// Bounds on one image or archive.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits on an image")]
pub(crate) struct LimitArguments {
    /// Size of all files together, unpacked [default: 128GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_size: Option<u64>,

    /// Size of all layers, or of a tarball [default: 32GiB]
    ///
    /// This is the size as downloaded, before unpacking.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_download: Option<u64>,

    /// Number of files, directories and links [default: 1000000]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max_files: Option<u64>,

    /// Number of layers [default: 128]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max_layers: Option<u64>,

    /// How many times a layer may grow unpacked [default: 250]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max_expansion: Option<u64>,

    /// Depth of directories [default: 128]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max_depth: Option<u64>,

    /// Length of a path or link target, in bytes [default: 4096]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) max_path: Option<u64>,

    /// Size of an image's configuration [default: 4MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_config: Option<u64>,
}

impl LimitArguments {
    pub(crate) fn limits(&self) -> Limits {
        // Whole, so that a new flag has to be used here.
        let Self {
            max_size,
            max_download,
            max_files,
            max_layers,
            max_expansion,
            max_depth,
            max_path,
            max_config,
        } = *self;
        let default = Limits::default();
        Limits {
            layers: max_layers.unwrap_or(default.layers),
            config_bytes: max_config.unwrap_or(default.config_bytes),
            compressed_bytes: max_download.unwrap_or(default.compressed_bytes),
            unpacked_bytes: max_size.unwrap_or(default.unpacked_bytes),
            expansion: max_expansion.unwrap_or(default.expansion),
            entries: max_files.unwrap_or(default.entries),
            path_bytes: max_path.unwrap_or(default.path_bytes),
            depth: max_depth.unwrap_or(default.depth),
        }
    }
}

macro_rules! raise {
    ($flag:literal) => {
        concat!(
            "if you trust the content to be that large, raise the limit with ",
            $flag
        )
    };
}

/// What to do where a gallery's index is too large.
pub(crate) const INDEX_HINT: &str = raise!("--max-index");

/// What to do where a bound was reached.
pub(crate) fn hint(bound: Bound) -> &'static str {
    match bound {
        Bound::Layers => raise!("--max-layers"),
        Bound::ConfigBytes => raise!("--max-config"),
        Bound::CompressedBytes => raise!("--max-download"),
        Bound::UnpackedBytes => raise!("--max-size"),
        Bound::Expansion => raise!("--max-expansion"),
        Bound::Entries => raise!("--max-files"),
        Bound::PathBytes => raise!("--max-path"),
        Bound::Depth => raise!("--max-depth"),
        Bound::Fixed => {
            "this limit is fixed; tell whoever published it to make the content smaller"
        }
    }
}

/// A number of bytes: `1000`, or with a unit, as `4MiB` or `4M`; a unit is a power of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a size such as 1000, 64K, 4MiB or 200G, found `{text}`");
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).ok_or_else(wrong)?;
    let power = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 1,
        "m" | "mib" => 2,
        "g" | "gib" => 3,
        "t" | "tib" => 4,
        "kb" | "mb" | "gb" | "tb" => {
            let unit = unit.get(..1).unwrap_or_default().to_ascii_uppercase();
            return Err(format!(
                "{}; units are powers of 1024: {number}{unit}iB",
                wrong()
            ));
        }
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << (10 * power)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_of_bytes_or_has_a_unit_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("64K", 64 << 10),
            ("4MiB", 4 << 20),
            ("4m", 4 << 20),
            ("200G", 200 << 30),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        let told = size("1mb").unwrap_err();
        assert!(
            told.ends_with("found `1mb`; units are powers of 1024: 1MiB"),
            "{told}"
        );
        for text in ["", "G", "-1", "1.5G", "1GB", "1 G", "99999999999T", "é"] {
            let told = size(text).unwrap_err();
            assert!(told.starts_with("expected a size such as 1000"), "{told}");
        }
    }
}
