//! Credentials by registry: logins from the caller, and the configuration files of docker and
//! podman.
//!
//! Only files that the caller names are read. `Debug` and errors never show a secret.
//!
//! The `docker_credential` crate reads the same files, but it doesn't find entries for a part of a
//! registry (podman's `quay.io/user`), it hides errors in a file, and it waits for a credential
//! helper without a limit.

mod helper;
mod login;
mod login_file;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::reference::Repository;

use helper::HelperError;
use login_file::{LoginFile, normal_key};

pub(crate) use login::{Login, Secret, secret_if_any};

/// The key for Docker Hub's login in docker's configuration.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// The largest configuration file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Where credentials come from. The caller names every source.
///
/// Logins from [`Credentials::with_login`] are used first, then files in the order in which they
/// were added. Within a file, a helper for the registry comes first, then its `auths` entry, then
/// `credsStore`. An entry may name a registry, or a part of one as in podman. The longest match is
/// used.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: Vec<(String, Login)>,
    files: Vec<Arc<LoginFile>>,
    helper_directories: Option<Vec<PathBuf>>,
}

impl Credentials {
    /// Adds a user and a password (or access token) for `registry`: a host, with its port if it has
    /// one, such as `ghcr.io`.
    #[must_use]
    pub fn with_login(
        mut self,
        registry: &str,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        let login = Login {
            secret: Secret::Password {
                user: user.into(),
                password: Zeroizing::new(password.into()),
            },
            from: "the login given".into(),
        };
        self.logins.push((normal_key(registry), login));
        self
    }

    /// Adds the contents of docker's `config.json` or podman's `auth.json`. Errors call the file
    /// `name`.
    ///
    /// # Errors
    /// [`Error::Credentials`], if the text is not such JSON.
    pub fn with_config(mut self, name: &str, json: &str) -> Result<Self> {
        let file = LoginFile::parse(name, json).map_err(|error| unreadable(None, name, error))?;
        self.files.push(Arc::new(file));
        Ok(self)
    }

    /// Reads a configuration file, and adds it like [`Credentials::with_config`].
    ///
    /// # Errors
    /// [`Error::Credentials`], if the file can't be read.
    pub fn with_config_file(self, path: &Path) -> Result<Self> {
        use std::io::Read;

        let name = path.display().to_string();
        let unreadable = |e: std::io::Error| unreadable(None, &name, e);
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut json = Zeroizing::new(String::new());
        let read = file.take(FILE_MAX + 1).read_to_string(&mut json);
        if read.map_err(unreadable)? as u64 > FILE_MAX {
            let detail = format!("the file has more than {FILE_MAX} bytes");
            return Err(unreadable(std::io::Error::other(detail)));
        }
        self.with_config(&name, &json)
    }

    /// Searches for credential helpers in these directories, and no longer in the system's
    /// directories for programs.
    #[must_use]
    pub fn with_helper_directories(mut self, directories: Vec<PathBuf>) -> Self {
        self.helper_directories = Some(directories);
        self
    }

    /// The login for a repository, if there is one. A helper must answer within `answer_time`.
    pub(crate) async fn login(
        &self,
        repository: &Repository,
        answer_time: Duration,
    ) -> Result<Option<Login>> {
        let keys = keys(repository);
        let given = |key: &String| self.logins.iter().find(|(name, _)| name == key);
        if let Some((_, login)) = keys.iter().find_map(given) {
            return Ok(Some(login.clone()));
        }
        for file in &self.files {
            if let Some(login) = self.login_in(file, repository, &keys, answer_time).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }

    async fn login_in(
        &self,
        file: &LoginFile,
        repository: &Repository,
        keys: &[String],
        answer_time: Duration,
    ) -> Result<Option<Login>> {
        if let Some((name, server)) = file.helper(keys) {
            return self.ask(name, server, repository, answer_time).await;
        }
        let from = file.name();
        let secret = file.secret(keys);
        let secret = secret.map_err(|e| unreadable(Some(repository.registry()), from, e))?;
        if let Some(secret) = secret {
            let from = from.into();
            return Ok(Some(Login { secret, from }));
        }
        let Some(name) = file.store() else {
            return Ok(None);
        };
        let registry = repository.registry();
        let server = if repository.is_on_docker_hub() {
            DOCKER_HUB_KEY
        } else {
            file.spelled(registry).unwrap_or(registry)
        };
        self.ask(name, server, repository, answer_time).await
    }

    async fn ask(
        &self,
        name: &str,
        server: &str,
        repository: &Repository,
        answer_time: Duration,
    ) -> Result<Option<Login>> {
        let program = format!("docker-credential-{name}");
        let answer = helper::ask(
            &program,
            self.helper_directories.as_deref(),
            server,
            answer_time,
        )
        .await
        .map_err(|e: HelperError| unreadable(Some(repository.registry()), &program, e))?;
        Ok(answer.map(|secret| Login {
            secret,
            from: program,
        }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let logins = self.logins.iter().map(|(registry, _)| registry);
        let files = self.files.iter().map(|file| file.name());
        f.debug_struct("Credentials")
            .field("logins", &logins.collect::<Vec<_>>())
            .field("files", &files.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn unreadable(
    registry: Option<&str>,
    from: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::Credentials {
        registry: registry.map(str::to_owned),
        from: from.into(),
        source: Box::new(source),
    }
}

/// The keys that an entry for `repository` may have, normalised, the longest first.
fn keys(repository: &Repository) -> Vec<String> {
    let whole = repository.to_string();
    let mut keys = vec![whole.clone()];
    let mut rest = whole.as_str();
    while let Some((parent, _)) = rest.rsplit_once('/') {
        keys.push(parent.into());
        rest = parent;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::login_file::LoginFileError;
    use super::*;

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    async fn found(json: &str, name: &str) -> Option<String> {
        let credentials = Credentials::default().with_config("test", json).unwrap();
        let repository = repository(name);
        let login = credentials.login(&repository, Duration::from_secs(5)).await;
        login.unwrap().map(|login| match login.secret {
            Secret::Password { user, password } => format!("{user}:{}", *password),
            Secret::Identity(token) => format!("identity {}", *token),
            Secret::Registry(token) => format!("registry {}", *token),
        })
    }

    #[tokio::test]
    async fn the_longest_match_counts() {
        // dTpw is u:p, dTE6cDE= is u1:p1.
        let json = r#"{"auths": {"quay.io": {"auth": "dTpw"}, "quay.io/a": {"auth": "dTE6cDE="}}}"#;
        assert_eq!(found(json, "quay.io/a/b").await.as_deref(), Some("u1:p1"));
        assert_eq!(found(json, "quay.io/ab/b").await.as_deref(), Some("u:p"));
        assert_eq!(found(json, "ghcr.io/a/b").await, None);
    }

    #[tokio::test]
    async fn docker_hub_goes_by_all_its_names() {
        for key in [
            "https://index.docker.io/v1/",
            "docker.io",
            "index.docker.io",
        ] {
            let json = format!(r#"{{"auths": {{"{key}": {{"username":"u","password":"p"}}}}}}"#);
            assert_eq!(
                found(&json, "alpine").await.as_deref(),
                Some("u:p"),
                "{key}"
            );
        }
    }

    #[tokio::test]
    async fn a_login_is_found_by_every_spelling_of_its_registry() {
        for (key, name, found_there) in [
            ("quay.io", "Quay.IO/app", true),
            ("quay.io", "quay.io:443/app", true),
            ("quay.io:443", "quay.io/app", true),
            ("QUAY.IO/acme", "quay.io/acme/app", true),
            ("https://quay.io:443", "quay.io/app", true),
            ("index.docker.io:443", "nginx", true),
            ("registry:443", "Registry:443/app", true),
            ("10.5:5000", "10.0.0.5:5000/app", true),
            ("quay.io", "quay.io:5000/app", false),
            ("quay.io:5000", "quay.io/app", false),
            ("registry", "registry:443/app", false),
            // Another server: it is asked without TLS.
            ("localhost:443", "localhost/app", false),
            ("localhost", "localhost:443/app", false),
            ("quay.io", "quay.io.evil.example/app", false),
        ] {
            let json = format!(r#"{{"auths": {{"{key}": {{"auth": "dTpw"}}}}}}"#);
            let login = found(&json, name).await;
            assert_eq!(login.is_some(), found_there, "{key} and {name}");
            let given = Credentials::default().with_login(key, "u", "p");
            let login = given.login(&repository(name), Duration::from_secs(5)).await;
            assert_eq!(login.unwrap().is_some(), found_there, "{key} and {name}");
        }
    }

    #[test]
    fn a_helper_is_asked_by_the_name_that_the_file_has() {
        let json = r#"{"auths": {"quay.io/acme": {}, "Quay.IO:443": {}}, "credsStore": "x"}"#;
        let file = LoginFile::parse("test", json).unwrap();
        assert_eq!(file.spelled("quay.io"), Some("Quay.IO:443"));
        assert_eq!(file.spelled("ghcr.io"), None);
    }

    #[tokio::test]
    async fn the_exact_spelling_of_a_registry_comes_first() {
        // In the order of bytes each stands behind the other spelling. dTpw is u:p, dTE6cDE= is u1:p1.
        for (other, exact, name) in [
            ("https://quay.io", "quay.io", "quay.io/app"),
            ("QUAY.IO:443", "quay.io", "quay.io/app"),
            ("10.5", "10.0.0.5", "10.0.0.5/app"),
        ] {
            let stores =
                format!(r#"{{"auths": {{"{other}": {{}}, "{exact}": {{}}}}, "credsStore": "x"}}"#);
            let file = LoginFile::parse("test", &stores).unwrap();
            assert_eq!(file.spelled(exact), Some(exact), "{other}");
            let helpers = format!(r#"{{"credHelpers": {{"{other}": "a", "{exact}": "b"}}}}"#);
            let file = LoginFile::parse("test", &helpers).unwrap();
            assert_eq!(
                file.helper(&[exact.to_owned()]),
                Some(("b", exact)),
                "{other}"
            );
            let secrets = format!(
                r#"{{"auths": {{"{other}": {{"auth": "dTpw"}}, "{exact}": {{"auth": "dTE6cDE="}}}}}}"#
            );
            assert_eq!(
                found(&secrets, name).await.as_deref(),
                Some("u1:p1"),
                "{other}"
            );
        }
    }

    #[tokio::test]
    async fn an_empty_entry_hides_no_login_under_another_name() {
        let json =
            r#"{"auths": {"docker.io": {}, "https://index.docker.io/v1/": {"auth": "dTpw"}}}"#;
        assert_eq!(found(json, "alpine").await.as_deref(), Some("u:p"));
        let json = r#"{"auths": {"quay.io/a": {"auth": ""}, "quay.io": {"auth": "dTpw"}}}"#;
        assert_eq!(found(json, "quay.io/a/b").await.as_deref(), Some("u:p"));
    }

    #[tokio::test]
    async fn tokens_come_before_passwords() {
        let json = r#"{"auths": {"a.io": {"auth": "dTpw", "identitytoken": "t"}}}"#;
        assert_eq!(found(json, "a.io/x").await.as_deref(), Some("identity t"));
        let json = r#"{"auths": {"a.io": {"registrytoken": "t"}, "b.io": {}}}"#;
        assert_eq!(found(json, "a.io/x").await.as_deref(), Some("registry t"));
        assert_eq!(found(json, "b.io/x").await, None);
    }

    #[tokio::test]
    async fn what_is_null_or_empty_is_no_login() {
        for json in [
            "",
            " \n",
            "\u{feff}",
            "{}",
            r#"{"auths": null, "credHelpers": null, "credsStore": null}"#,
            r#"{"auths": {"a.io": null}, "credHelpers": {"a.io": null}, "credsStore": ""}"#,
            r#"{"auths": {"a.io": {}}, "credHelpers": {"a.io": ""}}"#,
            r#"{"auths": {"a.io": {"auth": null}}}"#,
            r#"{"auths": {"a.io": {"auth": ""}}}"#,
        ] {
            assert_eq!(found(json, "a.io/x").await, None, "{json}");
        }
        let marked = "\u{feff}{\"auths\": {\"a.io\": {\"auth\": \"dTpw\"}}, \"credHelpers\": null}";
        assert_eq!(found(marked, "a.io/x").await.as_deref(), Some("u:p"));
    }

    #[tokio::test]
    async fn an_auth_without_a_colon_is_an_error_for_its_registry_alone() {
        // dXNlcg== is user.
        let json = r#"{"auths": {"a.io": {"auth": "dXNlcg=="}}}"#;
        assert_eq!(found(json, "b.io/x").await, None);
        let credentials = Credentials::default().with_config("test", json).unwrap();
        let repository = repository("a.io/x");
        let login = credentials.login(&repository, Duration::from_secs(5)).await;
        let Err(Error::Credentials { from, source, .. }) = login else {
            panic!("expected an error")
        };
        assert_eq!(from, "test");
        let source = source.downcast_ref::<LoginFileError>();
        assert!(matches!(source, Some(LoginFileError::Auth)), "{source:?}");
    }

    #[tokio::test]
    async fn a_login_given_comes_before_files() {
        let json = r#"{"auths": {"a.io": {"auth": "dTpw"}}}"#;
        let credentials = Credentials::default()
            .with_config("test", json)
            .unwrap()
            .with_login("https://a.io", "me", "secret");
        let login = credentials
            .login(&repository("a.io/x"), Duration::from_secs(5))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(login.to_string(), "as `me` by the login given");
    }

    #[tokio::test]
    async fn a_helpers_name_is_not_a_path() {
        let credentials = Credentials::default()
            .with_config("test", r#"{"credsStore": "x/../../../tmp/y"}"#)
            .unwrap();
        let repository = repository("a.io/x");
        let login = credentials.login(&repository, Duration::from_secs(5)).await;
        let Err(Error::Credentials { source, .. }) = login else {
            panic!("the helper must not be run")
        };
        let source = source.downcast_ref::<HelperError>();
        assert!(matches!(source, Some(HelperError::Name)), "{source:?}");
    }

    #[test]
    fn malformed_files_are_named_without_their_secrets() {
        let error = Credentials::default()
            .with_config("broken.json", r#"{"auths": {"a.io": "hunter2"}}"#)
            .unwrap_err();
        assert!(matches!(&error, Error::Credentials { from, .. } if from == "broken.json"));
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn debug_hides_secrets() {
        let credentials = Credentials::default().with_login("a.io", "me", "hunter2");
        let shown = format!("{credentials:?}");
        assert!(
            shown.contains("a.io") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
