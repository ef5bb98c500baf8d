//! `countersign gallery check`: what is wrong with a gallery's index.
//!
//! An entry that can't be installed is an error. What only looks wrong is a warning.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use countersign_download::{FetchedIndex, IndexFinding, Plan, PlanError, check_index};
use countersign_oci::excerpt;
use countersign_policy::{Gallery, GalleryEntry, GalleryIndex, PolicyFile};
use schemars::JsonSchema;
use serde::Serialize;

use crate::arguments::configuration::ConfigurationArguments;
use crate::arguments::limits;
use crate::arguments::planning::ChoosingArguments;
use crate::arguments::registry::RegistryArguments;
use crate::capability::KNOWN;
use crate::commands::galleries;
use crate::commands::policy::named_files::NamedFiles;
use crate::environment::Environment;
use crate::failure::{Failure, Kind, exit_code};
use crate::input::read_text;
use crate::json::error::JsonError;
use crate::output::{Output, counted};

/// `countersign gallery check`
#[derive(Debug, Args)]
pub(crate) struct GalleryCheckArguments {
    /// An index, or a gallery file
    ///
    /// The indexes that a gallery file names are fetched. Without FILE, it is `gallery` in countersign.toml.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The gallery file, in place of FILE
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    gallery: Option<PathBuf>,

    /// Exit with 2 for warnings too
    #[arg(long)]
    strict: bool,

    /// Size of an index [default: 16MiB]
    #[arg(long, value_name = "SIZE", value_parser = limits::size)]
    max_index: Option<u64>,

    #[command(flatten)]
    pub(crate) registry: RegistryArguments,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArguments,
}

pub(super) async fn run(
    arguments: GalleryCheckArguments,
    environment: &Environment,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let indexes = indexes(&arguments, environment, output).await?;
    let mut indexes: Vec<CheckedIndex> = indexes.into_iter().map(CheckedIndex::of).collect();
    for index in &indexes {
        output.answer(&index.text());
    }
    for index in &mut indexes {
        index.fail_from(if arguments.strict {
            Level::Warning
        } else {
            Level::Error
        });
    }
    let failed = indexes.iter().any(|one| one.error.is_some());
    output.document(&GalleryCheckOutput { results: indexes });
    Ok(if failed {
        exit_code(Kind::Usage).into()
    } else {
        ExitCode::SUCCESS
    })
}

/// An index to look at.
struct NamedIndex {
    name: String,
    index: GalleryIndex,
    /// Where the index was looked for before, and why it is not from there.
    skipped: Vec<JsonIndexFinding>,
    /// What its gallery refuses to install, and why.
    refused: Vec<JsonIndexFinding>,
}

impl NamedIndex {
    /// That of a gallery. `plans` has one for each of its entries.
    fn of<'a>(
        (gallery, fetched): &(Gallery, FetchedIndex),
        plans: impl Iterator<Item = (&'a Gallery, &'a GalleryEntry, Result<Plan, PlanError>)>,
    ) -> Self {
        let places = OnceCell::new();
        let refused = plans
            .enumerate()
            .filter_map(|(at, (_, entry, plan))| match plan {
                Err(
                    error @ (PlanError::Requirement { .. }
                    | PlanError::Local { .. }
                    | PlanError::Inward { .. }),
                ) => {
                    let places = places.get_or_init(|| fetched.index.places());
                    Some(JsonIndexFinding {
                        level: Level::Error,
                        entry: Some(excerpt(&entry.name)),
                        place: Some(places.value(at, "uri").to_string()),
                        message: countersign_oci::with_causes(&error),
                    })
                }
                _ => None,
            });
        let skipped = fetched.skipped.iter().map(|skipped| JsonIndexFinding {
            level: Level::Warning,
            entry: None,
            place: None,
            message: format!("the index is not from its first place: {skipped}"),
        });
        Self {
            name: gallery.name.clone(),
            index: fetched.index.clone(),
            skipped: skipped.collect(),
            refused: refused.collect(),
        }
    }
}

/// The index that the file is, or those that it names.
async fn indexes(
    arguments: &GalleryCheckArguments,
    environment: &Environment,
    output: &Output,
) -> Result<Vec<NamedIndex>, Failure> {
    let GalleryCheckArguments {
        file,
        gallery,
        max_index,
        registry,
        ..
    } = arguments;
    let choosing = ChoosingArguments {
        max_index: *max_index,
        ..ChoosingArguments::default()
    };
    let file = &galleries::file(
        gallery.clone().or_else(|| file.clone()),
        "FILE",
        environment,
    )?;
    galleries::refuse_kit(file)?;
    let text = read_text(file, "gallery")?;
    let name = file.display().to_string();
    let parsed = PolicyFile::parse(&text, &name).ok();
    let named = parsed.filter(|parsed| !parsed.galleries().is_empty());
    if let Some(named) = named {
        for warning in NamedFiles::of_policies(&named).check(&text, file)? {
            output.warning(&warning);
        }
    } else if let Ok(index) = GalleryIndex::parse(&text, &name) {
        return Ok(vec![NamedIndex {
            name,
            index,
            skipped: Vec::new(),
            refused: Vec::new(),
        }]);
    }
    let loaded = galleries::load(file, &choosing, registry, environment).await?;
    // They come gallery by gallery, as the indexes do.
    let mut plans = loaded.plan_all();
    let fetched = loaded.fetched().iter().map(|one| {
        let entries = one.1.index.entries().len();
        NamedIndex::of(one, plans.by_ref().take(entries))
    });
    Ok(fetched.collect())
}

/// What `countersign gallery check` prints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GalleryCheckOutput {
    /// The index, or one for each gallery.
    results: Vec<CheckedIndex>,
}

/// An index that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
struct CheckedIndex {
    /// The gallery's name, or the index's file.
    name: String,
    /// How many entries it has.
    entries: usize,
    /// What was found: of the gallery, of its entries in their order, then what the gallery's policy refuses.
    findings: Vec<JsonIndexFinding>,
    /// If a finding is an error or, with `--strict`, a warning.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JsonError>,
}

/// Something that is wrong with an entry or its gallery, or that looks wrong.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "IndexFinding")]
struct JsonIndexFinding {
    level: Level,
    /// The entry, by its name or, if that can't be read, its number from 0. Left out for what is wrong with the gallery.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// Where it stands: the index's file or URL, line, column, and the keys that lead there.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    message: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "IndexFindingLevel")]
enum Level {
    /// It looks wrong.
    Warning,
    /// The entry can't be installed, on some machine at least.
    Error,
}

impl CheckedIndex {
    fn of(named: NamedIndex) -> Self {
        let findings = check_index(&named.index, &KNOWN);
        let findings = findings.iter().map(JsonIndexFinding::of);
        Self {
            name: named.name,
            entries: named.index.entries().len(),
            findings: named
                .skipped
                .into_iter()
                .chain(findings)
                .chain(named.refused)
                .collect(),
            error: None,
        }
    }

    /// It has failed if a finding is of this level or a worse one.
    fn fail_from(&mut self, level: Level) {
        if self.findings.iter().any(|one| one.level >= level) {
            let failure = Failure::new(Kind::Usage, self.summary());
            let failure = failure.hint("correct the entries that `findings` names");
            self.error = Some(failure.to_json());
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for JsonIndexFinding {
            level,
            entry,
            place,
            message,
        } in &self.findings
        {
            let level = match level {
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let entry = entry.as_ref().unwrap_or(&self.name);
            let place = place.as_ref().map(|place| format!("{place}: "));
            let place = place.unwrap_or_default();
            text.push_str(&format!("{level}: {entry}: {place}{message}\n"));
        }
        text.push_str(&format!("{}\n", self.summary()));
        text
    }

    /// How much was found.
    fn summary(&self) -> String {
        let (name, entries) = (&self.name, counted(self.entries as u64, "entry", "entries"));
        let of = |level| {
            self.findings
                .iter()
                .filter(move |one| one.level == level)
                .count()
        };
        let errors = counted(of(Level::Error) as u64, "error", "errors");
        let warnings = counted(of(Level::Warning) as u64, "warning", "warnings");
        format!("{name}: {entries}, {errors}, {warnings}")
    }
}

impl JsonIndexFinding {
    fn of(finding: &IndexFinding) -> Self {
        let IndexFinding {
            entry,
            place,
            fault,
            ..
        } = finding;
        Self {
            level: if fault.is_error() {
                Level::Error
            } else {
                Level::Warning
            },
            entry: Some(entry.clone()),
            place: Some(place.to_string()),
            message: countersign_oci::with_causes(fault),
        }
    }
}
