//! Platforms: operating system, architecture and variant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The platform of an image, in the names of Go's `GOOS` and `GOARCH` (OCI image specification,
/// "Image Index", `platform`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system: `linux`, `windows`, `darwin`.
    pub os: String,
    /// CPU architecture: `amd64`, `arm64`, `arm`.
    pub architecture: String,
    /// Variant of the architecture: `v8`, `v7`; absent where the architecture has one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Version of the operating system; Windows images have it.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
}

impl Platform {
    /// The platform this program runs on, its operating system always `linux` (containers run in
    /// a Linux virtual machine elsewhere, and that is what images are built for).
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7".to_owned())),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "powerpc64" => ("ppc64", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant,
            os_version: None,
        }
    }

    /// How well an image for `self` serves a machine of `wanted`: `None` if it can't run there,
    /// else a rank, the higher the nearer. A variant that isn't named is the architecture's usual
    /// one (`arm64` is `v8`, `arm` is `v7`, `amd64` is `v1`); a lower variant runs on a higher one.
    pub fn serves(&self, wanted: &Self) -> Option<u32> {
        if self.os != wanted.os || self.architecture != wanted.architecture {
            return None;
        }
        let (have, want) = (self.level(), wanted.level());
        match (have, want) {
            (Some(have), Some(want)) => (have <= want).then_some(have),
            _ => (self.variant == wanted.variant).then_some(0),
        }
    }

    /// The variant as a number, with the architecture's default where none is named.
    fn level(&self) -> Option<u32> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None) => Some(8),
            ("arm", None) => Some(7),
            ("amd64", None) => Some(1),
            (_, Some(variant)) => variant.strip_prefix('v')?.parse().ok(),
            (_, None) => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        Ok(())
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        };
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformError { found: text.into() }),
        };
        if !parts.iter().all(|part| word(part)) {
            return Err(PlatformError { found: text.into() });
        }
        Ok(Self {
            os: (*os).into(),
            architecture: (*architecture).into(),
            variant: variant.map(|v| (*v).into()),
            os_version: None,
        })
    }
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a platform as OS/ARCH or OS/ARCH/VARIANT, such as linux/arm64/v8, found `{found}`"
)]
pub struct PlatformError {
    found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn default_variants_are_the_usual_ones() {
        let serves = |have: &str, want: &str| platform(have).serves(&platform(want)).is_some();
        assert!(serves("linux/arm64", "linux/arm64/v8"));
        assert!(serves("linux/arm64/v8", "linux/arm64"));
        assert!(serves("linux/arm/v6", "linux/arm/v7"));
        assert!(!serves("linux/arm/v7", "linux/arm/v6"));
        assert!(!serves("linux/amd64/v3", "linux/amd64"));
        assert!(!serves("linux/amd64", "linux/arm64"));
        assert!(!serves("windows/amd64", "linux/amd64"));
    }

    #[test]
    fn malformed_platforms_are_refused() {
        for text in ["", "linux", "linux/", "linux/arm/v7/x", "linux/ar m"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
