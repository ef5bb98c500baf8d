//! Programs of others, run to their end: within a time, and with a bound on what is kept of what they print.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// What a program did that came to its end.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Printed,
    pub(crate) stderr: Printed,
}

/// Why a program did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRun {
    #[error("can't be run: {0}")]
    Failed(io::Error),
    #[error("has not ended within {} s", .0.as_secs())]
    Late(Duration),
}

/// The end of what a program printed, where it says why it failed.
#[derive(Debug, Default)]
pub(crate) struct Printed {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Printed {
    /// It, with U+FFFD for what is not UTF-8.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// All that was printed; `None` if it is more than is kept.
    pub(crate) fn whole(&self) -> Option<String> {
        (!self.is_cut).then(|| self.text())
    }
}

/// Runs `command`, which gets no input. Of each of its outputs the last `keep` bytes are kept. What takes longer than
/// `limit` is killed, and so is what nobody waits for any more.
pub(crate) async fn run(mut command: Command, limit: Duration, keep: usize) -> Result<Ran, NotRun> {
    let ran = async {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // A program whose output nobody reads would never end.
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(end_of(stdout, keep), end_of(stderr, keep))?;
        let status = child.wait().await?;
        Ok(Ran {
            status,
            stdout,
            stderr,
        })
    };
    match tokio::time::timeout(limit, ran).await {
        Ok(ran) => ran.map_err(NotRun::Failed),
        Err(_) => Err(NotRun::Late(limit)),
    }
}

/// All there is to read, of which the last `keep` bytes are kept.
async fn end_of(from: Option<impl AsyncRead + Unpin>, keep: usize) -> io::Result<Printed> {
    let mut printed = Printed::default();
    let Some(mut from) = from else {
        return Ok(printed);
    };
    let mut buffer = vec![0; 8 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        let Some(new) = buffer.get(..read).filter(|new| !new.is_empty()) else {
            return Ok(printed);
        };
        printed.bytes.extend_from_slice(new);
        let over = printed.bytes.len().saturating_sub(keep);
        if over > 0 {
            printed.bytes.drain(..over);
            printed.is_cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn of_a_long_output_the_end_is_kept() {
        let script = "head -c 100000 /dev/zero; echo why >&2; printf end; exit 3";
        let ran = run(shell(script), Duration::from_secs(60), 5);
        let ran = ran.await.unwrap();
        assert_eq!(ran.status.code(), Some(3));
        assert_eq!(ran.stdout.text(), "\0\0end");
        assert_eq!(ran.stdout.whole(), None);
        assert_eq!(ran.stderr.whole().as_deref(), Some("why\n"));
    }

    #[tokio::test]
    async fn what_does_not_end_is_killed() {
        let ran = run(shell("sleep 600"), Duration::from_millis(50), 5).await;
        assert!(matches!(ran, Err(NotRun::Late(_))));
        let ran = run(Command::new("/nowhere"), Duration::from_secs(60), 5).await;
        assert!(matches!(ran, Err(NotRun::Failed(_))));
    }
}
