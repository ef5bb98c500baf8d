//! Platforms: operating system, architecture and variant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::excerpt::excerpt;
use crate::from_object_alone;
use crate::json::{null_is_empty, written_as_derived};

/// The platform of an image, in the names of Go's `GOOS` and `GOARCH` (OCI image specification,
/// "Image Index", `platform`).
///
/// A platform that is read from JSON keeps its names as they are. A field that is missing, `null`
/// or empty is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Platform {
    /// Operating system: `linux`, `windows`, `darwin`.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub os: String,
    /// CPU architecture: `amd64`, `arm64`, `arm`.
    #[serde(
        default,
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_empty"
    )]
    pub architecture: String,
    /// The architecture's variant: `v8`, `v7`; `None` if the architecture has only one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "empty_is_none"
    )]
    pub variant: Option<String>,
    /// Version of the operating system; Windows images have it.
    #[serde(
        default,
        rename = "os.version",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
}

from_object_alone!(Platform);
written_as_derived!(Platform);

impl Platform {
    /// This machine's platform, but always with the operating system `linux`: on other systems
    /// containers run in a Linux virtual machine, and images are built for that.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "arm" => ("arm", Some("v7".to_owned())),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "powerpc64" => ("ppc64", None),
            other => (usual_architecture(other).0, None),
        };
        Self {
            os: "linux".into(),
            architecture: architecture.into(),
            variant,
            os_version: None,
        }
    }

    /// Whether both operating system and architecture are known.
    pub fn is_complete(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty()
    }

    /// How well an image for `self` fits a machine of `wanted`: `None` if it can't run there, else
    /// a rank, where higher is nearer. Different names of one platform are equal, as in
    /// containerd's `platforms.Normalize`. A missing variant means the architecture's usual one
    /// (`arm64` is `v8`, `arm` is `v7`, `amd64` is `v1`). A lower variant runs on a higher one.
    pub fn serves(&self, wanted: &Self) -> Option<u32> {
        let (have, want) = (self.normalized(), wanted.normalized());
        if have.os != want.os || have.is_unknown() || have.architecture != want.architecture {
            return None;
        }
        match (have.level(), want.level()) {
            (Some(have), Some(want)) => (have <= want).then_some(have),
            _ => (have.variant == want.variant).then_some(0),
        }
    }

    /// Whether the two are names of one platform: `linux/arm64` is `linux/arm64/v8`. What is no image has no platform.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.serves(other).is_some() && other.serves(self).is_some()
    }

    /// Whether this is what BuildKit writes for what is no image, such as an attestation:
    /// `unknown/unknown`.
    pub fn is_unknown(&self) -> bool {
        self.os == Self::UNKNOWN
    }

    /// The operating system of what is no image.
    pub const UNKNOWN: &str = "unknown";

    /// Whether an image with this platform in its configuration is not for `wanted`. Empty fields
    /// contradict nothing: images that were built from bare layers have them.
    ///
    /// Call this for each selected image, because an index can say anything about its children.
    pub fn contradicts(&self, wanted: &Self) -> bool {
        let (have, want) = (self.normalized(), wanted.normalized());
        let differs = |have: &str, want: &str| !have.is_empty() && have != want;
        differs(&have.os, &want.os)
            || differs(&have.architecture, &want.architecture)
            || (self.is_complete() && self.variant.is_some() && self.serves(wanted).is_none())
    }

    /// The platform with the names of Go and OCI: `x86_64` becomes `amd64`, `arm64/v8` becomes
    /// `arm64`, `armv7l` becomes `arm/v7`. Unknown names stay.
    fn normalized(&self) -> Self {
        let os = match self.os.to_ascii_lowercase() {
            os if os == "macos" => "darwin".into(),
            os => os,
        };
        let named = self.architecture.to_ascii_lowercase();
        let (architecture, implied) = usual_architecture(&named);
        let variant = self.variant.as_deref().map(str::to_ascii_lowercase);
        let variant = match (architecture, variant.as_deref().or(implied)) {
            ("amd64", Some("v1" | "1")) | ("arm64", Some("v8" | "8" | "v8.0" | "8.0")) => None,
            ("arm64", Some("v9.0" | "9.0")) => Some("v9".into()),
            ("386", _) => None,
            ("arm", None) => Some("v7".into()),
            ("arm" | "arm64" | "amd64", Some(bare))
                if bare.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                Some(format!("v{bare}"))
            }
            (_, variant) => variant.map(str::to_owned),
        };
        Self {
            os,
            architecture: architecture.into(),
            variant,
            os_version: self.os_version.clone(),
        }
    }

    /// The variant of a normalized platform as a number; a missing variant counts as the
    /// architecture's default.
    fn level(&self) -> Option<u32> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None) => Some(8),
            ("amd64", None) => Some(1),
            (_, Some(variant)) => variant.strip_prefix('v')?.parse().ok(),
            (_, None) => None,
        }
    }
}

fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.is_empty()))
}

/// Go's name for an architecture by its name in the kernel, Rust or Debian, and the variant that
/// the name implies.
fn usual_architecture(name: &str) -> (&str, Option<&'static str>) {
    match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "x86" | "i386" | "i486" | "i586" | "i686" => ("386", None),
        "aarch64" => ("arm64", None),
        "armhf" | "armv7" | "armv7l" | "armv7a" => ("arm", Some("v7")),
        "armel" | "armv6" | "armv6l" => ("arm", Some("v6")),
        "armv5" | "armv5l" | "armv5tel" => ("arm", Some("v5")),
        "armv8l" => ("arm", Some("v8")),
        "ppc64el" | "powerpc64le" => ("ppc64le", None),
        "loongarch64" => ("loong64", None),
        other => (other, None),
    }
}

/// Architectures that may stand without an operating system.
const ARCHITECTURES: [&str; 13] = [
    "amd64", "386", "arm64", "arm", "ppc64le", "ppc64", "s390x", "riscv64", "loong64", "mips64le",
    "mips64", "mipsle", "mips",
];

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |part: &str| match part {
            "" => "(unnamed)".to_owned(),
            part => excerpt(part),
        };
        write!(f, "{}/{}", named(&self.os), named(&self.architecture))?;
        match &self.variant {
            None => Ok(()),
            Some(variant) => write!(f, "/{}", excerpt(variant)),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// `OS/ARCH`, `OS/ARCH/VARIANT`, or a known architecture alone, which means Linux. Other names
    /// of the same platform, such as `linux/x86_64`, become the usual ones.
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let malformed = || PlatformError {
            found: excerpt(text),
        };
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        };
        if !parts.iter().all(|part| word(part)) {
            return Err(malformed());
        }
        let (os, architecture, variant) = match parts.as_slice() {
            [architecture] => ("linux", *architecture, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            _ => return Err(malformed()),
        };
        let named = Self {
            os: os.into(),
            architecture: architecture.into(),
            variant,
            os_version: None,
        };
        let usual = named.normalized();
        if parts.len() == 1 && !ARCHITECTURES.contains(&&*usual.architecture) {
            return Err(malformed());
        }
        // A default variant isn't added: `linux/arm` stays `linux/arm`.
        Ok(
            match (&named.variant, usual.architecture == named.architecture) {
                (None, true) => Self {
                    variant: None,
                    ..usual
                },
                _ => usual,
            },
        )
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
    fn other_names_for_a_platform_are_understood() {
        for (text, expected) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/x86-64", "linux/amd64"),
            ("Linux/AMD64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/i386", "linux/386"),
            ("linux/i686", "linux/386"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm64/v9", "linux/arm64/v9"),
            ("linux/armv7l", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/armv6l", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/arm", "linux/arm"),
            ("macos/arm64", "darwin/arm64"),
            ("linux/ppc64el", "linux/ppc64le"),
            ("aarch64", "linux/arm64"),
            ("armv7l", "linux/arm/v7"),
            ("s390x", "linux/s390x"),
            ("plan9/vax/780", "plan9/vax/780"),
        ] {
            assert_eq!(platform(text).to_string(), expected, "{text}");
        }
    }

    /// A platform in the JSON of an index or a configuration.
    fn written(json: &str) -> Platform {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_index_may_use_other_names_too() {
        for (json, wanted) in [
            (r#"{"os":"linux","architecture":"x86_64"}"#, "linux/amd64"),
            (
                r#"{"os":"Linux","architecture":"amd64","variant":"v1"}"#,
                "linux/amd64",
            ),
            (
                r#"{"os":"linux","architecture":"arm64","variant":""}"#,
                "linux/arm64",
            ),
            (
                r#"{"os":"linux","architecture":"aarch64","variant":"8"}"#,
                "linux/arm64/v8",
            ),
            (
                r#"{"os":"linux","architecture":"arm","variant":""}"#,
                "linux/arm/v7",
            ),
            (
                r#"{"os":"linux","architecture":"arm","variant":"7"}"#,
                "linux/arm",
            ),
            (r#"{"os":"linux","architecture":"i386"}"#, "linux/386"),
        ] {
            assert!(written(json).serves(&platform(wanted)).is_some(), "{json}");
        }
        let unknown = written(r#"{"os":"unknown","architecture":"unknown"}"#);
        assert_eq!(unknown.serves(&unknown), None);
    }

    #[test]
    fn another_platform_is_a_contradiction_and_an_unnamed_one_is_not() {
        for (json, wanted, contradicts) in [
            (
                r#"{"os":"linux","architecture":"amd64"}"#,
                "linux/amd64",
                false,
            ),
            (
                r#"{"os":"linux","architecture":"x86_64"}"#,
                "linux/amd64",
                false,
            ),
            (
                r#"{"os":"linux","architecture":"amd64"}"#,
                "linux/arm64",
                true,
            ),
            (
                r#"{"os":"linux","architecture":"amd64"}"#,
                "windows/amd64",
                true,
            ),
            (
                r#"{"os":"linux","architecture":"arm","variant":"v7"}"#,
                "linux/arm/v6",
                true,
            ),
            (
                r#"{"os":"linux","architecture":"arm","variant":"v6"}"#,
                "linux/arm/v7",
                false,
            ),
            (
                r#"{"os":"linux","architecture":"arm"}"#,
                "linux/arm/v6",
                false,
            ),
            (
                r#"{"os":"","architecture":null,"variant":""}"#,
                "linux/arm64",
                false,
            ),
            (r#"{"architecture":"amd64"}"#, "linux/arm64", true),
            ("{}", "linux/arm64", false),
        ] {
            let found = written(json).contradicts(&platform(wanted));
            assert_eq!(found, contradicts, "{json} {wanted}");
        }
    }

    #[test]
    fn malformed_platforms_are_refused() {
        for text in [
            "",
            "linux",
            "pentium",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "linux/ar m",
        ] {
            assert_eq!(text.parse::<Platform>().unwrap_err().found, text);
        }
    }
}
