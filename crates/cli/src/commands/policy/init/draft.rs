//! The text of a new policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use countersign_policy::{COSIGN_SIGN_PREDICATE, SignatureFormat};
use countersign_verify::{Evidence, SignedBy};
use serde_json::Value;

/// A policy that accepts these signers and nobody else.
#[derive(Debug)]
pub(super) struct Draft {
    /// The image that it was made from, if any.
    image: Option<String>,
    pub(super) signers: BTreeSet<Signer>,
    /// For each kind of statement, the forms in which each signer made it.
    found: BTreeMap<String, BTreeMap<Signer, BTreeSet<SignatureFormat>>>,
    /// The instance whose trusted root is needed, as the policy has it, if it is not the usual one.
    trust: Option<Value>,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Signer {
    pub(super) issuer: String,
    pub(super) identity: String,
    /// The repository that was built, if the identity is not of a workflow in it.
    pub(super) source: Option<String>,
}

impl Draft {
    pub(super) fn of_image(image: String, trust: Option<Value>) -> Self {
        Self {
            image: Some(image),
            signers: BTreeSet::new(),
            found: BTreeMap::new(),
            trust,
        }
    }

    pub(super) fn of_answers(signer: Signer) -> Self {
        Self {
            image: None,
            signers: BTreeSet::from([signer]),
            found: BTreeMap::new(),
            trust: None,
        }
    }

    /// Accepts who made this signature.
    pub(super) fn add(&mut self, evidence: &Evidence) {
        let holder = match &evidence.signer {
            SignedBy::Certificate(holder) => holder,
            // Nobody can tell a key from a signature. A survey names none.
            SignedBy::Key { .. } => return,
        };
        let source = holder.claims.get("source_repository_uri");
        let elsewhere = |source: &&String| !holder.identity.starts_with(&format!("{source}/"));
        let signer = Signer {
            issuer: holder.issuer.clone(),
            identity: holder.identity.clone(),
            source: source.filter(elsewhere).cloned(),
        };
        self.signers.insert(signer.clone());
        let signers = self.found.entry(evidence.predicate_type.clone());
        let forms = signers.or_default().entry(signer);
        forms.or_default().insert(evidence.format);
    }

    /// The policy file.
    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        if let Some(image) = &self.image {
            let _ = writeln!(text, "# Accepts those who signed {image}.");
        }
        text.push_str("# Anybody can sign an image: compare this with what the project publishes.\nverification:\n");
        match self.signers.iter().collect::<Vec<_>>().as_slice() {
            [one] => text.push_str(&one.yaml("  ", "  ")),
            several => {
                text.push_str("  identities:\n");
                for signer in several {
                    text.push_str(&signer.yaml("    - ", "      "));
                }
            }
        }
        text.push_str(&self.kinds());
        if let Some(trust) = &self.trust {
            text.push_str(
                "  # The instance that signed. A relative path is relative to this file.\n",
            );
            let _ = writeln!(text, "  trust: {}", flow(trust));
        }
        text
    }

    /// The kinds of statement and the forms, where the defaults do not accept what was found.
    fn kinds(&self) -> String {
        let mut text = String::new();
        let signature = self.found.get(COSIGN_SIGN_PREDICATE);
        if signature.is_none() && !self.found.is_empty() {
            let types: Vec<String> = self.found.keys().map(|found| quoted(found)).collect();
            let _ = writeln!(text, "  predicate_types: [{}]", types.join(", "));
        }
        let made: Vec<_> = match signature {
            Some(signers) => vec![signers],
            None => self.found.values().collect(),
        };
        // A bundle proves more: where a signer made one, no other form is needed.
        let needed = made
            .iter()
            .flat_map(|signers| signers.values())
            .map(|forms| {
                if forms.contains(&SignatureFormat::Bundle) {
                    SignatureFormat::Bundle
                } else {
                    SignatureFormat::SimpleSigning
                }
            });
        let needed: BTreeSet<SignatureFormat> = needed.collect();
        if needed.contains(&SignatureFormat::SimpleSigning) {
            let names: Vec<&str> = needed.iter().map(|form| form.as_str()).collect();
            text.push_str(
                "  # The legacy form of cosign, which proves less: sign as a bundle, and leave this out.\n",
            );
            let _ = writeln!(text, "  signature_formats: [{}]", names.join(", "));
        }
        text
    }
}

/// A text, or a mapping of texts, on one line of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

impl Signer {
    fn yaml(&self, first: &str, rest: &str) -> String {
        let mut text = format!("{first}issuer: {}\n", quoted(&self.issuer));
        let _ = writeln!(text, "{rest}identity: {}", quoted(&self.identity));
        if let Some(pattern) = self.every_tag() {
            let _ = writeln!(text, "{rest}# In place of `identity`, for every tag:");
            let _ = writeln!(text, "{rest}# identity_regex: {}", quoted(&pattern));
        }
        if let Some(source) = &self.source {
            let _ = writeln!(text, "{rest}claims:");
            let _ = writeln!(text, "{rest}  source_repository_uri: {}", quoted(source));
        }
        text
    }

    /// A pattern for the same workflow at every tag, if this one is at a tag.
    fn every_tag(&self) -> Option<String> {
        let (workflow, _) = self.identity.split_once("@refs/tags/")?;
        Some(format!("{}@refs/tags/.+", regex::escape(workflow)))
    }
}

/// A text as YAML has it: in single quotes if it is plain, since these leave a `\` as it is, or as JSON.
fn quoted(text: &str) -> String {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        format!("'{}'", text.replace('\'', "''"))
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use countersign_policy::Policy;

    use super::{Draft, Signer};

    const ISSUER: &str = "https://token.actions.githubusercontent.com";

    fn signer(identity: &str) -> Signer {
        Signer {
            issuer: ISSUER.to_owned(),
            identity: identity.to_owned(),
            source: None,
        }
    }

    #[test]
    fn a_workflow_at_a_tag_has_the_pattern_for_every_tag_beside_it() {
        let release = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1";
        let text = Draft::of_answers(signer(release)).yaml();
        insta::assert_snapshot!(text, @r"
        # Anybody can sign an image: compare this with what the project publishes.
        verification:
          issuer: 'https://token.actions.githubusercontent.com'
          identity: 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1'
          # In place of `identity`, for every tag:
          # identity_regex: 'https://github\.com/acme/app/\.github/workflows/release\.yml@refs/tags/.+'
        ");
        // The pattern can be used in place of the identity.
        let text = text
            .replace("  identity:", "  # identity:")
            .replace("# identity_regex", "identity_regex");
        let policy = Policy::from_yaml(&text, "policy.yaml").unwrap();
        let [next, fork] =
            [("v1", "v2"), ("acme", "eve")].map(|(old, new)| release.replace(old, new));
        assert!(policy.only(ISSUER, &next).is_some());
        assert_eq!(policy.only(ISSUER, &fork), None);
    }

    #[test]
    fn whatever_a_certificate_says_is_one_text() {
        let odd = "a\"b\n  issuer: \"https://evil.example\u{2028}#";
        let text = Draft::of_answers(signer(odd)).yaml();
        let policy = Policy::from_yaml(&text, "policy.yaml").unwrap();
        assert_eq!(policy.signers().count(), 1);
        assert!(policy.only(ISSUER, odd).is_some());
    }
}
