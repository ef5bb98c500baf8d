//! Programs that must not compile, and the compiler's messages.
//!
//! They are compiled with the libraries that the running test was built with, so nothing is built
//! twice. First a correct program is compiled. If it compiles, then the others fail because of
//! their own mistake, and not because a library is missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A compiler with the crates that the programs use.
#[derive(Debug)]
pub struct Compiler {
    directory: PathBuf,
    libraries: PathBuf,
    externs: Vec<(String, PathBuf)>,
}

impl Compiler {
    /// A compiler that runs in `directory` and finds libraries beside `test`, the running test: the
    /// newest build of the crate `about`, and the builds of `others` that it was built with.
    /// `legal` is a program in the directory that must compile.
    ///
    /// # Errors
    /// An error, if a crate has no build, if the compiler can't run, or if `legal` doesn't compile.
    pub fn new(
        directory: &Path,
        test: &Path,
        about: &str,
        others: &[&str],
        legal: &str,
    ) -> Result<Self, String> {
        let libraries = test.parent().unwrap_or(Path::new(".")).to_owned();
        let newest = builds(&libraries, about)?
            .into_iter()
            .max_by_key(|build| build.metadata().and_then(|data| data.modified()).ok())
            .ok_or_else(|| format!("no build of {about} in {}", libraries.display()))?;
        // The compiler writes into each library which builds of other libraries it needs.
        let needs = std::fs::read(newest.with_extension("rmeta"))
            .map_err(|error| format!("{} can't be read: {error}", newest.display()))?;
        let mut externs = vec![(about.to_owned(), newest)];
        for name in others {
            let build = builds(&libraries, name)?
                .into_iter()
                .find(|build| contains(&needs, suffix(build, name).as_bytes()))
                .ok_or_else(|| format!("no build of {name} that {about} was built with"))?;
            externs.push(((*name).to_owned(), build));
        }
        let compiler = Self {
            directory: directory.to_owned(),
            libraries,
            externs,
        };
        let said = compiler.run(legal)?;
        if said.status.success() {
            Ok(compiler)
        } else {
            let said = String::from_utf8_lossy(&said.stderr);
            Err(format!("{legal} must compile, but doesn't:\n{said}"))
        }
    }

    /// The compiler's message for each program in `folder`, a path in the directory, by the
    /// program's name.
    ///
    /// # Errors
    /// As [`refusal`](Self::refusal); also an error if there is no program.
    pub fn refusals(&self, folder: &str) -> Result<Vec<(String, String)>, String> {
        let unread = |error| format!("{folder} can't be read: {error}");
        let mut refusals = Vec::new();
        for entry in std::fs::read_dir(self.directory.join(folder)).map_err(unread)? {
            let file = entry.map_err(unread)?.file_name();
            if let Some(name) = file.to_string_lossy().strip_suffix(".rs") {
                let said = self.refusal(&format!("{folder}/{name}.rs"))?;
                refusals.push((name.to_owned(), said));
            }
        }
        if refusals.is_empty() {
            return Err(format!("no programs in {folder}"));
        }
        Ok(refusals)
    }

    /// The compiler's message for a program, given by its path in the directory. Paths of other
    /// files, and their line numbers, are left out, because they differ between machines.
    ///
    /// # Errors
    /// An error, if the compiler can't run, or if the program compiles.
    pub fn refusal(&self, program: &str) -> Result<String, String> {
        let Output { status, stderr, .. } = self.run(program)?;
        if status.success() {
            return Err(format!("{program} must not compile, but does"));
        }
        Ok(portable(program, &String::from_utf8_lossy(&stderr)))
    }

    fn run(&self, program: &str) -> Result<Output, String> {
        let mut search = OsString::from("dependency=");
        search.push(&self.libraries);
        let mut command = Command::new("rustc");
        command
            .current_dir(&self.directory)
            .args(["--edition=2024", "--crate-type=bin", "--emit=metadata=-"])
            .args([
                "--color=never",
                "--diagnostic-width=160",
                "--allow=dead_code",
            ])
            .arg("-L")
            .arg(search)
            .arg(program);
        for (name, library) in &self.externs {
            let mut value = OsString::from(format!("{name}="));
            value.push(library);
            command.arg("--extern").arg(value);
        }
        command
            .output()
            .map_err(|error| format!("rustc can't be run: {error}"))
    }
}

/// All builds of a crate. Old builds stay when a new one is made.
fn builds(libraries: &Path, name: &str) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(libraries)
        .map_err(|error| format!("{} can't be read: {error}", libraries.display()))?;
    let start = format!("lib{name}-");
    Ok(entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "rlib")
        })
        .filter(|path| {
            let file = path.file_name().unwrap_or_default();
            file.to_string_lossy().starts_with(&start)
        })
        .collect())
}

/// The part of a build's file name that differs from other builds: the hyphen and everything after
/// it.
fn suffix(build: &Path, name: &str) -> String {
    let stem = build.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = stem
        .strip_prefix("lib")
        .and_then(|stem| stem.strip_prefix(name));
    suffix.unwrap_or_default().to_owned()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

/// The compiler's message with margins of one width, and without its closing lines, the list of
/// other types, and exact places in other files.
fn portable(program: &str, said: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut elsewhere = false;
    for line in said.lines() {
        let text = line.trim_start();
        let code = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text.strip_suffix(code).unwrap_or_default();
        let place = code
            .strip_prefix("--> ")
            .or_else(|| code.strip_prefix("::: "));
        if line.starts_with("error: aborting due to ") {
            break;
        } else if let Some(place) = place {
            let file = place.split(':').next().unwrap_or_default();
            elsewhere = file != program;
            lines.push(if elsewhere {
                format!("  --> {}", within_crate(file))
            } else {
                format!("  --> {place}")
            });
        } else if code.trim_start().starts_with(['|', '=']) {
            let number = if elsewhere { "" } else { number };
            lines.push(format!("{number:>2} {}", code.trim_start()));
        } else if !line.starts_with(' ') {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// The end of a path, from its last `src`.
fn within_crate(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let source = parts.iter().rposition(|part| *part == "src").unwrap_or(0);
    let inside = parts.get(source..).unwrap_or_default();
    inside.join("/")
}
