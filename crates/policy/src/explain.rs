//! A policy in words.

use std::fmt::{self, Display, Write as _};

use crate::matcher::Matcher;
use crate::policy::{COSIGN_SIGN_PREDICATE, Policy, Signer, Trust};
use countersign_oci::printable;

impl Policy {
    /// What this policy asks for, in sentences a person can check it by: several lines, the last
    /// without a line break.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = Explanation(self).write(&mut text);
        printable_lines(&text)
    }
}

struct Explanation<'a>(&'a Policy);

impl Explanation<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let policy = self.0;
        out.push_str("A signature counts when all of this holds:\n");
        match policy.predicate_types() {
            [only] if only == COSIGN_SIGN_PREDICATE => {
                out.push_str("- it is a cosign signature, not another kind of statement;\n");
            }
            types => writeln!(out, "- it is a statement of type {};", types.join(" or "))?,
        }
        match policy.signers() {
            [signer] => {
                out.push_str("- its certificate says:\n");
                write_signer(out, signer)?;
            }
            signers => {
                out.push_str("- its certificate fits one of these signers:\n");
                for (position, signer) in signers.iter().enumerate() {
                    writeln!(out, "  {}.", position + 1)?;
                    write_signer(out, signer)?;
                }
            }
        }
        match policy.not_before() {
            Some(time) => writeln!(out, "- it was made at or after {time};")?,
            None => out.push_str("- it was made at a time that a log or a timestamp authority vouches for, whenever that was;\n"),
        }
        for (key, value) in policy.annotations() {
            writeln!(out, "- it carries the annotation {key}={value};")?;
        }
        if policy.bind_name() {
            out.push_str(
                "- it names the repository asked for, and the tag where one was asked for;\n",
            );
        }
        for digest in policy.deny_digests() {
            writeln!(out, "- the image is not {digest};")?;
        }
        match policy.trust() {
            Some(Trust::TrustedRoot { file }) => {
                writeln!(out, "- it holds by the trusted root in {file}.")?;
            }
            Some(Trust::Tuf { url, root_file }) => writeln!(
                out,
                "- it holds by the trusted root of {url}, which starts from {root_file}."
            )?,
            None => out.push_str("- it holds by the trusted root in use.\n"),
        }
        let sources: Vec<String> = policy
            .signature_sources()
            .iter()
            .map(ToString::to_string)
            .collect();
        if sources.is_empty() {
            out.push_str("Signatures are looked for beside the image.");
        } else {
            write!(
                out,
                "Signatures are looked for beside the image and in {}.",
                sources.join(", ")
            )?;
        }
        Ok(())
    }
}

fn write_signer(out: &mut String, signer: &Signer) -> fmt::Result {
    write_matcher(out, &"issuer", &signer.issuer)?;
    write_matcher(out, &"identity", &signer.identity)?;
    for rule in &signer.claims {
        write_matcher(out, &rule.claim, &rule.matcher)?;
    }
    match signer.not_before {
        Some(time) => writeln!(
            out,
            "    and, of this signer, it was made at or after {time}"
        ),
        None => Ok(()),
    }
}

fn write_matcher(out: &mut String, name: &dyn Display, matcher: &Matcher) -> fmt::Result {
    match matcher {
        Matcher::Exact(text) => writeln!(out, "    {name} is exactly {text}"),
        Matcher::Regex(pattern) => writeln!(out, "    {name} matches, from end to end, {pattern}"),
    }
}

/// Every line printable; the line breaks are ours.
fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}
