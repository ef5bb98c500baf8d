//! Statements to sign: in-toto v1, well-formed or not.

use countersign_oci::Digest;
use serde_json::{Map, Value, json};

/// An in-toto statement to sign ([in-toto attestation framework, "Statement"][spec]).
///
/// By default what cosign signs: one subject without a name, the cosign signature predicate.
///
/// [spec]: https://github.com/in-toto/attestation/blob/v1.1.0/spec/v1/statement.md
#[derive(Debug, Clone)]
pub struct Statement {
    statement_type: String,
    subjects: Vec<Subject>,
    predicate_type: String,
    predicate: Value,
}

#[derive(Debug, Clone)]
struct Subject {
    name: Option<String>,
    digest: Digest,
    annotations: Map<String, Value>,
}

impl Statement {
    /// A signature of the image with this digest.
    pub fn of(digest: Digest) -> Self {
        Self {
            subjects: Vec::new(),
            ..Self::without_subject()
        }
        .and_subject(digest)
    }

    /// A statement about nothing.
    pub fn without_subject() -> Self {
        Self {
            statement_type: "https://in-toto.io/Statement/v1".into(),
            subjects: Vec::new(),
            predicate_type: "https://sigstore.dev/cosign/sign/v1".into(),
            predicate: json!({}),
        }
    }

    /// Adds a subject.
    #[must_use]
    pub fn and_subject(mut self, digest: Digest) -> Self {
        self.subjects.push(Subject {
            name: None,
            digest,
            annotations: Map::new(),
        });
        self
    }

    /// Names the last subject.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        if let Some(subject) = self.subjects.last_mut() {
            subject.name = Some(name.into());
        }
        self
    }

    /// Annotates the last subject, as `cosign sign -a` does.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        if let Some(subject) = self.subjects.last_mut() {
            let value = Value::String(value.into());
            subject.annotations.insert(key.into(), value);
        }
        self
    }

    /// Replaces `_type`.
    #[must_use]
    pub fn statement_type(self, statement_type: impl Into<String>) -> Self {
        Self {
            statement_type: statement_type.into(),
            ..self
        }
    }

    /// Replaces the predicate.
    #[must_use]
    pub fn predicate(self, predicate_type: impl Into<String>, predicate: Value) -> Self {
        Self {
            predicate_type: predicate_type.into(),
            predicate,
            ..self
        }
    }

    /// The statement's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let subjects: Vec<Value> = self.subjects.iter().map(Subject::to_json).collect();
        json!({
            "_type": self.statement_type,
            "subject": subjects,
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        })
        .to_string()
        .into_bytes()
    }
}

impl Subject {
    fn to_json(&self) -> Value {
        let digest = json!({self.digest.algorithm().as_str(): self.digest.hex()});
        let mut subject = Map::new();
        if let Some(name) = &self.name {
            subject.insert("name".into(), name.clone().into());
        }
        subject.insert("digest".into(), digest);
        if !self.annotations.is_empty() {
            subject.insert("annotations".into(), self.annotations.clone().into());
        }
        subject.into()
    }
}

impl From<Statement> for Vec<u8> {
    fn from(statement: Statement) -> Self {
        statement.to_json()
    }
}
