//! The files that a configuration, or a policy, names.

use std::collections::BTreeSet;

use super::{Demand, ImageVerifierConfig};
use crate::policy::{Policy, Trust};

/// A file that has to be there for a verdict. Its path is as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedFile<'a> {
    /// Logins for registries.
    Logins(&'a str),
    /// More certificate authorities for TLS with registries.
    CertificateAuthorities(&'a str),
    /// A `trusted_root.json`.
    TrustedRoot(&'a str),
    /// The initial `root.json` of a TUF repository.
    TufRoot(&'a str),
}

impl<'a> NamedFile<'a> {
    /// The key that names it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Logins(_) => "login_file",
            Self::CertificateAuthorities(_) => "ca_file",
            Self::TrustedRoot(_) => "trusted_root",
            Self::TufRoot(_) => "tuf_root",
        }
    }

    /// Its path.
    pub fn path(self) -> &'a str {
        match self {
            Self::Logins(path)
            | Self::CertificateAuthorities(path)
            | Self::TrustedRoot(path)
            | Self::TufRoot(path) => path,
        }
    }
}

impl Trust {
    /// The file that it names, if it does.
    pub fn file(&self) -> Option<NamedFile<'_>> {
        match self {
            Self::Instance(_) => None,
            Self::TrustedRoot { file } => Some(NamedFile::TrustedRoot(file)),
            Self::Tuf { url: _, root_file } => Some(NamedFile::TufRoot(root_file)),
        }
    }
}

impl ImageVerifierConfig {
    /// The files that it and its policies name, each once. Those that are written are none, and neither are keys, which
    /// are read with the configuration.
    pub fn files(&self) -> BTreeSet<NamedFile<'_>> {
        // Whole, so that a new path has to be thought of here.
        let Self {
            login_file,
            ca_file,
            trust,
            rules,
            state_directory: _,
            log_file: _,
            journal_socket: _,
            default: _,
            mode: _,
            deadline: _,
            cache_age: _,
            log_bytes: _,
            mirrors: _,
        } = self;
        let policies = rules.iter().filter_map(|rule| match &rule.demand {
            Demand::Signature(policy) => Some(&**policy),
            Demand::Nothing { .. } => None,
        });
        let roots = policies.filter_map(Policy::trust).chain(trust);
        let logins = login_file.as_deref().map(NamedFile::Logins);
        let authorities = ca_file.as_deref().map(NamedFile::CertificateAuthorities);
        let roots = roots.filter_map(Trust::file);
        logins.into_iter().chain(authorities).chain(roots).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_that_is_read_is_named_once() {
        let text = "\
login_file: logins.json
ca_file: ca.pem
trusted_root: own.json
state_directory: state
log_file: log
rules:
- {images: [a.example/**], verification: {issuer: i, identity: a, trust: {trusted_root: other.json}}}
- {images: [b.example/**], verification: {issuer: i, identity: b, trust: {tuf_url: 'https://t.example', tuf_root: root.json}}}
- {images: [c.example/**], verification: {issuer: i, identity: c, trust: {trusted_root: own.json}}}
- {images: [d.example/**], allow: true, reason: of others}
";
        let config = ImageVerifierConfig::parse(text, "image-verifier.yaml").unwrap();
        let files: Vec<_> = config.files().into_iter().collect();
        let expected = [
            NamedFile::Logins("logins.json"),
            NamedFile::CertificateAuthorities("ca.pem"),
            NamedFile::TrustedRoot("other.json"),
            NamedFile::TrustedRoot("own.json"),
            NamedFile::TufRoot("root.json"),
        ];
        assert_eq!(files, expected);
    }
}
