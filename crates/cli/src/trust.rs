//! Which Sigstore instance is trusted: by flags, by the policy file, by a file of configuration, or the public-good one.
//!
//! If flags and the policy file name two, that is an error. One that can't be read is never replaced by another.

use std::path::{Path, PathBuf};

use countersign_oci::Digest;
use countersign_oci::http::{Connection, shown};
use countersign_policy::{Policy, SigstoreInstance, Trust};
use countersign_verify::{TrustSource, TrustedRoot, TufNetwork};
use serde_json::{Value, json};
use url::Url;

use crate::arguments::trust::TrustArguments;
use crate::environment::{Environment, Variable};
use crate::failure::{Failure, Kind};
use crate::input::{is_same_file, read_bytes, read_text};
use crate::policy::LoadedPolicy;
use crate::printable;
use crate::settings::TrustSetting;

/// An instance that was chosen, not yet read.
pub(crate) struct Instance {
    pub(crate) choice: Choice,
    /// Whether flags or the policy file chose it. Else it is what is trusted by default.
    pub(crate) is_named: bool,
    /// The policy's words for it, where it was the policy that chose.
    trust: Option<Trust>,
    /// Whether a TUF repository may be asked.
    pub(crate) network: TufNetwork,
}

/// By what an instance was chosen.
pub(crate) enum Choice {
    /// By a `trusted_root.json`.
    File(PathBuf),
    /// By a TUF repository and its initial `root.json`.
    Tuf { url: Url, root: PathBuf },
    /// By its name, or by nothing: the public-good instance.
    Named(SigstoreInstance),
}

/// The instance that the flags or the policy file name. When they name two there is no telling which is
/// meant, so that is an error. When neither does it is the one of a file of configuration, or the public-good one.
pub(crate) fn instance(
    arguments: &TrustArguments,
    policy: Option<&LoadedPolicy>,
    environment: &Environment,
) -> Result<Instance, Failure> {
    let trust = policy.and_then(|loaded| loaded.policy.trust().cloned());
    let file = policy.and_then(|loaded| loaded.file.as_deref());
    let by_policy = trust.as_ref().map(|trust| by_policy(trust, file));
    let by_flags = by_flags(arguments)?;
    let is_named = by_flags.is_some() || by_policy.is_some();
    let choice = match (by_flags, by_policy) {
        (Some(flag), Some(of_policy)) if is_same(&flag, &of_policy) => of_policy,
        (Some(_), Some(_)) => {
            return Err(Failure::new(
                Kind::Usage,
                "the policy file and the flags name two Sigstore instances",
            )
            .hint("remove the flags, or, if the policy is no kit's, its `trust`"));
        }
        (Some(choice), None) | (None, Some(choice)) => choice,
        (None, None) => by_default(environment),
    };
    Ok(Instance {
        choice,
        is_named,
        trust,
        network: if arguments.offline {
            TufNetwork::Offline
        } else {
            TufNetwork::Online
        },
    })
}

/// Whether flags and policy name the same instance.
fn is_same(flag: &Choice, of_policy: &Choice) -> bool {
    match (flag, of_policy) {
        (Choice::Named(one), Choice::Named(other)) => one == other,
        (Choice::File(one), Choice::File(other)) => is_same_file(one, other),
        (
            Choice::Tuf { url, root },
            Choice::Tuf {
                url: other,
                root: other_root,
            },
        ) => url == other && is_same_file(root, other_root),
        (Choice::File(_) | Choice::Tuf { .. } | Choice::Named(_), _) => false,
    }
}

/// The instance that is trusted where nothing else names one.
fn by_default(environment: &Environment) -> Choice {
    let trust = environment.settings().trust.as_ref();
    match trust.map(|trust| &trust.value) {
        Some(TrustSetting::File(path)) => Choice::File(path.clone()),
        Some(TrustSetting::Instance(instance)) => Choice::Named(*instance),
        None => Choice::Named(SigstoreInstance::PublicGood),
    }
}

/// The instance that the flags name, if they name one.
fn by_flags(arguments: &TrustArguments) -> Result<Option<Choice>, Failure> {
    let TrustArguments {
        trust,
        trusted_root,
        tuf_url,
        tuf_root,
        offline: _,
    } = arguments;
    if let Some(named) = trust {
        return Ok(Some(Choice::Named(*named)));
    }
    match (trusted_root, tuf_url, tuf_root) {
        (None, None, None) => Ok(None),
        (Some(path), None, None) => Ok(Some(Choice::File(path.clone()))),
        (None, Some(url), Some(root)) => Ok(Some(Choice::Tuf {
            url: url.clone(),
            root: root.clone(),
        })),
        // The reader of the command line refuses these already.
        (Some(_), Some(_), _)
        | (Some(_), _, Some(_))
        | (None, Some(_), None)
        | (None, None, Some(_)) => Err(Failure::new(
            Kind::Usage,
            "expected --trusted-root alone, or --tuf-url with --tuf-root",
        )
        .hint("give one way to a trusted root")),
    }
}

/// The instance of a policy's `trust`; its paths are relative to the policy's file.
fn by_policy(trust: &Trust, file: Option<&Path>) -> Choice {
    let directory = file.and_then(Path::parent).unwrap_or(Path::new(""));
    match trust {
        Trust::Instance(instance) => Choice::Named(*instance),
        Trust::TrustedRoot { file } => Choice::File(directory.join(file)),
        Trust::Tuf { url, root_file } => Choice::Tuf {
            url: url.clone(),
            root: directory.join(root_file),
        },
    }
}

impl Instance {
    /// The `trust` of a policy for this instance, if flags name one that is not the public-good one. Its paths are whole,
    /// wherever the policy will be.
    ///
    /// # Errors
    /// If a path is not UTF-8: no policy can name it.
    pub(crate) fn of_flags_as_trust(&self) -> Result<Option<Value>, Failure> {
        if !self.is_named || self.trust.is_some() {
            return Ok(None);
        }
        Ok(match &self.choice {
            Choice::Named(SigstoreInstance::PublicGood) => None,
            Choice::Named(instance) => Some(json!(instance.name())),
            Choice::File(path) => {
                let path = path_in_policy(path, "trusted root")?;
                Some(json!({ "trusted_root": path }))
            }
            Choice::Tuf { url, root } => {
                let (url, root) = (url.as_str(), path_in_policy(root, "TUF root")?);
                Some(json!({ "tuf_url": url, "tuf_root": root }))
            }
        })
    }

    /// Where its trusted root comes from, in words. Two instances may have one name: see [`Self::identity`].
    pub(crate) fn name(&self) -> String {
        match &self.choice {
            Choice::File(path) => path.display().to_string(),
            // It may have a login in it.
            Choice::Tuf { url, .. } => shown(url),
            Choice::Named(SigstoreInstance::PublicGood) => "the public-good instance".to_owned(),
            Choice::Named(SigstoreInstance::GitHub) => "GitHub's own instance".to_owned(),
        }
    }

    /// What tells it from others, wherever its files are: by their content.
    pub(crate) fn identity(&self) -> Result<String, Failure> {
        Ok(match &self.choice {
            Choice::File(path) => {
                let text = read_text(path, "trusted root")?;
                format!("trusted root {}", Digest::sha256(text.as_bytes()))
            }
            Choice::Tuf { url, root } => {
                format!("TUF {url} from {}", Digest::sha256(&read_root(root)?))
            }
            Choice::Named(instance) => format!("instance {}", instance.name()),
        })
    }

    /// Reads the trusted root that every signature is checked against.
    pub(crate) async fn trusted_root(
        &self,
        environment: &Environment,
        connection: &Connection,
    ) -> Result<TrustedRoot, Failure> {
        let source = self.source(environment);
        let source = source.map_err(|failure| failure.hinted(self.origin(environment)))?;
        let loaded = TrustedRoot::load(&source, connection).await;
        let root = loaded.map_err(|error| {
            let failure = match another_file(&self.choice) {
                Some((found, hint)) => Failure::new(
                    Kind::Usage,
                    format!("expected a trusted root in {}, found {found}", self.name()),
                )
                .hint(hint),
                None => Failure::from(error).of_instance(self.trust.is_some()),
            };
            let failure = failure.hinted(self.origin(environment));
            match COSIGN_ROOTS.into_iter().find(|variable| environment.variable(*variable).is_some()) {
                Some(variable) => failure.also(format!(
                    "{variable} is not used: its authorities and logs belong into a trusted root; pass --trusted-root FILE"
                )),
                None => failure,
            }
        })?;
        Ok(match &self.trust {
            Some(trust) => root.for_trust(trust.clone()),
            None => root,
        })
    }

    /// Which configuration names the trusted root, if one does.
    fn origin(&self, environment: &Environment) -> Option<String> {
        let Choice::File(path) = &self.choice else {
            return None;
        };
        let set = environment.settings().trust.as_ref();
        let set = set.filter(|_| self.trust.is_none())?;
        (set.value == TrustSetting::File(path.clone())).then(|| set.origin())
    }

    /// As [`Self::trusted_root`], but a TUF repository is asked however fresh the cache is.
    pub(crate) async fn update(
        &self,
        environment: &Environment,
        connection: &Connection,
    ) -> Result<TrustedRoot, Failure> {
        Ok(TrustedRoot::update(&self.source(environment)?, connection).await?)
    }

    /// The TUF repository's URL without a login, and the directory of its cache, if it is one.
    pub(crate) fn tuf(
        &self,
        environment: &Environment,
    ) -> Result<Option<(String, PathBuf)>, Failure> {
        let source = self.source(environment)?;
        let shown = |url: &str| match &self.choice {
            Choice::Tuf { url, .. } => shown(url),
            Choice::File(_) | Choice::Named(_) => url.to_owned(),
        };
        Ok(source
            .tuf()
            .map(|(url, cache)| (shown(url), cache.to_owned())))
    }

    /// The trusted root to judge by `policy` with. A policy that needs none gets one without authorities, and
    /// nothing is read or asked.
    pub(crate) async fn trusted_root_for(
        &self,
        policy: &Policy,
        environment: &Environment,
        connection: &Connection,
    ) -> Result<TrustedRoot, Failure> {
        if policy.needs_trusted_root() {
            let root = self.trusted_root(environment, connection).await;
            return root.map_err(|failure| {
                if failure.is_of_absent_root() && !policy.accepts_certificates() {
                    failure.hint(UNLOGGED_KEY)
                } else {
                    failure
                }
            });
        }
        let root = TrustedRoot::empty()?;
        Ok(match &self.trust {
            Some(trust) => root.for_trust(trust.clone()),
            None => root,
        })
    }

    /// Where the trusted root is to be had, for a verifier that asks for it when it is needed.
    pub(crate) fn source(&self, environment: &Environment) -> Result<TrustSource, Failure> {
        Ok(match &self.choice {
            Choice::File(path) => TrustSource::File {
                name: path.display().to_string(),
                json: read_text(path, "trusted root").map_err(|failure| match self.trust {
                    Some(_) => failure.hint(BESIDE_POLICY),
                    None => failure,
                })?,
            },
            Choice::Tuf { url, root } => {
                let root = read_root(root)?;
                TrustSource::Tuf {
                    url: url.clone(),
                    cache: tuf_cache(environment, url, &root)?.join("trusted-root"),
                    root,
                    network: self.network,
                }
            }
            Choice::Named(instance) => {
                let cache = cache(environment, instance.name())?.join("trusted-root");
                let network = self.network;
                match instance {
                    SigstoreInstance::PublicGood => TrustSource::PublicGood { cache, network },
                    SigstoreInstance::GitHub => TrustSource::GitHub { cache, network },
                }
            }
        })
    }
}

/// The path of a `what` as a policy has it: whole.
fn path_in_policy(path: &Path, what: &str) -> Result<String, Failure> {
    let whole =
        std::path::absolute(path).map_err(|error| Failure::unreadable(path, what, error))?;
    whole.into_os_string().into_string().map_err(|whole| {
        let found = printable::path(Path::new(&whole));
        let message = format!(
            "expected a path in UTF-8 for the {what}, found {found}: no policy can name it"
        );
        Failure::new(Kind::Usage, message).hint("rename the file or its directory, or use a copy")
    })
}

/// What a file is that is no trusted root, and what to do with it.
fn another_file(choice: &Choice) -> Option<(&'static str, &'static str)> {
    let Choice::File(path) = choice else {
        return None;
    };
    let file: Value = serde_json::from_str(&read_text(path, "trusted root").ok()?).ok()?;
    let media_type = file.get("mediaType").and_then(Value::as_str);
    if media_type.is_some_and(|it| it.starts_with("application/vnd.dev.sigstore.signingconfig")) {
        return Some((
            "a signing config",
            "pass it with --signing-config; the trusted root is another file, `trusted_root.json` of the same instance",
        ));
    }
    let signed = file.get("signed").and_then(|signed| signed.get("_type"));
    (signed.and_then(Value::as_str) == Some("root")).then_some((
        "the root of a TUF repository",
        "pass it with --tuf-root, and the repository's address with --tuf-url",
    ))
}

/// Variables that name authorities and logs for cosign.
const COSIGN_ROOTS: [Variable; 3] = [
    Variable::CosignRootFile,
    Variable::CosignRekorKey,
    Variable::CosignCtLogKey,
];

/// Where a file is looked for that a policy names.
const BESIDE_POLICY: &str = "the policy's `trust` names it: a path that does not begin with `/` is relative to the policy file";

/// What a policy of keys can do without a trusted root.
const UNLOGGED_KEY: &str = "if the key's signatures are in no log, say so in a policy file: `ignore_tlog: true` beside `key`; \
     then no trusted root is needed, and nothing proves the time";

/// Bytes of an initial `root.json`. The public one has 6 KiB.
const ROOT_MAX: u64 = 1 << 20;

/// The initial `root.json` of a TUF repository.
pub(crate) fn read_root(path: &Path) -> Result<Vec<u8>, Failure> {
    read_bytes(path, "TUF root", ROOT_MAX)
}

/// Where metadata of a TUF repository is kept. Two repositories must not share a cache, and
/// neither must two roots at one address.
pub(crate) fn tuf_cache(
    environment: &Environment,
    url: &Url,
    root: &[u8],
) -> Result<PathBuf, Failure> {
    let name = Digest::sha256(&[url.as_str().as_bytes(), &[0], root].concat());
    cache(environment, name.hex())
}

/// Where TUF metadata of the repository `name` is kept.
pub(crate) fn cache(environment: &Environment, name: &str) -> Result<PathBuf, Failure> {
    let directory = environment.cache_directory().ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            "there is no directory for the cache of the trusted root: HOME is not set",
        )
        .hint("set COUNTERSIGN_CACHE_DIR, or pass --trusted-root FILE")
    })?;
    Ok(directory.join("tuf").join(name))
}
