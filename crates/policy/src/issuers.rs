//! Issuers of the public-good Sigstore that more than one part of the product knows by name.

/// GitHub Actions. An enterprise may have an issuer of its own: the same, a slash, and its name.
pub const GITHUB_ACTIONS: &str = "https://token.actions.githubusercontent.com";
/// GitLab's own instance.
pub const GITLAB: &str = "https://gitlab.com";
/// Buildkite.
pub const BUILDKITE: &str = "https://agent.buildkite.com";
/// CircleCI. An organisation has an issuer of its own: [`CIRCLECI_ORGANISATIONS`], and its number.
pub const CIRCLECI: &str = "https://oidc.circleci.com";
/// What the issuers of CircleCI's organisations begin with.
pub const CIRCLECI_ORGANISATIONS: &str = "https://oidc.circleci.com/org/";
/// Accounts of Google: people and service accounts, by their address.
pub const GOOGLE: &str = "https://accounts.google.com";
/// Accounts of GitHub, by their address.
pub const GITHUB_LOGIN: &str = "https://github.com/login/oauth";
/// Accounts of Microsoft, by their address.
pub const MICROSOFT: &str = "https://login.microsoftonline.com";
