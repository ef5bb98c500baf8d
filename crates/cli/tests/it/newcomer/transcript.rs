//! What a person sees who types commands at a shell: each line, all that it prints, and its exit code.
//!
//! What differs from run to run (ports, digests, the time, directories) is replaced, the same value always by the
//! same words.

use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

/// A shell in a directory, with `countersign` on its path and nothing else of ours in its environment.
pub(crate) struct Transcript {
    directory: PathBuf,
    /// Texts that stand for others.
    replaced: Vec<(String, String)>,
    digests: Vec<String>,
    text: String,
}

impl Transcript {
    /// `replaced` are texts that differ from run to run, such as the registry's host, and what is shown for them.
    pub(crate) fn new(directory: &Path, replaced: &[(String, &str)]) -> Self {
        let mut replaced: Vec<(String, String)> = replaced
            .iter()
            .map(|(text, shown)| (text.clone(), (*shown).to_owned()))
            .collect();
        let directory = directory.canonicalize().unwrap();
        replaced.push((directory.to_str().unwrap().to_owned(), "/srv/me".into()));
        Self {
            directory,
            replaced,
            digests: Vec::new(),
            text: String::new(),
        }
    }

    /// Types `line`. Texts that stand for others may be in it.
    pub(crate) fn line(&mut self, line: &str) -> &mut Self {
        let program = Path::new(env!("CARGO_BIN_EXE_countersign"));
        let typed = self
            .replaced
            .iter()
            .fold(line.to_owned(), |line, (text, shown)| {
                line.replace(shown, text)
            });
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{typed}")])
            .current_dir(&self.directory)
            .env_clear()
            .env("HOME", &self.directory)
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", program.parent().unwrap().display()),
            )
            .output()
            .unwrap();
        self.text.push_str(&format!("$ {line}\n"));
        let printed = self.shown(&String::from_utf8(output.stdout).unwrap());
        self.text.push_str(&printed);
        match output.status.code().unwrap() {
            0 => {}
            code => self.text.push_str(&format!("[exit code {code}]\n")),
        }
        self
    }

    /// All lines so far. It begins anew.
    pub(crate) fn end(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn shown(&mut self, printed: &str) -> String {
        let mut text = printed.to_owned();
        for (found, shown) in &self.replaced {
            text = text.replace(found, shown);
        }
        for digest in Regex::new("sha256:[0-9a-f]{64}")
            .unwrap()
            .find_iter(&text.clone())
        {
            let digest = digest.as_str();
            if !self.digests.iter().any(|known| known == digest) {
                self.digests.push(digest.to_owned());
            }
        }
        for (number, digest) in self.digests.iter().enumerate() {
            let name = char::from(b'A' + u8::try_from(number).unwrap());
            text = text.replace(digest, &format!("sha256:{name}…"));
            let hex = digest.trim_start_matches("sha256:");
            text = text.replace(&hex[..12], &format!("{name}…          "));
        }
        // Those of signatures differ from run to run.
        let short = Regex::new("sha256:[0-9a-f]{12}…").unwrap();
        text = short.replace_all(&text, "sha256:…").into_owned();
        // Signatures are older than this year.
        let now = Regex::new(r"20(2[6-9]|[3-9]\d)-\d\d-\d\d(T[\d:.]+Z)?").unwrap();
        now.replace_all(&text, "TODAY").into_owned()
    }
}
