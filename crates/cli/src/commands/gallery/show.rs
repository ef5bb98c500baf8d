//! `countersign gallery show`: what galleries offer, from where and on what proof.
//!
//! It shows the plans that an installation would carry out. It asks no registry and writes nothing but the cache of
//! galleries.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_download::{
    EntryError, EntryName, Galleries, Integrity, Plan, PlanError, PlannedSource, RequirementKind,
    Source,
};
use countersign_oci::excerpt;

use schemars::JsonSchema;
use serde::Serialize;

use super::shown_gallery::{JsonGallery, warnings, wrong_name};
use super::shown_kit::JsonKit;
use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::registry::RegistryArguments;
use crate::commands::galleries;
use crate::commands::kit::OpenKit;
use crate::commands::report::Report;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::json::error::JsonError;
use crate::json::installation::JsonRole;
use crate::operand;
use crate::output::Output;

/// `countersign gallery show`
#[derive(Debug, Args)]
pub(crate) struct GalleryShowArguments {
    /// Gallery file, YAML or JSON, or a kit
    ///
    /// The file says where the galleries are and who must have signed. A kit is `ocifile://PATH`: it is told of which entries
    /// it has images. Without FILE and NAME, it is `gallery` in countersign.toml.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The gallery file, in place of FILE
    #[arg(long, value_name = "FILE")]
    gallery: Option<PathBuf>,

    /// Entries to show [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    choosing: ChoosingArguments,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(super) async fn run(
    arguments: GalleryShowArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let GalleryShowArguments {
        file,
        gallery,
        names,
        choosing,
        registry,
        configuration: _,
    } = arguments;
    let (file, names) = file_and_names(file, gallery, names, environment)?;
    let file = galleries::file(file, "FILE", environment)?;
    let kit = match file.to_str().filter(|_| operand::names_layout(&file)) {
        Some(text) => {
            let reference =
                operand::image(text).map_err(|error| Failure::new(Kind::Usage, error))?;
            Some(OpenKit::open_to_show(&reference, &registry, environment, output).await?)
        }
        None => None,
    };
    let galleries = match &kit {
        Some(kit) => kit.galleries(None, &choosing, environment).await?,
        None => galleries::load(&file, &choosing, &registry, environment).await?,
    };
    let kit = match &kit {
        Some(kit) => Some(JsonKit::new(kit, &galleries).await),
        None => None,
    };
    if let Some(kit) = &kit {
        output.answer(&kit.text());
    }
    let (results, code) = show(&galleries, &names, output);
    output.document(&GalleryShowOutput {
        capability: galleries.capability.to_string(),
        integrity: match galleries.integrity {
            Integrity::Strict => JsonIntegrity::Strict,
            Integrity::Permissive => JsonIntegrity::Permissive,
        },
        galleries: galleries.fetched().iter().map(JsonGallery::new).collect(),
        kit,
        results,
    });
    Ok(code)
}

/// The gallery file, and the names of entries. The first operand is a name if another file is named, by `--gallery` or in
/// countersign.toml, and is no file itself.
fn file_and_names(
    file: Option<PathBuf>,
    gallery: Option<PathBuf>,
    names: Vec<String>,
    environment: &Environment,
) -> Result<(Option<PathBuf>, Vec<String>), Failure> {
    let Some(first) = file else {
        return Ok((gallery, names));
    };
    let configured = environment.settings().gallery().is_some();
    let is_name =
        gallery.is_some() || configured && !first.exists() && first.components().count() == 1;
    if !is_name {
        return Ok((Some(first), names));
    }
    let first = operand::text(first.into_os_string(), "name")?;
    Ok((gallery, [vec![first], names].concat()))
}

/// Shows what installing the entries of these names would do; without names, all that there are.
fn show(galleries: &Galleries, names: &[String], output: &Output) -> (Vec<PlanResult>, ExitCode) {
    let mut report = Report::new(output);
    let named: Vec<EntryName> = names.iter().map(|name| name.as_str().into()).collect();
    // Below all that is said of the galleries, nobody would see that a name is wrong.
    if !named.iter().any(|name| galleries.plan(name).is_err()) {
        output.answer(&text(galleries));
    }
    for name in named {
        let plan = galleries.plan(&name);
        let asked = (name.gallery(), name.name());
        add(&mut report, output, Scope::Named, asked, plan);
    }
    if names.is_empty() {
        let mut seen = HashSet::new();
        for (gallery, entry, plan) in galleries.plan_all() {
            if !seen.insert((gallery.name.as_str(), entry.name.as_str())) {
                let name = excerpt(&entry.name);
                let message = format!(
                    "`{name}` stands in the index again: the entry before is the one that is installed"
                );
                output.answer(&format!("{message}\n"));
                let result = PlanResult {
                    gallery: Some(gallery.name.clone()),
                    name: entry.name.clone(),
                    plan: None,
                    error: None,
                };
                let failure = Failure::new(Kind::Usage, message);
                report.done(result.failed(failure.to_json()));
                continue;
            }
            let asked = (Some(gallery.name.as_str()), entry.name.as_str());
            add(&mut report, output, Scope::All, asked, plan);
        }
    }
    report.end()
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

/// Which entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those that are named.
    Named,
    /// Every entry of every gallery. It is no failure that some are for other hardware.
    All,
}

/// Adds what was planned for the entry `name`. `gallery` is the one that was asked, where not all
/// were.
fn add(
    report: &mut Report<'_, PlanResult>,
    output: &Output,
    scope: Scope,
    (gallery, name): (Option<&str>, &str),
    plan: Result<Plan, PlanError>,
) {
    let result = PlanResult {
        gallery: gallery.map(ToOwned::to_owned),
        name: name.to_owned(),
        plan: None,
        error: None,
    };
    match plan {
        Ok(plan) => {
            output.answer(&format!("{plan}\n"));
            if let Some(warning) = wrong_name(&plan) {
                output.answer(&format!("  warning  {warning}\n"));
            }
            report.done(PlanResult::planned(&plan));
        }
        Err(PlanError::Entry {
            source: elsewhere @ EntryError::NotForCapability { .. },
            ..
        }) if scope == Scope::All => {
            output.answer(&format!("{elsewhere}\n"));
            let failure = Failure::new(Kind::NotFound, elsewhere);
            report.done(result.failed(failure.to_json()));
        }
        Err(error) => {
            let found = error.gallery().map(ToOwned::to_owned);
            let failure = Failure::from(error);
            let gallery = result.gallery.clone().or(found);
            let result = PlanResult { gallery, ..result };
            report.fail(&failure, |error| result.failed(error));
        }
    }
}

/// What `countersign gallery show` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GalleryShowOutput {
    /// The hardware that entries were chosen for.
    capability: String,
    integrity: JsonIntegrity,
    galleries: Vec<JsonGallery>,
    /// If it is a kit: of which entries it has images.
    #[serde(skip_serializing_if = "Option::is_none")]
    kit: Option<JsonKit>,
    /// One for each name; without names, one for each entry.
    results: Vec<PlanResult>,
}

/// What becomes of content that nothing vouches for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Integrity")]
enum JsonIntegrity {
    /// It is refused.
    Strict,
    /// It is installed, with a warning.
    Permissive,
}

/// What installing one entry would do.
#[derive(Debug, Serialize, JsonSchema)]
struct PlanResult {
    /// The gallery that lists it, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
    name: String,
    /// Left out if it can't be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<JsonPlan>,
    /// Why it can't be installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// Where the content would come from, and on what proof.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
struct JsonPlan {
    /// The names that led from the one asked for to the entry.
    via: Vec<String>,
    /// The entry's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// The alias that the entry has.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// Where the content is, in the order in which the sources are asked.
    sources: Vec<JsonPlannedSource>,
    requirement: JsonRequirement,
    /// Digest that a lock file pins it to.
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<String>,
    /// What a person should know before it is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// A source, and why it is in the plan.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PlannedSource")]
struct JsonPlannedSource {
    role: JsonRole,
    source: JsonSource,
}

/// Where content is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "Source")]
enum JsonSource {
    /// An image in a registry.
    Image { reference: String },
    /// An OCI image layout on this machine.
    Layout { path: String },
    /// An archive to fetch.
    Tarball {
        /// Without its query, which may hold a token.
        url: String,
        /// What its bytes must hash to, if the index says so.
        #[serde(skip_serializing_if = "Option::is_none")]
        digest: Option<String>,
    },
    /// A directory on this machine.
    Directory { path: String },
}

/// What has to be proven of the content.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Requirement")]
struct JsonRequirement {
    kind: JsonProof,
    /// With the kind `digest`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The same for a person.
    words: String,
}

/// The kind of what has to be proven.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "RequirementKind")]
enum JsonProof {
    /// A signature that the gallery's policy accepts.
    Signature,
    /// The digest that the gallery's index names.
    Digest,
    /// Nothing.
    None,
}

impl PlanResult {
    fn planned(plan: &Plan) -> Self {
        Self {
            gallery: plan.gallery().map(ToOwned::to_owned),
            name: plan.name().to_owned(),
            plan: Some(plan.into()),
            error: None,
        }
    }

    fn failed(self, error: JsonError) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }
}

impl From<&Plan> for JsonPlan {
    fn from(plan: &Plan) -> Self {
        let requirement = plan.requirement();
        let (kind, digest) = match requirement.kind() {
            RequirementKind::Signature(_) => (JsonProof::Signature, None),
            RequirementKind::Digest(digest) => (JsonProof::Digest, Some(digest.to_string())),
            RequirementKind::None => (JsonProof::None, None),
        };
        let entry = plan.entry();
        Self {
            via: plan.via().to_vec(),
            entry: entry.map(|entry| entry.name.clone()),
            alias: entry.and_then(|entry| entry.alias.clone()),
            sources: plan.sources().iter().map(Into::into).collect(),
            requirement: JsonRequirement {
                kind,
                digest,
                words: requirement.to_string(),
            },
            locked: plan.lock().map(|locked| locked.requested().to_string()),
            warning: warnings(plan),
        }
    }
}

impl From<&PlannedSource> for JsonPlannedSource {
    fn from(planned: &PlannedSource) -> Self {
        Self {
            role: planned.role.into(),
            source: json_source(&planned.source),
        }
    }
}

fn json_source(source: &Source) -> JsonSource {
    match source {
        Source::Image { reference } => JsonSource::Image {
            reference: reference.to_string(),
        },
        Source::Layout { path } => JsonSource::Layout {
            path: path.to_string(),
        },
        Source::Tarball(tarball) => JsonSource::Tarball {
            url: source.to_string(),
            digest: tarball.digest().map(ToString::to_string),
        },
        Source::Directory { path } => JsonSource::Directory {
            path: path.to_string_lossy().into_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A kind of source that is shown as another one would be told wrongly.
    #[test]
    fn each_kind_of_source_has_a_name_of_its_own() {
        let mut pairs = BTreeSet::new();
        for source in countersign_download::samples::sources() {
            let shown = serde_json::to_value(json_source(&source)).unwrap();
            pairs.insert((source.kind(), shown["kind"].as_str().unwrap().to_owned()));
        }
        let kinds: BTreeSet<_> = pairs.iter().map(|(kind, _)| kind).collect();
        let names: BTreeSet<_> = pairs.iter().map(|(_, name)| name).collect();
        assert_eq!((kinds.len(), names.len()), (pairs.len(), pairs.len()));
    }
}
