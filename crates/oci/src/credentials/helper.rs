//! Credential helpers: programs named `docker-credential-…`. They read a server's address on
//! standard input, and write a login in JSON to standard output.
//!
//! A helper has a time limit, after which it is killed. Only a limited part of its output is read.
//! The output is never shown, because it may hold the secret.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

use super::login::{Secret, secret};

const OUTPUT_MAX: u64 = 64 << 10;
/// The message of helpers that have no login for a server (`credentials.ErrCredentialsNotFound` in
/// docker-credential-helpers). Some helpers also write it when they succeed.
const NOT_FOUND: &str = "credentials not found";
/// The user name that says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Asks `program` for the login at `server`.
pub(super) async fn ask(
    program: &str,
    directories: Option<&[PathBuf]>,
    server: &str,
    answer_time: Duration,
) -> Result<Option<Secret>, HelperError> {
    let path = locate(program, directories)?;
    tokio::time::timeout(answer_time, run(&path, server))
        .await
        .map_err(|_| HelperError::TimedOut(answer_time))?
}

#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("the credential helper's name contains a path; expected the name alone")]
    Name,
    #[error("the credential helper was not found")]
    Missing,
    #[error("the credential helper can't be run")]
    Run(#[source] std::io::Error),
    #[error("the credential helper did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the credential helper failed ({0})")]
    Failed(ExitStatus),
    #[error(
        "expected JSON with Username and Secret from the credential helper, found something else"
    )]
    Output,
}

fn locate(program: &str, directories: Option<&[PathBuf]>) -> Result<PathBuf, HelperError> {
    if program.contains(['/', '\\', '\0']) {
        return Err(HelperError::Name);
    }
    match directories {
        None => Ok(PathBuf::from(program)),
        Some(directories) => directories
            .iter()
            .map(|directory| directory.join(program))
            .find(|path| path.is_file())
            .ok_or(HelperError::Missing),
    }
}

async fn run(path: &Path, server: &str) -> Result<Option<Secret>, HelperError> {
    let mut child = Command::new(path)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(HelperError::Run)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (_, output) = tokio::join!(tell(stdin, server), listen(stdout));
    let output = output?;
    let status = child.wait().await.map_err(HelperError::Run)?;
    if output.contains(NOT_FOUND) {
        return Ok(None);
    }
    if !status.success() {
        return Err(HelperError::Failed(status));
    }
    parse(&output)
}

/// A helper may answer without reading its input, so a failed write is not an error.
async fn tell(stdin: Option<ChildStdin>, server: &str) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(server.as_bytes()).await;
    }
}

async fn listen(stdout: Option<ChildStdout>) -> Result<Zeroizing<String>, HelperError> {
    let mut output = Vec::new();
    if let Some(stdout) = stdout {
        let mut bounded = stdout.take(OUTPUT_MAX);
        let read = bounded.read_to_end(&mut output).await;
        read.map_err(HelperError::Run)?;
    }
    let output = String::from_utf8(output).map_err(|_| HelperError::Output)?;
    Ok(Zeroizing::new(output))
}

fn parse(output: &str) -> Result<Option<Secret>, HelperError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        #[serde(deserialize_with = "secret")]
        secret: Zeroizing<String>,
    }
    let Answer { username, secret } =
        serde_json::from_str(output).map_err(|_| HelperError::Output)?;
    // Helpers of clouds write nothing if the user is not logged in.
    if secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(if username == TOKEN_USER {
        Secret::Identity(secret)
    } else {
        Secret::Password {
            user: username,
            password: secret,
        }
    }))
}
