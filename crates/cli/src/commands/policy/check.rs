//! `countersign policy check`: a policy file in words, then what is legal in it but weak.

use std::process::ExitCode;

use countersign_policy::{Gallery, Policy, PolicyFile};
use serde_json::{Value, json};

use crate::arguments::PolicyCheckArguments;
use crate::failure::{Failure, Kind, exit_code};
use crate::output::Output;
use crate::services;

pub(super) fn run(arguments: &PolicyCheckArguments, output: &Output) -> Result<ExitCode, Failure> {
    let name = arguments.file.display().to_string();
    let text = services::read_text(&arguments.file, "policy")?;
    let file = PolicyFile::parse(&text, &name)?;
    let parts = parts(&file)?;
    let warnings: usize = parts.iter().map(|part| part.warnings.len()).sum();

    for part in &parts {
        output.result(&part.text());
    }
    output.result(&match warnings {
        0 => format!("{name} can be used, without warnings\n"),
        1 => format!("{name} can be used, with 1 warning\n"),
        count => format!("{name} can be used, with {count} warnings\n"),
    });
    let policies: Vec<Value> = parts.iter().map(Part::to_json).collect();
    output.document(&json!({ "file": name, "policies": policies, "warnings": warnings }));
    Ok(if arguments.strict && warnings > 0 {
        exit_code(Kind::Policy).into()
    } else {
        ExitCode::SUCCESS
    })
}

/// One policy of the file, or a gallery that has none.
struct Part {
    gallery: Option<String>,
    explanation: Option<String>,
    warnings: Vec<String>,
}

/// The file's one policy, or its galleries.
fn parts(file: &PolicyFile) -> Result<Vec<Part>, Failure> {
    if file.galleries().is_empty() {
        return Ok(vec![Part::of(None, file.policy()?)]);
    }
    let part = |gallery: &Gallery| match &gallery.policy {
        Some(policy) => Part::of(Some(gallery.name.clone()), policy),
        None => Part {
            gallery: Some(gallery.name.clone()),
            explanation: None,
            warnings: vec![
                "there is no `verification`, so that nothing is asked of its images' signatures"
                    .to_owned(),
            ],
        },
    };
    Ok(file.galleries().iter().map(part).collect())
}

impl Part {
    fn of(gallery: Option<String>, policy: &Policy) -> Self {
        Self {
            gallery,
            explanation: Some(policy.explain()),
            warnings: policy.warnings().iter().map(ToString::to_string).collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(gallery) = &self.gallery {
            text.push_str(&format!("Gallery {gallery:?}:\n"));
        }
        if let Some(explanation) = &self.explanation {
            text.push_str(&format!("{explanation}\n"));
        }
        for warning in &self.warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text.push('\n');
        text
    }

    fn to_json(&self) -> Value {
        json!({
            "gallery": self.gallery,
            "explanation": self.explanation,
            "warnings": self.warnings,
        })
    }
}
