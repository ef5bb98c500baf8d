//! Runs the steps of actions and jobs with bash, as GitHub's runner does: each step's variables are
//! filled in, its files for outputs, path and summary are given and read. What `uses` names is an action of
//! this repository, or stood in for by the caller.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::definition::{self, Action, Step, Values, read};
use crate::command::{Command, workspace};

/// What a step's expressions can name: `inputs.images`, `github.ref`.
pub(super) type Names = BTreeMap<String, String>;
/// Does what an action does that GitHub alone has.
pub(super) type StandIn<'a> = Box<dyn Fn(&str, &Names) -> anyhow::Result<()> + 'a>;

/// What a run of steps left.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// The exit code of the step that failed, else 0.
    pub(super) code: i32,
    /// What the steps printed.
    pub(super) log: String,
    /// The job summary.
    pub(super) summary: String,
    /// Outputs of the steps, as `steps.ID.outputs.NAME`, and of the action, as `outputs.NAME`.
    pub(super) names: Names,
    /// Folders that were put before the PATH, the last first.
    pub(super) path: Vec<PathBuf>,
}

/// One machine that runs jobs.
pub(super) struct Runner<'a> {
    /// `GITHUB_WORKSPACE`.
    pub(super) workspace: PathBuf,
    /// `RUNNER_TEMP`.
    pub(super) scratch: PathBuf,
    /// Variables of every step.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) stand_in: StandIn<'a>,
    /// Inputs of the actions that workflows use, where they are not given: what names the sandbox.
    pub(super) further: Names,
}

impl Runner<'_> {
    /// Runs the action in a folder with these inputs.
    ///
    /// # Errors
    /// When the action can't be read, or needs what isn't known here. That a step fails is none.
    pub(super) fn action(&self, folder: &Path, with: &Names) -> anyhow::Result<Ended> {
        self.action_after(folder, with, &[])
    }

    fn action_after(&self, folder: &Path, with: &Names, path: &[PathBuf]) -> anyhow::Result<Ended> {
        let action: Action = read(&folder.join("action.yml"))?;
        let mut names = Names::new();
        for (name, input) in &action.inputs {
            let value = match (with.get(name), &input.default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => definition::text(default),
                (None, None) if input.required => bail!("the input `{name}` is missing"),
                (None, None) => String::new(),
            };
            names.insert(format!("inputs.{name}"), value);
        }
        for name in with.keys() {
            let known = action.inputs.contains_key(name);
            anyhow::ensure!(known, "the action has no input `{name}`");
        }
        let mut ended = self.steps(&action.runs.steps, Some(folder), names, path)?;
        for (name, output) in &action.outputs {
            let value = filled(&output.value, &ended.names)?;
            ended.names.insert(format!("outputs.{name}"), value);
        }
        Ok(ended)
    }

    /// Runs steps one after the other, up to the first that fails; after that, those that run always.
    ///
    /// # Errors
    /// When a step needs what isn't known here. That it fails is none.
    pub(super) fn steps(
        &self,
        steps: &[Step],
        action: Option<&Path>,
        names: Names,
        path: &[PathBuf],
    ) -> anyhow::Result<Ended> {
        let mut ended = Ended {
            names,
            path: path.to_vec(),
            ..Ended::default()
        };
        for (number, step) in steps.iter().enumerate() {
            match step.condition.as_deref() {
                None if ended.code != 0 => continue,
                None | Some("always()") => {}
                Some(other) => bail!("a step has the condition `{other}`, which isn't known here"),
            }
            let failed = ended.code;
            self.step(step, number, action, &mut ended)
                .with_context(|| step.name.clone().unwrap_or_default())?;
            if failed != 0 {
                ended.code = failed;
            }
        }
        Ok(ended)
    }

    fn step(
        &self,
        step: &Step,
        number: usize,
        action: Option<&Path>,
        ended: &mut Ended,
    ) -> anyhow::Result<()> {
        let prefix = step.id.as_ref().map(|id| format!("steps.{id}.outputs."));
        match (&step.run, &step.uses) {
            (Some(script), None) => {
                // GitHub fills expressions in scripts too, which is how commands are injected.
                anyhow::ensure!(!script.contains("${{"), "a script has an expression in it");
                let variables = all_filled(&step.env, &ended.names)?;
                let outputs = self.bash(script, number, action, &variables, ended)?;
                if let Some(prefix) = prefix {
                    let outputs = outputs.into_iter();
                    ended
                        .names
                        .extend(outputs.map(|(name, value)| (format!("{prefix}{name}"), value)));
                }
            }
            (None, Some(uses)) => {
                let mut with = all_filled(&step.with, &ended.names)?;
                // An action of the same repository, at the same commit.
                let Some(own) = uses.strip_prefix("$/") else {
                    return (self.stand_in)(uses, &with);
                };
                if action.is_none() {
                    for (name, value) in &self.further {
                        with.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                }
                let inner = self.action_after(&workspace().join(own), &with, &ended.path)?;
                ended.code = inner.code;
                ended.log.push_str(&inner.log);
                ended.summary.push_str(&inner.summary);
                ended.path = inner.path;
                if let Some(prefix) = prefix {
                    for (name, value) in inner.names {
                        if let Some(name) = name.strip_prefix("outputs.") {
                            ended.names.insert(format!("{prefix}{name}"), value);
                        }
                    }
                }
            }
            (Some(_), Some(_)) | (None, None) => bail!("a step either runs or uses something"),
        }
        Ok(())
    }

    /// Runs a script, and gives the outputs that it set.
    fn bash(
        &self,
        script: &str,
        number: usize,
        action: Option<&Path>,
        variables: &Names,
        ended: &mut Ended,
    ) -> anyhow::Result<Names> {
        let files = tempfile::Builder::new()
            .prefix(&format!("step-{number}-"))
            .tempdir_in(&self.scratch)?;
        let file = |name: &str| {
            let path = files.path().join(name);
            fs::write(&path, "").map(|()| path)
        };
        let (outputs, paths, summary) = (file("outputs")?, file("path")?, file("summary")?);
        let text = files.path().join("script.sh");
        fs::write(&text, script)?;
        let path = ended.path.iter().map(|folder| folder.display().to_string());
        let path: Vec<String> = path.chain(["/usr/bin:/bin".to_owned()]).collect();
        let mut command = Command::new("/bin/bash")
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .args([&text])
            .directory(&self.workspace)
            .env("PATH", path.join(":"))
            .env("GITHUB_WORKSPACE", &self.workspace)
            .env("RUNNER_TEMP", &self.scratch)
            .env("GITHUB_OUTPUT", &outputs)
            .env("GITHUB_PATH", &paths)
            .env("GITHUB_STEP_SUMMARY", &summary);
        if let Some(action) = action {
            command = command.env("GITHUB_ACTION_PATH", action);
        }
        for (name, value) in self.environment.iter().chain(variables) {
            command = command.env(name, value);
        }
        let output = command.run()?;
        ended.code = output.code().unwrap_or(-1);
        ended.log.push_str(&output.stdout);
        ended.log.push_str(&output.stderr);
        ended.summary.push_str(&fs::read_to_string(summary)?);
        for folder in fs::read_to_string(paths)?.lines() {
            ended.path.insert(0, folder.into());
        }
        read_outputs(&fs::read_to_string(outputs)?)
    }
}

/// Outputs as a step writes them: `NAME=VALUE`, or lines between `NAME<<END` and `END`.
fn read_outputs(text: &str) -> anyhow::Result<Names> {
    let mut outputs = Names::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (name, value) = match (line.split_once("<<"), line.split_once('=')) {
            (Some((name, end)), _) => {
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
                (name, value.join("\n"))
            }
            (None, Some((name, value))) => (name, value.to_owned()),
            (None, None) => bail!("expected an output, found `{line}`"),
        };
        outputs.insert(name.to_owned(), value);
    }
    Ok(outputs)
}

fn all_filled(values: &Values, names: &Names) -> anyhow::Result<Names> {
    let filled = |(name, value): (&String, _)| {
        let value = filled(&definition::text(value), names)?;
        Ok((name.clone(), value))
    };
    values.iter().map(filled).collect()
}

/// `text` with the values of its expressions. Only names are known, no operators.
pub(super) fn filled(text: &str, names: &Names) -> anyhow::Result<String> {
    let mut rest = text;
    let mut filled = String::new();
    while let Some((before, after)) = rest.split_once("${{") {
        let (name, after) = after.split_once("}}").context("an expression has no end")?;
        let name = name.trim();
        filled.push_str(before);
        match names.get(name) {
            Some(value) => filled.push_str(value),
            // What a step did not come to set is empty.
            None if name.starts_with("steps.") => {}
            None => bail!("nothing is known of `{name}`"),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_read_with_one_line_and_with_several() {
        let outputs =
            read_outputs("a=1=2\nb<<END OF IT\nx\n\ny=1\nEND OF IT\nc=\n").unwrap_or_default();
        let expected = [("a", "1=2"), ("b", "x\n\ny=1"), ("c", "")];
        assert_eq!(
            outputs,
            expected
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        );
    }

    #[test]
    fn expressions_are_filled_in_and_what_is_unknown_is_an_error() {
        let names = Names::from([("inputs.tag".to_owned(), "v1".to_owned())]);
        let fill = |text: &str| filled(text, &names).map_err(|error| error.to_string());
        assert_eq!(fill("a-${{ inputs.tag }}-b").as_deref(), Ok("a-v1-b"));
        assert_eq!(fill("${{ steps.sign.outputs.digest }}").as_deref(), Ok(""));
        assert_eq!(
            fill("${{ inputs.tga }}"),
            Err("nothing is known of `inputs.tga`".into())
        );
    }
}
