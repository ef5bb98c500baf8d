//! The configuration, and where it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use countersign_policy::{Demand, ImageVerifierConfig, Policy, Trust};
use countersign_verify::SignatureCache;

use crate::arguments::registry::RegistryArguments;
use crate::arguments::trust::TrustArguments;
use crate::environment::{Environment, Variable};
use crate::failure::Failure;
use crate::input::read_text;
use crate::policy::{self, LoadedPolicy};
use crate::settings::Settings;
use crate::trust::{self, Instance};

const FILE: &str = "/etc/countersign/image-verifier.yaml";
const STATE_DIRECTORY: &str = "/var/lib/countersign";
const LOG_FILE: &str = "/var/log/countersign/image-verifier.log";

/// The configuration, with the places that it names.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) file: PathBuf,
    pub(crate) content: ImageVerifierConfig,
    /// Paths of the keys' files, as they are written.
    keys: Vec<String>,
    /// With the directories and logins of the configuration.
    pub(super) environment: Environment,
}

impl Configuration {
    /// Reads the file that the environment names, or the usual one.
    pub(crate) fn load(environment: &Environment) -> Result<Self, Failure> {
        let file = environment.image_verifier_config();
        Self::read(&file.unwrap_or_else(|| FILE.into()), environment)
    }

    /// Reads `file`.
    pub(crate) fn read(file: &Path, environment: &Environment) -> Result<Self, Failure> {
        let text = read_text(file, "configuration of the image verifier").map_err(|failure| {
            failure.hint(format!(
                "write it, or name another file in {}",
                Variable::ImageVerifierConfig
            ))
        })?;
        let (content, keys) = policy::image_verifier_with_keys(&text, file)?;
        let mut configuration = Self {
            file: file.to_owned(),
            // What other commands have as defaults decides nothing here.
            environment: environment.clone().with_settings(Settings::default()),
            content,
            keys: keys.into_keys().collect(),
        };
        let state = configuration.state_directory();
        let logins = configuration.content.login_file.as_deref();
        let logins = logins.map(|file| configuration.path(file));
        let environment = &mut configuration.environment;
        environment.set(Variable::CacheDirectory, state.into());
        if let Some(logins) = logins {
            environment.set(Variable::RegistryAuthFile, logins.into());
        }
        Ok(configuration)
    }

    /// A path of the file, which is relative to it.
    fn path(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The files that it names, each once, with its key. They have to be there.
    pub(crate) fn files(&self) -> BTreeSet<(&'static str, PathBuf)> {
        let named = self.content.files().into_iter();
        let named = named.map(|file| (file.key(), file.path()));
        let keys = self.keys.iter().map(|file| ("key", file.as_str()));
        let all = named.chain(keys);
        all.map(|(key, file)| (key, self.path(file))).collect()
    }

    /// The policies of the rules that demand a signature.
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        let rules = self.content.rules.iter();
        rules.filter_map(|rule| match &rule.demand {
            Demand::Signature(policy) => Some(&**policy),
            Demand::Nothing { .. } => None,
        })
    }

    /// Those that need a trusted root.
    pub(super) fn policies_on_roots(&self) -> impl Iterator<Item = &Policy> {
        self.policies().filter(|policy| policy.needs_trusted_root())
    }

    pub(crate) fn state_directory(&self) -> PathBuf {
        let directory = self.content.state_directory.as_deref();
        directory.map_or_else(|| STATE_DIRECTORY.into(), |directory| self.path(directory))
    }

    /// Signatures that proved an image before, if they are kept.
    pub(super) fn signature_cache(&self) -> Option<SignatureCache> {
        let age = self.content.cache_age?.duration();
        let directory = self.state_directory().join("signatures");
        Some(SignatureCache::new(directory, age))
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        let file = self.content.log_file.as_deref();
        file.map_or_else(|| LOG_FILE.into(), |file| self.path(file))
    }

    /// The socket of systemd's journal, if decisions go there.
    pub(crate) fn journal_socket(&self) -> Option<PathBuf> {
        let socket = self.content.journal_socket.as_deref();
        socket.map(|socket| self.path(socket))
    }

    /// How registries are reached, beside what the environment says.
    pub(super) fn registry_arguments(&self) -> RegistryArguments {
        let ca_file = self.content.ca_file.as_deref();
        RegistryArguments {
            plain_http: false,
            allow_private_redirects: false,
            registry_ca: ca_file.map(|file| self.path(file)),
            timeout: None,
        }
    }

    /// The Sigstore instance that `policy` names, or else the file; without a policy, that of the file.
    pub(crate) fn instance(&self, policy: Option<&Policy>) -> Result<Instance, Failure> {
        let own = policy.filter(|policy| policy.trust().is_some());
        let trust = match own {
            Some(_) => None,
            None => self.content.trust.as_ref(),
        };
        let mut arguments = TrustArguments {
            trust: None,
            trusted_root: None,
            tuf_url: None,
            tuf_root: None,
            offline: false,
        };
        match trust {
            Some(Trust::Instance(instance)) => arguments.trust = Some(*instance),
            Some(Trust::TrustedRoot { file }) => arguments.trusted_root = Some(self.path(file)),
            Some(Trust::Tuf { url, root_file }) => {
                arguments.tuf_url = Some(url.clone());
                arguments.tuf_root = Some(self.path(root_file));
            }
            None => {}
        }
        let policy = own.map(|policy| LoadedPolicy {
            policy: policy.clone(),
            file: Some(self.file.clone()),
        });
        trust::instance(&arguments, policy.as_ref(), &self.environment)
    }
}
