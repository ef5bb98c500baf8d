//! The variables that are read: one list, against which a test holds the table in `docs/scripting.md`.

use std::fmt;

/// Makes the enum, the list of all, and their names from one list.
macro_rules! variables {
    ($($variant:ident = $name:literal,)*) => {
        /// A variable of the environment that this program reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Variable {
            $($variant,)*
        }

        impl Variable {
            /// All that are read.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in the environment.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

variables! {
    StoreDirectory = "COUNTERSIGN_STORE_DIR",
    Configuration = "COUNTERSIGN_CONFIG",
    CacheDirectory = "COUNTERSIGN_CACHE_DIR",
    ImageVerifierConfig = "COUNTERSIGN_IMAGE_VERIFIER_CONFIG",
    RequireIntegrity = "COUNTERSIGN_REQUIRE_INTEGRITY",
    Log = "COUNTERSIGN_LOG",

    NoColor = "NO_COLOR",
    Clicolor = "CLICOLOR",
    ClicolorForce = "CLICOLOR_FORCE",
    Term = "TERM",

    IdentityToken = "SIGSTORE_ID_TOKEN",
    GitHubActions = "GITHUB_ACTIONS",
    GitHubRequestUrl = "ACTIONS_ID_TOKEN_REQUEST_URL",
    GitHubRequestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    GitLabCi = "GITLAB_CI",
    Buildkite = "BUILDKITE",
    CircleCi = "CIRCLECI",

    Ci = "CI",
    Display = "DISPLAY",
    WaylandDisplay = "WAYLAND_DISPLAY",
    WslDistroName = "WSL_DISTRO_NAME",
    SshConnection = "SSH_CONNECTION",
    SshTty = "SSH_TTY",

    RegistryAuthFile = "REGISTRY_AUTH_FILE",
    DockerConfig = "DOCKER_CONFIG",

    HttpsProxy = "HTTPS_PROXY",
    HttpsProxyLower = "https_proxy",
    AllProxy = "ALL_PROXY",
    AllProxyLower = "all_proxy",
    NoProxy = "NO_PROXY",
    NoProxyLower = "no_proxy",

    XdgConfigHome = "XDG_CONFIG_HOME",
    XdgDataHome = "XDG_DATA_HOME",
    XdgCacheHome = "XDG_CACHE_HOME",
    XdgRuntimeDirectory = "XDG_RUNTIME_DIR",
    Home = "HOME",
    TemporaryDirectory = "TMPDIR",
    Path = "PATH",

    CosignRepository = "COSIGN_REPOSITORY",
    CosignRootFile = "SIGSTORE_ROOT_FILE",
    CosignRekorKey = "SIGSTORE_REKOR_PUBLIC_KEY",
    CosignCtLogKey = "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
