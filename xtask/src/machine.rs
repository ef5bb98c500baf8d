//! What this machine's architecture is called, by whom.

use anyhow::bail;

/// A machine that the tasks were written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    Amd64,
    Arm64,
}

impl Machine {
    /// # Errors
    /// When this is another one.
    pub(crate) fn this() -> anyhow::Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("expected a machine of x86_64 or aarch64, found {other}"),
        }
    }

    /// What Debian, Go and image specifications call it.
    pub(crate) fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What Debian's folders of libraries are called on it.
    pub(crate) fn multiarch(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// What GitHub's runners call it.
    pub(crate) fn of_runner(self) -> &'static str {
        match self {
            Self::Amd64 => "X64",
            Self::Arm64 => "ARM64",
        }
    }
}
