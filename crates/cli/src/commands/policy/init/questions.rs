//! Three questions about who signs.

use std::io::{self, BufRead, Write};

use countersign_policy::issuers;

use super::draft::Signer;

/// Who can be asked about.
#[derive(Debug, Clone, Copy)]
enum SignerKind {
    GitHubActions,
    GitLab,
    Address,
}

const KINDS: [(&str, SignerKind); 3] = [
    ("GitHub Actions", SignerKind::GitHubActions),
    ("GitLab CI on gitlab.com", SignerKind::GitLab),
    ("a person or a service account", SignerKind::Address),
];
/// Who confirms an e-mail address.
const PROVIDERS: [(&str, &str); 3] = [
    ("Google", issuers::GOOGLE),
    ("GitHub", issuers::GITHUB_LOGIN),
    ("Microsoft", issuers::MICROSOFT),
];

/// Asks until every answer can be used.
///
/// # Errors
/// If the input ends, or the questions can't be written.
pub(super) fn ask(answers: &mut impl BufRead, questions: &mut impl Write) -> io::Result<Signer> {
    let mut asker = Asker { answers, questions };
    match asker.choice("Who signs the images?", &KINDS)? {
        SignerKind::GitHubActions => {
            let repository =
                asker.text("Repository, as OWNER/NAME", "OWNER/NAME", is_repository)?;
            let workflow = asker.text(
                "Workflow and ref, such as release.yml@refs/heads/main",
                "FILE@REF, such as release.yml@refs/tags/v1",
                is_file_at_ref,
            )?;
            Ok(signer(
                issuers::GITHUB_ACTIONS,
                format!("https://github.com/{repository}/.github/workflows/{workflow}"),
            ))
        }
        SignerKind::GitLab => {
            let project = asker.text("Project, as GROUP/NAME", "GROUP/NAME", is_path)?;
            let reference = asker.text(
                "Ref, such as refs/heads/main",
                "a whole ref, such as refs/heads/main or refs/tags/v1",
                is_ref,
            )?;
            Ok(signer(
                issuers::GITLAB,
                format!("https://gitlab.com/{project}//.gitlab-ci.yml@{reference}"),
            ))
        }
        SignerKind::Address => {
            let address = asker.text("E-mail address", "an e-mail address", is_address)?;
            let issuer = asker.choice("Who confirms it?", &PROVIDERS)?;
            Ok(signer(issuer, address))
        }
    }
}

/// The one choice that begins with these words, in whatever case.
fn named<'c, T>(choices: &'c [(&'c str, T)], words: &str) -> Option<&'c (&'c str, T)> {
    let words = words.to_lowercase();
    let begins = |choice: &&(&str, T)| choice.0.to_lowercase().starts_with(&words);
    let mut found = choices.iter().filter(begins);
    match (found.next(), found.next()) {
        (Some(one), None) if !words.is_empty() => Some(one),
        _ => None,
    }
}

fn signer(issuer: &str, identity: String) -> Signer {
    Signer {
        issuer: issuer.to_owned(),
        identity,
        source: None,
    }
}

struct Asker<'a, A, Q> {
    answers: &'a mut A,
    questions: &'a mut Q,
}

impl<A: BufRead, Q: Write> Asker<'_, A, Q> {
    /// What was chosen.
    fn choice<T: Copy>(&mut self, question: &str, choices: &[(&str, T)]) -> io::Result<T> {
        writeln!(self.questions, "{question}")?;
        for (position, (choice, _)) in choices.iter().enumerate() {
            writeln!(self.questions, "  {}: {choice}", position + 1)?;
        }
        loop {
            let answer = self.line("Number")?;
            let number = answer.parse::<usize>().ok();
            let chosen = number.and_then(|number| choices.get(number.checked_sub(1)?));
            let chosen = chosen.or_else(|| named(choices, &answer));
            match chosen {
                Some((_, chosen)) => return Ok(*chosen),
                None => writeln!(
                    self.questions,
                    "expected a number from 1 to {}, found {answer:?}",
                    choices.len()
                )?,
            }
        }
    }

    fn text(
        &mut self,
        question: &str,
        expected: &str,
        fits: fn(&str) -> bool,
    ) -> io::Result<String> {
        loop {
            let answer = self.line(question)?;
            let known = KNOWN.iter().find(|known| answer.starts_with(**known));
            if fits(&answer) && known.is_none() {
                return Ok(answer);
            }
            let instead = match known {
                _ if is_pattern(&answer) => format!(": {ONE}"),
                Some(known) => match without_known(&answer, fits) {
                    Some(meant) => format!(": write {meant}"),
                    None => format!(": leave out {known}"),
                },
                None => String::new(),
            };
            writeln!(
                self.questions,
                "expected {expected}, found {answer:?}{instead}"
            )?;
        }
    }

    fn line(&mut self, question: &str) -> io::Result<String> {
        write!(self.questions, "{question}: ")?;
        self.questions.flush()?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the input ended before the last question",
            ));
        }
        Ok(answer.trim().to_owned())
    }
}

/// Characters of patterns. No certificate has them: as a text, a pattern would match nobody.
const PATTERN: [char; 4] = ['*', '?', '\\', '['];

/// What an answer has too much if it begins with it: the identity has it anyway.
const KNOWN: [&str; 5] = [
    "https://github.com/",
    "https://gitlab.com/",
    "github.com/",
    "gitlab.com/",
    ".github/workflows/",
];

/// What is meant by an address that was copied from a browser: what is left of it without what every identity has, as far
/// as that is an answer.
fn without_known(answer: &str, fits: fn(&str) -> bool) -> Option<String> {
    let mut rest = answer.trim_end_matches('/');
    while let Some(known) = KNOWN.iter().find(|known| rest.starts_with(**known)) {
        rest = rest.strip_prefix(known).unwrap_or_default();
    }
    let rest = rest.strip_suffix(".git").unwrap_or(rest);
    // Of a page of the repository, or of a file in it, its first two names.
    let parts: Vec<&str> = rest.split('/').take(2).collect();
    let file = rest.rsplit_once(".github/workflows/");
    let file = file.map_or(rest, |(_, file)| file);
    [rest.to_owned(), parts.join("/"), file.to_owned()]
        .into_iter()
        .find(|meant| fits(meant))
}

/// What is said of a pattern.
const ONE: &str = "name one signer, without a pattern; to accept others too, change `identity` in the new policy into `identity_regex`";

fn is_pattern(text: &str) -> bool {
    text.contains(PATTERN) || text.contains(".+")
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !is_pattern(text)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'@".contains(c))
}

fn is_path(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    parts.len() >= 2 && parts.iter().all(|part| is_word(part)) && !text.contains(':')
}

fn is_repository(text: &str) -> bool {
    is_path(text) && text.split('/').count() == 2
}

/// A branch, a tag or a request, by its whole name.
fn is_ref(text: &str) -> bool {
    is_path(text) && text.starts_with("refs/") && text.split('/').count() >= 3
}

fn is_file_at_ref(text: &str) -> bool {
    text.split_once('@').is_some_and(|(file, at)| {
        let end = file.rsplit_once('.').map(|(_, end)| end);
        let is_yaml = matches!(end, Some("yml" | "yaml"));
        is_word(file) && !file.contains('/') && is_yaml && is_ref(at)
    })
}

fn is_address(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(name, host)| is_word(name) && is_word(host) && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::ask;

    fn answered(lines: &str) -> (Result<(String, String), String>, String) {
        let mut told = Vec::new();
        let signer = ask(&mut lines.as_bytes(), &mut told);
        let signer = signer
            .map(|signer| (signer.issuer, signer.identity))
            .map_err(|error| error.to_string());
        (signer, String::from_utf8(told).unwrap())
    }

    /// In an exact identity, a `*` is a character that no certificate has.
    #[test]
    fn a_pattern_is_asked_for_again() {
        for (answers, found) in [
            ("1\nacme/*\nacme/app\nrelease.yml@refs/tags/v1\n", "acme/*"),
            (
                "1\nacme/app\nrelease.yml@refs/tags/v*\nrelease.yml@refs/tags/v1\n",
                "release.yml@refs/tags/v*",
            ),
            ("2\nacme/app\nrefs/tags/v?\nrefs/tags/v1\n", "refs/tags/v?"),
            ("3\n*@acme.example\nci@acme.example\n2\n", "*@acme.example"),
        ] {
            let (signer, told) = answered(answers);
            let (_, identity) = signer.unwrap();
            assert!(!identity.contains(['*', '?']), "{identity}");
            let says = format!("found {found:?}: name one signer, without a pattern");
            assert!(told.contains(&says), "{told}");
        }
    }

    /// No certificate has an identity that is made of these.
    #[test]
    fn what_no_certificate_has_is_asked_for_again() {
        for (repository, workflow, says) in [
            ("acme/app/c/d", "", "expected OWNER/NAME"),
            (
                "https://github.com/acme/app",
                "",
                "found \"https://github.com/acme/app\": write acme/app\n",
            ),
            ("https://github.com/acme/app.git", "", ": write acme/app\n"),
            (
                "https://github.com/acme/app/blob/main/.github/workflows/release.yml",
                "",
                ": write acme/app\n",
            ),
            ("github.com/acme", "", ": leave out github.com/"),
            ("", "release.yml@refs/", "expected FILE@REF"),
            ("", "release.yml@refs/tags", "expected FILE@REF"),
            ("", "release.yml@refs/tags/", "expected FILE@REF"),
            ("", "release.yml@main", "expected FILE@REF"),
            ("", "release@refs/tags/v1", "expected FILE@REF"),
            (
                "",
                ".github/workflows/release.yml@refs/tags/v1",
                ": write release.yml@refs/tags/v1\n",
            ),
            (
                "",
                "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1",
                ": write release.yml@refs/tags/v1\n",
            ),
            ("", "release.yml@refs/tags/.+", ": name one signer"),
            ("", "release.yml@refs/tags/v[0-9]", ": name one signer"),
        ] {
            let right = "release.yml@refs/tags/v1";
            let lines = format!("1\n{repository}\nacme/app\n{workflow}\n{right}\n");
            let lines = lines.replace("\n\n", "\n");
            let (signer, told) = answered(&lines);
            let (_, identity) = signer.unwrap();
            let expected = format!("https://github.com/acme/app/.github/workflows/{right}");
            assert_eq!(identity, expected);
            assert!(told.contains(says), "{told}");
        }
    }

    #[test]
    fn three_answers_make_a_signer_and_what_can_t_be_is_asked_again() {
        let github = "https://token.actions.githubusercontent.com";
        for (lines, issuer, identity) in [
            (
                "1\nacme/app\nrelease.yml@refs/heads/main\n",
                github,
                "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
            ),
            (
                "0\nx\n2\nacme\nacme/team/app\nmain\nrefs/heads/main\n",
                "https://gitlab.com",
                "https://gitlab.com/acme/team/app//.gitlab-ci.yml@refs/heads/main",
            ),
            (
                "3\nci@acme.example\n2\n",
                "https://github.com/login/oauth",
                "ci@acme.example",
            ),
            (
                "git\nGitHub\nacme/app\nrelease.yml@refs/heads/main\n",
                github,
                "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main",
            ),
        ] {
            let (signer, told) = answered(lines);
            assert_eq!(
                signer,
                Ok((issuer.to_owned(), identity.to_owned())),
                "{told}"
            );
        }
        let (signer, told) = answered("4\n");
        assert_eq!(
            signer,
            Err("the input ended before the last question".to_owned())
        );
        assert!(
            told.contains("expected a number from 1 to 3, found \"4\""),
            "{told}"
        );
        let (_, told) = answered("2\nacme\nacme/app\nmain\n3\n");
        for says in [
            "expected GROUP/NAME, found \"acme\"",
            "expected a whole ref, such as refs/heads/main or refs/tags/v1, found \"main\"",
        ] {
            assert!(told.contains(says), "{told}");
        }
    }
}
