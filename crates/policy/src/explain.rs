//! Explains a policy in words.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Write as _};

use crate::format::SignatureFormat;
use crate::instance::SigstoreInstance;
use crate::matcher::Matcher;
use crate::one_or_more::OneOrMore;
use crate::policy::{
    AcceptedSigner, COSIGN_SIGN_PREDICATE, CertificateSigner, KeySigner, LogUse, Policy, Trust,
};
use crate::predicate::PredicateRule;
use countersign_oci::{Repository, printable};

impl Policy {
    /// Says in sentences what this policy requires. The text has several printable lines. The last one has no
    /// line break.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = Explanation(self).write(&mut text);
        text
    }
}

struct Explanation<'a>(&'a Policy);

impl Explanation<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Policy {
            signers,
            // In `times`.
            not_before: _,
            min_age: _,
            predicate_types,
            predicate,
            require,
            signature_formats,
            annotations,
            bind_name,
            trust,
            signature_sources,
            deny_digests,
        } = self.0;
        if !require.is_empty() {
            return write_proofs(out, require);
        }
        out.push_str("A signature is accepted if all of this is true:\n");
        write_types(out, predicate_types)?;
        if !predicate.is_empty() {
            out.push_str("- its predicate says:\n");
        }
        for PredicateRule { pointer, matcher } in predicate {
            write_matcher(out, &printable(pointer.as_str()), matcher)?;
        }
        out.push_str(form(signature_formats));
        write_signers(out, signers)?;
        write_times(out, self.0)?;
        for (key, value) in annotations {
            let (key, value) = (printable(key), printable(value));
            writeln!(out, "- it has the annotation {key}={value};")?;
        }
        if *bind_name {
            out.push_str(bound_name(signature_formats));
        }
        for digest in deny_digests {
            writeln!(out, "- the image is not {digest};")?;
        }
        match trust {
            Some(trust) => write_trust(out, trust)?,
            None if self.0.needs_trusted_root() => {
                out.push_str("- it is valid by the trusted root in use.\n");
            }
            None => out.push_str("- no trusted root is needed.\n"),
        }
        write_sources(out, signature_sources)
    }
}

fn write_proofs(out: &mut String, required: &[Policy]) -> fmt::Result {
    let count = required.len();
    write!(out, "The image must have {count} proofs, all of them.")?;
    for (position, one) in required.iter().enumerate() {
        let (number, name) = (position + 1, one.proof_name());
        writeln!(out, "\n\nProof {number} is {name}.")?;
        Explanation(one).write(out)?;
    }
    Ok(())
}

fn write_types(out: &mut String, types: &[String]) -> fmt::Result {
    match types {
        [only] if only == COSIGN_SIGN_PREDICATE => {
            writeln!(
                out,
                "- it is a cosign signature, not another kind of statement;"
            )
        }
        types => {
            let types = printable(&types.join(" or "));
            writeln!(out, "- it is a statement of type {types};")
        }
    }
}

/// In which form the signature may be stored. Nothing in the usual case.
fn form(formats: &BTreeSet<SignatureFormat>) -> &'static str {
    let bundle = formats.contains(&SignatureFormat::Bundle);
    let simple_signing = formats.contains(&SignatureFormat::SimpleSigning);
    match (bundle, simple_signing) {
        (true, false) => "",
        (true, true) => "- it is a Sigstore bundle, or in cosign's legacy form (simple signing);\n",
        (false, _) => "- it is in cosign's legacy form (simple signing), not a Sigstore bundle;\n",
    }
}

/// Which name the signature must have.
fn bound_name(formats: &BTreeSet<SignatureFormat>) -> &'static str {
    if formats.contains(&SignatureFormat::SimpleSigning) {
        "- it names the repository that you ask for, and the tag if you give one;\n  \
         a signature in the legacy form may leave the tag out: then any tag is accepted;\n"
    } else {
        "- it names the repository that you ask for, and the tag if you give one;\n"
    }
}

fn write_signers(out: &mut String, signers: &OneOrMore<AcceptedSigner>) -> fmt::Result {
    match signers.only() {
        Some(signer @ AcceptedSigner::Certificate(_)) => {
            out.push_str("- its certificate says:\n");
            write_signer(out, signer)
        }
        Some(signer @ AcceptedSigner::Key(_)) => {
            out.push_str("- it is signed with this key, and not with a certificate:\n");
            write_signer(out, signer)
        }
        None => {
            let any_key = signers.iter().any(|signer| signer.key().is_some());
            out.push_str(if any_key {
                "- it is by one of these signers:\n"
            } else {
                "- its certificate matches one of these signers:\n"
            });
            for (position, signer) in signers.iter().enumerate() {
                writeln!(out, "  {}.", position + 1)?;
                write_signer(out, signer)?;
            }
            Ok(())
        }
    }
}

fn write_times(out: &mut String, policy: &Policy) -> fmt::Result {
    let times = times(policy);
    if times.is_empty() && policy.needs_trusted_root() {
        // A signer's own time stands beside the signer.
        let mut signers = policy.signers.iter();
        let by_signer = signers.any(|signer| signer.not_before().is_some());
        out.push_str(if by_signer {
            "- a log or a timestamp authority proves when it was made;\n"
        } else {
            "- a log or a timestamp authority proves when it was made; any time is accepted;\n"
        });
    }
    for time in times {
        writeln!(out, "- it was made {time};")?;
    }
    Ok(())
}

fn write_trust(out: &mut String, trust: &Trust) -> fmt::Result {
    out.push_str("- it is valid by the trusted root ");
    match trust {
        Trust::Instance(SigstoreInstance::PublicGood) => writeln!(out, "of public Sigstore."),
        Trust::Instance(SigstoreInstance::GitHub) => writeln!(
            out,
            "of GitHub's own instance, which has no log: a timestamp proves when it was made."
        ),
        Trust::TrustedRoot { file } => writeln!(out, "in {}.", printable(file)),
        Trust::Tuf { url, root_file } => writeln!(
            out,
            "of {}, which starts from {}.",
            printable(url.as_str()),
            printable(root_file)
        ),
    }
}

fn write_sources(out: &mut String, sources: &[Repository]) -> fmt::Result {
    out.push_str("Signatures are looked for in the repository of the image");
    if !sources.is_empty() {
        let sources: Vec<String> = sources.iter().map(ToString::to_string).collect();
        write!(out, " and in {}", sources.join(", "))?;
    }
    out.push('.');
    Ok(())
}

/// What the policy asks of the time of a signature, whoever signed. Empty if any time is accepted. It names every
/// field, so that a new one has to be placed: a condition on the time belongs here.
fn times(policy: &Policy) -> Vec<String> {
    let Policy {
        not_before,
        min_age,
        // Each signer's own time stands beside the signer.
        signers: _,
        predicate_types: _,
        predicate: _,
        require: _,
        signature_formats: _,
        annotations: _,
        bind_name: _,
        trust: _,
        signature_sources: _,
        deny_digests: _,
    } = policy;
    let not_before = not_before.map(|time| format!("at or after {time}"));
    let min_age = min_age.map(|age| format!("at least {age} ago"));
    not_before.into_iter().chain(min_age).collect()
}

fn write_signer(out: &mut String, signer: &AcceptedSigner) -> fmt::Result {
    match signer {
        AcceptedSigner::Certificate(signer) => write_certificate_signer(out, signer)?,
        AcceptedSigner::Key(KeySigner {
            key,
            log,
            // Below.
            not_before: _,
        }) => {
            let from = key.file().map(countersign_oci::printable);
            let from = from.map_or_else(String::new, |file| format!(", from {file}"));
            writeln!(out, "    key {} ({}{from})", key.fingerprint(), key.kind())?;
            match log {
                LogUse::Demanded => {}
                LogUse::Ignored => out.push_str(
                    "    its log entry and timestamps are not read: it may be of any time\n",
                ),
            }
        }
    }
    match signer.not_before() {
        Some(time) => writeln!(out, "    signed at or after {time}"),
        None => Ok(()),
    }
}

fn write_certificate_signer(out: &mut String, signer: &CertificateSigner) -> fmt::Result {
    let CertificateSigner {
        issuer,
        identity,
        claims,
        // Written by `write_signer`.
        not_before: _,
    } = signer;
    write_matcher(out, &"issuer", issuer)?;
    write_matcher(out, &"identity", identity)?;
    for rule in claims {
        write_matcher(out, &rule.claim, &rule.matcher)?;
    }
    Ok(())
}

fn write_matcher(out: &mut String, name: &dyn Display, matcher: &Matcher) -> fmt::Result {
    let text = printable(matcher.as_str());
    match matcher {
        Matcher::Exact(_) => writeln!(out, "    {name} is exactly {text}"),
        Matcher::Regex(_) => writeln!(out, "    {name} as a whole matches {text}"),
    }
}
