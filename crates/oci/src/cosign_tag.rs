//! The tags at which cosign's older forms keep things beside an image.

/// What cosign's older forms keep beside an image. Each kind has a tag that is made of the image's digest:
/// [`Digest::tag_beside`](crate::Digest::tag_beside).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CosignTag {
    /// Legacy signatures (simple signing), at `sha256-<hex>.sig`.
    Signatures,
    /// Attestations in the form from before bundles, at `sha256-<hex>.att`.
    Attestations,
    /// An SBOM, at `sha256-<hex>.sbom`.
    Sbom,
}

impl CosignTag {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Signatures, Self::Attestations, Self::Sbom];

    /// The end of the tag, without the dot.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Signatures => "sig",
            Self::Attestations => "att",
            Self::Sbom => "sbom",
        }
    }
}
