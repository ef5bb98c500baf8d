//! Instances of Sigstore that have a name here.

use std::fmt;

/// The certificate authority of [`SigstoreInstance::PublicGood`].
pub(crate) const PUBLIC_FULCIO: &str = "https://fulcio.sigstore.dev";
/// Its transparency log.
pub(crate) const PUBLIC_REKOR: &str = "https://rekor.sigstore.dev";

/// An instance of Sigstore whose TUF root is built into the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SigstoreInstance {
    /// The public instance, which anybody can use: `public-good`.
    PublicGood,
    /// GitHub's own, for attestations of private repositories: `github`. It has no logs. A timestamp authority
    /// alone proves when a signature was made.
    GitHub,
}

impl SigstoreInstance {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::PublicGood, Self::GitHub];

    /// Its name in policies and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::PublicGood => "public-good",
            Self::GitHub => "github",
        }
    }

    /// The instance with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|instance| instance.name() == name)
    }
}

impl fmt::Display for SigstoreInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
