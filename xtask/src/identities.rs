//! Who signs what the tasks publish.

/// The workflow that releases the images.
pub(crate) const RELEASE_WORKFLOW: &str =
    "https://github.com/example/app/.github/workflows/release.yml@refs/tags/v1";
