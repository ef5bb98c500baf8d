//! One file of configuration: TOML, whose keys are the names of flags.
//!
//! All that is wrong with it is told at once. Only the user's file and the machine's can allow directories.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::{Path, PathBuf};

use countersign_oci::excerpt;
use countersign_oci::http::{NoProxy, proxy_url};
use countersign_policy::{SigstoreInstance, nearest};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::failure::{Failure, TomlMistake};
use crate::settings::{ProxySetting, Scope, Setting, Settings, TrustSetting};

const KEYS: [&str; 8] = [
    "gallery",
    "policy",
    "trust",
    "signing-config",
    "store",
    "proxy",
    NO_PROXY,
    ALLOW,
];
const NO_PROXY: &str = "no-proxy";
const ALLOW: &str = "allow";

/// What to do about a mistake in the file.
const CORRECT: &str = "correct the file; its keys are gallery, policy, trust, signing-config, store, proxy, no-proxy and allow";
/// What to do where it is no TOML.
const SYNTAX: &str = "the file is TOML: write `key = \"value\"`, with the value in quotes";

/// Reads the text of the file `path`.
///
/// # Errors
/// All that is wrong with it. `own` is the user's file, which may allow directories.
pub(super) fn parse(
    text: &str,
    path: &Path,
    scope: Scope,
    own: Option<&Path>,
) -> Result<Settings, Failure> {
    let mut reader = Reader {
        text,
        path,
        scope,
        own,
        mistakes: Vec::new(),
    };
    let settings = reader.read();
    if reader.mistakes.is_empty() {
        Ok(settings)
    } else {
        Err(Failure::of_toml(path, text, reader.mistakes))
    }
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    scope: Scope,
    own: Option<&'a Path>,
    mistakes: Vec<TomlMistake>,
}

impl Reader<'_> {
    fn read(&mut self) -> Settings {
        let mut settings = Settings::default();
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.syntax(error.message(), error.span());
        }
        if !self.mistakes.is_empty() {
            // What else is wrong may only follow from that.
            return settings;
        }
        let mut proxy = None;
        let mut no_proxy = None;
        for (key, value) in table.get_ref() {
            if !self.may_be_set(key) {
                continue;
            }
            match key.get_ref().as_ref() {
                "gallery" => settings.gallery = self.file(key, value),
                "store" => settings.store = self.file(key, value),
                "policy" => settings.policy = self.file(key, value),
                "signing-config" => settings.signing_config = self.file(key, value),
                "trust" => settings.trust = self.trust(key, value),
                "proxy" => proxy = Some(self.proxy(key, value)),
                ALLOW => settings.allow = self.directories(key, value),
                _ => no_proxy = Some((key.span(), self.hosts(key, value))),
            }
        }
        settings.proxy = match (proxy, no_proxy) {
            (None, Some((span, _))) => {
                let message = "it has no effect without `proxy`: it says which hosts are reached without that one";
                self.mistake(NO_PROXY, span.clone(), Some(span.start), message);
                None
            }
            (Some(url), no_proxy) => url.map(|url| {
                let no_proxy = no_proxy.and_then(|(_, hosts)| hosts);
                self.setting(ProxySetting {
                    url,
                    no_proxy: no_proxy.unwrap_or_default(),
                })
            }),
            (None, None) => None,
        };
        settings
    }

    /// Whether this is a key, and this file may set it.
    fn may_be_set(&mut self, key: &Spanned<DeString<'_>>) -> bool {
        let name = key.get_ref().as_ref();
        let known = KEYS.into_iter().find(|known| *known == name);
        let (message, hint) = match known {
            Some(ALLOW) if self.scope == Scope::Project => {
                let message = "a file that was found in the working directory or above it can't allow directories";
                (message.to_owned(), self.set_elsewhere())
            }
            Some(ALLOW) if self.scope == Scope::Named => {
                let message = "it has no meaning in a file that --config or COUNTERSIGN_CONFIG names: then no other file is looked for";
                (message.to_owned(), self.set_elsewhere())
            }
            Some(_) => return true,
            None => {
                let meant = match name.replace('_', "-").as_str() {
                    "trusted-root" => Some("trust".to_owned()),
                    _ => nearest(name, KEYS),
                };
                let expected = match meant {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("expected one of {}", KEYS.join(", ")),
                };
                (format!("unknown key: {expected}"), CORRECT.to_owned())
            }
        };
        self.mistakes.push(TomlMistake {
            span: key.span(),
            shown_from: Some(key.span().start),
            key: excerpt(name),
            message,
            hint,
        });
        false
    }

    /// What to do about `allow` in this file.
    fn set_elsewhere(&self) -> String {
        let own = self.own.map(|own| own.display().to_string());
        let own =
            own.unwrap_or_else(|| "countersign.toml of your configuration directory".to_owned());
        format!("remove it here; set it in {own}")
    }

    fn setting<T>(&self, value: T) -> Setting<T> {
        Setting {
            value,
            file: self.path.to_owned(),
        }
    }

    /// A path, which is relative to the file.
    fn file(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Setting<PathBuf>> {
        let text = self.words(key, value, "a path")?;
        let path = self.resolved(key, value, &text)?;
        Some(self.setting(path))
    }

    fn resolved(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        text: &str,
    ) -> Option<PathBuf> {
        if text == "~" || text.starts_with("~/") {
            let message = "`~` has no meaning here: write the whole path, or one that is relative to this file";
            self.wrong(key, value, message);
            return None;
        }
        let directory = self.path.parent().unwrap_or(Path::new(""));
        Some(directory.join(text))
    }

    /// The name of an instance, or a path.
    fn trust(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Setting<TrustSetting>> {
        let names = SigstoreInstance::ALL.map(SigstoreInstance::name);
        let expected = format!("{}, or the path of a trusted_root.json", names.join(", "));
        let text = self.words(key, value, &expected)?;
        if let Some(instance) = SigstoreInstance::named(&text) {
            return Some(self.setting(TrustSetting::Instance(instance)));
        }
        // A name that is misspelt must not be taken for a file.
        if !text.contains('/') && !text.ends_with(".json") {
            let meant = match nearest(&text, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("expected {expected} (with a `/`, or ending in .json)"),
            };
            self.wrong(
                key,
                value,
                &format!("`{}` is no instance: {meant}", excerpt(&text)),
            );
            return None;
        }
        let path = self.resolved(key, value, &text)?;
        Some(self.setting(TrustSetting::File(path)))
    }

    /// Its value is told nowhere: there may be a password in it.
    fn proxy(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<url::Url> {
        let text = self.words(key, value, "the address of a proxy")?;
        let url = proxy_url(&text);
        if url.is_none() {
            let message = "expected http://host:port, https://host:port, socks5://host:port or socks5h://host:port";
            self.wrong(key, value, message);
        }
        url
    }

    /// Whole paths of directories.
    fn directories(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Vec<PathBuf> {
        let expected = "expected a list of directories, such as [\"/home/me/project\"]";
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, &format!("{expected}, found {}", kind(value)));
            return Vec::new();
        };
        let mut directories = Vec::new();
        for one in list.iter() {
            match one.get_ref() {
                DeValue::String(path) if Path::new(path.as_ref()).is_absolute() => {
                    directories.push(PathBuf::from(path.as_ref()));
                }
                DeValue::String(_) => {
                    let message = "expected the whole path of a directory, which begins with `/`";
                    self.wrong(key, one, message);
                }
                _ => {
                    let message = format!("expected the path of a directory, found {}", kind(one));
                    self.wrong(key, one, &message);
                }
            }
        }
        directories
    }

    /// Hosts, in the form that is conventional for `NO_PROXY`.
    fn hosts(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<NoProxy> {
        let expected = "expected a list of hosts, such as [\"localhost\", \".example.org\"]";
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(key, value, &format!("{expected}, found {}", kind(value)));
            return None;
        };
        let mut hosts = Vec::new();
        for one in list.iter() {
            match one.get_ref() {
                DeValue::String(host) if !host.trim().is_empty() && !host.contains(',') => {
                    match host.parse::<NoProxy>() {
                        Ok(_) => hosts.push(host.trim()),
                        Err(error) => self.wrong(key, one, &error.to_string()),
                    }
                }
                DeValue::String(_) => self.wrong(key, one, "expected one host"),
                _ => self.wrong(key, one, &format!("expected a host, found {}", kind(one))),
            }
        }
        hosts.join(",").parse().ok()
    }

    /// A text that is not empty.
    fn words(
        &mut self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) -> Option<String> {
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Some(text.to_string()),
            DeValue::String(_) => {
                self.wrong(key, value, &format!("expected {expected}, found nothing"));
                None
            }
            _ => {
                let message = format!("expected {expected}, in quotes, found {}", kind(value));
                self.wrong(key, value, &message);
                None
            }
        }
    }

    /// A value that can't be used. It is shown beside its key, unless there may be a password in it.
    fn wrong(&mut self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>, message: &str) {
        let (key_span, name) = (key.span(), key.get_ref().to_string());
        // Of a table, its name stands for it.
        let is_table = matches!(value.get_ref(), DeValue::Table(_));
        let (span, shown) = if name == "proxy" || is_table {
            (key_span.clone(), key_span.start)
        } else {
            (
                value.span(),
                self.line_of(value.span().start).max(key_span.start),
            )
        };
        self.mistake(&name, span, Some(shown), message);
    }

    /// Where the line of the byte `at` begins.
    fn line_of(&self, at: usize) -> usize {
        let before = self.text.get(..at).unwrap_or_default();
        before.rfind('\n').map_or(0, |line| line + 1)
    }

    /// What the parser says. What stands there is shown only behind a key of ours.
    fn syntax(&mut self, message: &str, span: Option<Range<usize>>) {
        let span = span.unwrap_or_default();
        let begins = self.line_of(span.start);
        let line = self.text.get(begins..).unwrap_or_default();
        let key = line.split(['=', ':', '\n']).next();
        let key = key.unwrap_or_default().trim();
        let ours = KEYS.into_iter().any(|name| name == key) && key != "proxy";
        let shown = ours.then_some(begins);
        self.mistakes.push(TomlMistake {
            span,
            shown_from: shown,
            key: String::new(),
            message: message.to_owned(),
            hint: SYNTAX.to_owned(),
        });
    }

    fn mistake(&mut self, key: &str, span: Range<usize>, shown_from: Option<usize>, message: &str) {
        self.mistakes.push(TomlMistake {
            span,
            shown_from,
            key: key.to_owned(),
            message: message.to_owned(),
            hint: CORRECT.to_owned(),
        });
    }
}

/// What a value is, in words.
fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
