//! What `install` and `upgrade` would do: the same plans, sources, proofs and rules, and nothing is installed.

use std::path::Path;
use std::process::ExitCode;

use countersign_download::{InstallRequest, Installer, Preview, Replacement};
use countersign_oci::printable;
use countersign_verify::Verifier;

use super::in_order::told_in_order;
use super::report::Report;
use super::requested_entry::Group;
use super::store_installer::{Planned, StoreInstaller};
use super::text::{details, digest_text, in_place_of};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::json::preview::{PreviewOutput, PreviewResult};
use crate::json::wanted::Wanted;
use crate::output::Output;
use crate::printable::path;
use crate::progress::{Board, Progress};

/// Entries that are asked for at once: nothing is fetched but manifests and signatures.
const AT_ONCE: usize = 8;

/// One image by itself, and where it would be installed.
pub(super) struct OneImage<'a> {
    pub(super) installer: &'a Installer<Verifier>,
    pub(super) request: InstallRequest<'a>,
    pub(super) directory: &'a Path,
}

impl OneImage<'_> {
    /// Says what installing it would do.
    pub(super) async fn preview(
        self,
        progress: Progress,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        let InstallRequest { plan, platform, .. } = self.request;
        let events = |event| progress.installing(&event);
        let request = self.request.with_events(&events);
        let preview = self.installer.preview(request, self.directory).await;
        let preview = preview.map_err(Failure::of_one_image);
        drop(progress);
        let result = PreviewResult {
            wanted: Wanted::image(plan, self.directory),
            ..PreviewResult::default()
        };
        let mut report = Report::new(output);
        let name = format!("{} ({platform})", plan.name());
        tell(&mut report, output, result, &name, self.directory, preview);
        let (results, code) = report.end();
        output.document(&PreviewOutput::from(results));
        Ok(code)
    }
}

impl StoreInstaller {
    /// Says what installing these entries would do. A failure of one does not keep the others from being looked at.
    pub(super) async fn preview(
        &self,
        groups: &[Group],
        environment: &Environment,
        output: &Output,
    ) -> Result<ExitCode, Failure> {
        let mut report = Report::kept::<PreviewOutput>(output);
        let planned = self.plan(groups, &mut report, |one, error| {
            let result = PreviewResult {
                wanted: Wanted::unplanned(&one.name),
                ..PreviewResult::default()
            };
            result.failed(error)
        });
        let board = &Board::new(output, planned.len());
        let previews = planned.into_iter().map(|one| async move {
            let preview = self.preview_one(&one, environment, board).await;
            (one, preview)
        });
        let tell_one = |(planned, preview): (Planned, Result<Preview, Failure>)| {
            let Planned {
                plan, directory, ..
            } = &planned;
            let result = PreviewResult {
                wanted: Wanted::entry(plan, directory),
                ..PreviewResult::default()
            };
            board.suspend(|| tell(&mut report, output, result, plan.name(), directory, preview));
        };
        told_in_order(previews, AT_ONCE, tell_one).await;
        let (results, code) = report.end();
        output.document(&PreviewOutput::from(results));
        Ok(code)
    }

    async fn preview_one(
        &self,
        planned: &Planned,
        environment: &Environment,
        board: &Board,
    ) -> Result<Preview, Failure> {
        let Planned { plan, platform, .. } = planned;
        let progress = board.row(plan.name());
        let installer = self.installer(planned, environment).await?;
        let events = |event| progress.installing(&event);
        let request = InstallRequest::new(plan, platform).with_options(self.options);
        let preview = self.store.preview(&installer, request.with_events(&events));
        match preview.await {
            Ok(preview) => Ok(preview),
            Err(error) => Err(self.not_installed(error, plan, platform).await),
        }
    }
}

fn tell(
    report: &mut Report<'_, PreviewResult>,
    output: &Output,
    result: PreviewResult,
    name: &str,
    directory: &Path,
    preview: Result<Preview, Failure>,
) {
    match preview {
        Ok(preview) => {
            output.answer(&text(name, directory, &preview));
            report.done(result.with(&preview));
        }
        Err(failure) => report.fail_entry(name, &failure, |error| result.failed(error)),
    }
}

fn text(name: &str, directory: &Path, preview: &Preview) -> String {
    let (name, directory) = (printable(name), path(directory));
    let installed = |preview: &Preview| {
        let installed = preview.installed();
        installed.map_or_else(String::new, |recorded| {
            format!("  installed  {}\n", recorded.digest)
        })
    };
    match preview {
        Preview::Install {
            found, replacement, ..
        } => {
            let (verb, how) = match replacement {
                Replacement::New => ("install", String::new()),
                Replacement::Reinstalled => ("reinstall", String::new()),
                Replacement::NowVerified => (
                    "verify and install",
                    ", in place of what was never verified".to_owned(),
                ),
                Replacement::Upgraded => ("upgrade", String::new()),
                Replacement::RolledBack => ("roll back", String::new()),
                Replacement::Replaced => {
                    let now = found.provenance.as_ref();
                    ("install", in_place_of(preview.installed(), now))
                }
            };
            format!(
                "would {verb} {name} in {directory}{how}\n{}{}{}",
                installed(preview),
                digest_text(&found.digest, found.reference.as_ref()),
                details(&found.grounds, found.provenance.as_ref()),
            )
        }
        Preview::Unchanged { recorded } => format!(
            "{name} in {directory} is up to date by its record\n{}",
            digest_text(&recorded.digest, recorded.reference.as_ref())
        ),
        Preview::Unknown { .. } => format!(
            "would fetch {name} into {directory}; its content is not known before that\n{}",
            installed(preview)
        ),
    }
}
