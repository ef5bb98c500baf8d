//! The forms in which a run writes signatures.

use countersign_policy::SignatureFormat;

/// The forms in which a run writes signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WrittenFormats {
    /// Sigstore bundles.
    #[default]
    Bundle,
    /// The legacy form of cosign, for consumers that read nothing else. It needs a Rekor v1 log.
    SimpleSigning,
    /// Both, bundles first.
    Both,
}

impl WrittenFormats {
    /// Each of them, in the order in which they are written.
    pub fn each(self) -> &'static [SignatureFormat] {
        match self {
            Self::Bundle => &[SignatureFormat::Bundle],
            Self::SimpleSigning => &[SignatureFormat::SimpleSigning],
            Self::Both => &[SignatureFormat::Bundle, SignatureFormat::SimpleSigning],
        }
    }

    /// Whether this form is written.
    pub fn contains(self, format: SignatureFormat) -> bool {
        self.each().contains(&format)
    }
}
