//! `countersign install --dry-run`: what would be installed, from where and on what proof.

use std::process::ExitCode;

use countersign_download::{
    EntryError, FetchedIndex, Galleries, LockedEntry, Plan, PlanError, Proof,
};
use countersign_policy::{Gallery, Policy};
use serde_json::{Value, json};

use super::wanted::Wanted;
use crate::failure::{Failure, Kind, exit_code};
use crate::output::Output;

/// Shows what installing the entries that are `wanted` would do, or all that there are.
pub(super) fn run(
    galleries: &Galleries,
    wanted: &[Wanted],
    asked: Asked,
    output: &Output,
) -> Result<ExitCode, Failure> {
    output.answer(&text(galleries));

    let mut report = Report::new(output, asked);
    if asked == Asked::WithAll {
        for (gallery, entry, plan) in galleries.plan_all() {
            report.add(Some(&gallery.name), &entry.name, plan);
        }
    } else {
        for one in wanted {
            report.add(None, &one.name, one.plan(galleries));
        }
    }
    output.document(&json!({
        "capability": galleries.capability,
        "integrity": galleries.integrity,
        "galleries": to_json(galleries),
        "plans": report.plans,
        "unplanned": report.unplanned,
    }));
    Ok(report.code())
}

fn text(galleries: &Galleries) -> String {
    let mut text = String::new();
    for (gallery, fetched) in galleries.fetched() {
        text.push_str(&format!(
            "gallery {}: {} entries from {}, for the hardware `{}`\n",
            gallery.name,
            fetched.index.entries().len(),
            fetched.location,
            galleries.capability,
        ));
        for skipped in &fetched.skipped {
            text.push_str(&format!("  not from: {skipped}\n"));
        }
        let words = match &gallery.policy {
            Some(policy) => policy.explain(),
            None => "It has no policy: signatures are not checked.".into(),
        };
        text.push_str(&format!("  {}\n\n", words.replace('\n', "\n  ")));
    }
    text
}

fn to_json(galleries: &Galleries) -> Vec<Value> {
    let one = |(gallery, fetched): &(Gallery, FetchedIndex)| {
        let skipped: Vec<String> = fetched.skipped.iter().map(ToString::to_string).collect();
        json!({
            "name": gallery.name,
            "location": fetched.location.to_string(),
            "entries": fetched.index.entries().len(),
            "policy": gallery.policy.as_ref().map(Policy::explain),
            "unserved": skipped,
        })
    };
    galleries.fetched().iter().map(one).collect()
}

/// What an entry is in the report for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was named.
    ByName,
    /// All were asked for: that some are for other hardware is no failure.
    WithAll,
}

/// Plans as they are made.
struct Report<'a> {
    output: &'a Output,
    asked: Asked,
    plans: Vec<Value>,
    unplanned: Vec<Value>,
    failed: Option<Kind>,
}

impl<'a> Report<'a> {
    fn new(output: &'a Output, asked: Asked) -> Self {
        Self {
            output,
            asked,
            plans: Vec::new(),
            unplanned: Vec::new(),
            failed: None,
        }
    }

    fn add(&mut self, gallery: Option<&str>, name: &str, plan: Result<Plan, PlanError>) {
        match plan {
            Ok(plan) => {
                self.output.answer(&format!("{plan}\n"));
                self.plans.push(plan_json(&plan));
            }
            Err(PlanError::Entry {
                source: elsewhere @ EntryError::NotForCapability { .. },
                ..
            }) if self.asked == Asked::WithAll => {
                self.output.answer(&format!("{elsewhere}\n"));
                let failure = Failure::new(Kind::NotFound, elsewhere);
                self.unplanned(gallery, name, &failure);
            }
            Err(error) => {
                let asked = match &error {
                    PlanError::Entry { gallery, .. } | PlanError::Requirement { gallery, .. } => {
                        Some(gallery.clone())
                    }
                    _ => None,
                };
                let failure = Failure::from(error);
                self.failed.get_or_insert(failure.kind);
                self.output.failure(&failure);
                self.unplanned(gallery.or(asked.as_deref()), name, &failure);
            }
        }
    }

    /// `gallery` is the one that was asked, where not all were.
    fn unplanned(&mut self, gallery: Option<&str>, name: &str, failure: &Failure) {
        self.unplanned.push(json!({
            "gallery": gallery,
            "name": name,
            "error": failure.to_json(),
        }));
    }

    /// That of the first entry that failed.
    fn code(&self) -> ExitCode {
        self.failed
            .map_or(ExitCode::SUCCESS, |kind| exit_code(kind).into())
    }
}

fn plan_json(plan: &Plan) -> Value {
    let requirement = plan.requirement();
    let (kind, digest) = match requirement.proof() {
        Proof::Signature(_) => ("signature", None),
        Proof::Digest(digest) => ("digest", Some(digest)),
        _ => ("none", None),
    };
    json!({
        "gallery": plan.gallery(),
        "name": plan.name(),
        "via": plan.via(),
        "entry": plan.entry().map(|entry| &entry.name),
        "alias": plan.entry().and_then(|entry| entry.alias.as_ref()),
        "sources": plan.sources(),
        "requirement": { "kind": kind, "digest": digest, "words": requirement.to_string() },
        "locked": plan.lock().map(LockedEntry::requested),
        "warning": plan.warning(),
    })
}
