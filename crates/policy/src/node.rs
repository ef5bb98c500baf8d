//! A document as a tree with the position of every value.
//!
//! Reading a file into types reports what is wrong and, if possible, the line and column. This tree adds the
//! rest: the keys that lead to a position, the position of a path, and the value there.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::error::{About, KeyPath, PolicyError, Position, Problem, Step};
use crate::keys::{IDENTITY, ISSUER, KEY};
use crate::yaml;
use countersign_oci::excerpt;

/// A value, and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    kind: Kind,
    span: Span,
}

#[derive(Debug)]
enum Kind {
    Nothing,
    Scalar(String),
    /// A number, or `true` or `false`, as it is written in JSON.
    Literal(String),
    List(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Debug)]
struct Key {
    name: String,
    span: Span,
}

/// Where a value is written, and where it is used: two places for one that an alias or a merge
/// brings in.
#[derive(Debug, Clone, Copy)]
struct Span {
    written: Position,
    used: Position,
}

impl Span {
    fn is_at(self, position: Position) -> bool {
        self.written == position || self.used == position
    }
}

/// Whether it looks like a JSON Web Token: a secret, which a message about a wrong file must not show.
fn is_token(text: &str) -> bool {
    let base64url = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let parts: Vec<&str> = text.trim().split('.').collect();
    // `eyJ` is how `{"` begins in Base64.
    matches!(parts.as_slice(), [header, _, _] if header.starts_with("eyJ"))
        && parts.iter().all(|part| part.chars().all(base64url))
}

/// What stands where one signer is expected, and what to write.
const SEVERAL_SIGNERS: &str = "a list; for several signers write `identities`, a list where each entry has its own issuer and identity";

/// Whether a key says who one signer is.
pub(crate) fn is_of_one_signer(key: &str) -> bool {
    let pairs = [ISSUER, IDENTITY];
    key == KEY
        || pairs
            .iter()
            .any(|pair| key == pair.exact || key == pair.regex)
}

impl Node {
    /// The keys of a mapping; nothing for a node of another kind.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|(key, _)| key.name.as_str())
    }

    /// The value that `path` leads to.
    pub(crate) fn follow(&self, path: &KeyPath) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |node, step| Some(node.step(step)?.1))
    }

    /// The keys of a mapping with their values; nothing for a node of another kind.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &Self)> {
        let entries = self.entries().iter();
        entries.map(|(key, value)| (key.name.as_str(), value))
    }

    /// The value of a key of a mapping.
    pub(crate) fn value(&self, key: &str) -> Option<&Self> {
        let mut pairs = self.pairs();
        pairs.find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The entries of a list; `None` for a node of another kind.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Nothing | Kind::Scalar(_) | Kind::Literal(_) | Kind::Mapping(_) => None,
        }
    }

    /// The text of a scalar; `None` for a node of another kind.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(text) | Kind::Literal(text) => Some(text),
            Kind::Nothing | Kind::List(_) | Kind::Mapping(_) => None,
        }
    }

    pub(crate) fn is_mapping(&self) -> bool {
        matches!(self.kind, Kind::Mapping(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }

    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.kind, Kind::Nothing)
    }

    /// What stands here, in a few words.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::Nothing => "nothing".to_owned(),
            Kind::Scalar(text) if is_token(text) => "a token (not shown)".to_owned(),
            Kind::Scalar(text) | Kind::Literal(text) => format!("`{}`", excerpt(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// Where a number, or `true` or `false`, stands as the value of one of these keys, at any depth. What stands below
    /// one of `except` is not looked at.
    pub(crate) fn literal_of(&self, keys: &[&str], except: &[&str]) -> Option<(KeyPath, &Self)> {
        self.literal_below(&KeyPath::default(), keys, except)
    }

    fn literal_below(
        &self,
        path: &KeyPath,
        keys: &[&str],
        except: &[&str],
    ) -> Option<(KeyPath, &Self)> {
        match &self.kind {
            Kind::Mapping(entries) => entries.iter().find_map(|(key, value)| {
                let (name, path) = (key.name.as_str(), path.key(&key.name));
                match &value.kind {
                    Kind::Literal(_) => keys.contains(&name).then_some((path, value)),
                    Kind::Nothing | Kind::Scalar(_) => None,
                    Kind::List(_) | Kind::Mapping(_) if except.contains(&name) => None,
                    Kind::List(_) | Kind::Mapping(_) => value.literal_below(&path, keys, except),
                }
            }),
            Kind::List(items) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(at, item)| item.literal_below(&path.index(at), keys, except))
            }
            Kind::Nothing | Kind::Scalar(_) | Kind::Literal(_) => None,
        }
    }

    /// Where the last key or entry of `path` stands; of a path that leads nowhere, the last that is
    /// there.
    pub(crate) fn position_of(&self, path: &KeyPath) -> Position {
        let mut here = (self.span, self);
        for step in path.steps() {
            match here.1.step(step) {
                Some(below) => here = below,
                None => break,
            }
        }
        here.0.written
    }

    /// The path to the key or value that stands at `position`, and the value.
    pub(crate) fn at(&self, position: Position) -> Option<(KeyPath, &Self)> {
        self.find(position, &KeyPath::default())
    }

    /// An error of the typed reading, completed by what the tree knows: the keys that lead to its
    /// position, and what stands there.
    pub(crate) fn completed(&self, error: PolicyError) -> PolicyError {
        let (mut place, mut problem) = error.into_parts();
        let Some((path, node)) = place.position.and_then(|position| {
            let found = self.at(position)?;
            Some(match problem.about() {
                // It is told of a key, and a mapping stands where its first key does.
                _ if matches!(problem, Problem::Empty { .. }) => found,
                About::Value | About::Lack => self.around(position, found),
                About::Text | About::Key(_) | About::Second(_) | About::LackBeside => found,
            })
        }) else {
            return PolicyError::new(place, problem);
        };
        // Without its brace, a mapping in a line of its own begins with a key.
        let path = match problem {
            Problem::MissingKey { .. } if !node.is_mapping() => path.parent(),
            _ => path,
        };
        if let Problem::Form { found, .. } = &mut problem {
            let several = node.is_list() && path.last_key().is_some_and(is_of_one_signer);
            *found = Some(if several {
                SEVERAL_SIGNERS.to_owned()
            } else {
                node.describe()
            });
        }
        place.path = problem.scope(path);
        // The parser tells it where the mapping ends, or at its last key.
        if matches!(problem, Problem::MissingKey { .. }) {
            place.position = Some(self.position_of(&place.path));
        }
        PolicyError::new(place, problem)
    }

    /// The outermost value that stands at `position`: a mapping stands where its first key does.
    fn around<'a>(
        &'a self,
        position: Position,
        inside: (KeyPath, &'a Self),
    ) -> (KeyPath, &'a Self) {
        let parent = inside.0.parent();
        match self.follow(&parent) {
            Some(node) if node.span.is_at(position) && !inside.0.is_root() => {
                self.around(position, (parent, node))
            }
            _ => inside,
        }
    }

    fn find(&self, position: Position, path: &KeyPath) -> Option<(KeyPath, &Self)> {
        // Inside first: a mapping begins where its first key does, and the key says more.
        let inside = match &self.kind {
            Kind::Mapping(entries) => entries.iter().find_map(|(key, value)| {
                let path = path.key(&key.name);
                if key.span.is_at(position) {
                    return Some((path, value));
                }
                value.find(position, &path)
            }),
            Kind::List(items) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| item.find(position, &path.index(index))),
            Kind::Nothing | Kind::Scalar(_) | Kind::Literal(_) => None,
        };
        inside.or_else(|| self.span.is_at(position).then(|| (path.clone(), self)))
    }

    /// One step down, and where the key or the entry stands.
    fn step(&self, step: &Step) -> Option<(Span, &Self)> {
        match step {
            Step::Index(index) => match &self.kind {
                Kind::List(items) => items.get(*index).map(|item| (item.span, item)),
                Kind::Nothing | Kind::Scalar(_) | Kind::Literal(_) | Kind::Mapping(_) => None,
            },
            Step::Key(name) => {
                let mut entries = self.entries().iter();
                let (key, value) = entries.find(|(key, _)| key.name == *name)?;
                Some((key.span, value))
            }
        }
    }

    fn entries(&self) -> &[(Key, Self)] {
        match &self.kind {
            Kind::Mapping(entries) => entries,
            Kind::Nothing | Kind::Scalar(_) | Kind::Literal(_) | Kind::List(_) => &[],
        }
    }
}

impl Node {
    /// The document as JSON, with changes.
    pub(crate) fn to_json(&self, changes: &dyn Changes) -> String {
        let mut json = String::new();
        self.write_json(&KeyPath::default(), changes, &mut json);
        json
    }

    fn write_json(&self, path: &KeyPath, changes: &dyn Changes, json: &mut String) {
        match &self.kind {
            Kind::Nothing => json.push_str("null"),
            Kind::Scalar(text) => json.push_str(&quoted(text)),
            Kind::Literal(text) => json.push_str(text),
            Kind::List(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(index, item)| (path.index(index), item));
                let kept = items.filter(|(path, _)| !changes.leaves_out(path));
                json.push('[');
                for (position, (path, item)) in kept.enumerate() {
                    json.push_str(if position == 0 { "" } else { ", " });
                    item.write_json(&path, changes, json);
                }
                json.push(']');
            }
            Kind::Mapping(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, value)| (path.key(&key.name), key, value));
                let kept = entries.filter(|(path, ..)| !changes.leaves_out(path));
                json.push('{');
                for (path, key, value) in kept {
                    json.push_str(&format!("{}: ", quoted(&key.name)));
                    value.write_json(&path, changes, json);
                    json.push_str(", ");
                }
                for (key, text) in changes.adds(path) {
                    json.push_str(&format!("{}: {}, ", quoted(key), quoted(&text)));
                }
                json.push('}');
            }
        }
    }
}

/// What is written in another way than it stands in the document.
pub(crate) trait Changes {
    /// Whether the key or the entry at `path` is left out.
    fn leaves_out(&self, path: &KeyPath) -> bool;

    /// Keys with their texts that the mapping at `path` gets.
    fn adds(&self, path: &KeyPath) -> Vec<(&'static str, String)>;
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Kind>::deserialize(deserializer)?;
        Ok(Self {
            span: span(&spanned),
            kind: spanned.value,
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            span: span(&spanned),
            name: spanned.value,
        })
    }
}

fn span<T>(spanned: &Spanned<T>) -> Span {
    Span {
        written: yaml::position(&spanned.defined),
        used: yaml::position(&spanned.referenced),
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::Scalar(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Literal(value.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Kind::Mapping(entries))
    }
}
