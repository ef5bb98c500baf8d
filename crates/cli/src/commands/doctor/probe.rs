//! Pulls images, as Kubernetes does, to see what becomes of them.

use std::path::Path;
use std::time::Duration;

use countersign_oci::cut;
use tokio::process::Command;

use super::DoctorContainerdArguments;
use super::finding::Finding;
use super::settings;
use crate::environment::Environment;
use crate::failure::{Failure, Kind};

use crate::program;

/// How long a pull may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Bytes of its output that are kept, from its end.
const OUTPUT_MAX: usize = 64 << 10;
/// What containerd says when a verifier refuses.
const REFUSED: &str = "image verifier";

pub(super) async fn check(
    arguments: &DoctorContainerdArguments,
    environment: &Environment,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    if arguments.probe.is_none() && arguments.signed.is_none() {
        return Ok(findings);
    }
    let crictl = settings::find(arguments.crictl.clone(), "crictl", environment)?;
    if let Some(image) = &arguments.probe {
        findings.push(match pull(&crictl, &arguments.endpoint, image).await? {
            Ok(()) => Finding::failed(
                "probe",
                format!("{image} was pulled: images are NOT verified"),
                "correct what failed above; if nothing did, a rule allows this image",
            ),
            Err(said) if said.contains(REFUSED) => {
                Finding::ok("probe", format!("{image} is refused: {}", shortened(&said)))
            }
            Err(said) => Finding::failed(
                "probe",
                format!(
                    "{image} was not pulled, but no verifier refused it: {}",
                    shortened(&said)
                ),
                "name an image that is there, and check --endpoint",
            ),
        });
    }
    if let Some(image) = &arguments.signed {
        findings.push(match pull(&crictl, &arguments.endpoint, image).await? {
            Ok(()) => Finding::ok("signed", format!("{image} is pulled")),
            Err(said) => Finding::failed(
                "signed",
                format!("{image} is not pulled: {}", shortened(&said)),
                "compare the reason with the rules of the configuration",
            ),
        });
    }
    Ok(findings)
}

/// Pulls the image. The inner error is what the program said.
async fn pull(crictl: &Path, endpoint: &str, image: &str) -> Result<Result<(), String>, Failure> {
    let failed = |error: String| {
        let message = format!("{} pull {image} failed", crictl.display());
        Failure::caused(Kind::Usage, message, error).hint("pass --crictl FILE")
    };
    let mut command = Command::new(crictl);
    command
        .args(["--runtime-endpoint", endpoint, "--image-endpoint", endpoint])
        .args(["pull", "--", image]);
    let ran = program::run(command, LIMIT, OUTPUT_MAX).await;
    let ran = ran.map_err(|error| failed(format!("it {error}")))?;
    Ok(if ran.status.success() {
        Ok(())
    } else {
        Err(ran.stderr.text())
    })
}

/// From where the verifier is named, in one line.
fn shortened(said: &str) -> String {
    let from = said.find(REFUSED).and_then(|at| said.get(at..));
    let words: Vec<&str> = from.unwrap_or(said).split_whitespace().collect();
    cut(&words.join(" "), 500)
}
