//! What verification adds to an installation from a registry that is far away. The same image is installed with a
//! policy, and without one: then nothing is verified.

use std::fs;
use std::time::Duration;

use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault};

use super::{Install, RUNS, medians, usage};

/// How late each answer is.
const DELAY: Duration = Duration::from_millis(50);
/// Bytes of the image.
const SIZE: usize = 64 << 20;
/// What is aimed at: so many milliseconds more at most, which is less than one round trip.
const MILLISECONDS: f64 = 25.0;

impl Install<'_> {
    /// Returns the target if it was missed.
    ///
    /// # Errors
    /// When a program can't be run, or fails.
    pub(super) fn late(
        &self,
        sign: impl Fn(&str) -> anyhow::Result<()>,
        verification: &str,
    ) -> anyhow::Result<Option<String>> {
        let zeros = Layer::builder().file("zeros", vec![0; SIZE], 0o644);
        let image = Image::builder("linux/amd64".parse()?)
            .layer(zeros.build(Compression::None))
            .build();
        let digest = image.push(self.registry, "install/far", None);
        let reference = format!("{}/install/far@{digest}", self.registry.host());
        sign(&reference)?;
        let index = format!("[{{name: far, uri: 'oci://{reference}'}}]");
        fs::write(self.directory.join("far-index.yaml"), index)?;
        for (name, rest) in [("with", verification), ("without", "")] {
            let gallery = format!("[{{name: {name}, url: 'file:far-index.yaml'{rest}}}]");
            fs::write(self.directory.join(format!("{name}.yaml")), gallery)?;
        }
        let target = self.directory.join("far");
        let command = |name: &str| {
            self.program()
                .args([format!("--gallery={name}.yaml")])
                .args(["--store"])
                .args([&target])
                .args(["far"])
        };
        self.registry
            .add_fault(Fault::on("* *", Effect::Delay(DELAY)));
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            for (name, used) in [("with", &mut with), ("without", &mut without)] {
                used.push(usage(&command(name))?);
                fs::remove_dir_all(&target)?;
            }
        }
        self.registry.clear_faults();
        let milliseconds = |used: &[_]| medians(used, |usage| usage.time) * 1e3;
        let (with, without) = (milliseconds(&with), milliseconds(&without));
        println!(
            "\n{} MB over a link of {} ms: {with:.0} ms with verification, {without:.0} ms without",
            SIZE >> 20,
            DELAY.as_millis(),
        );
        let more = with - without;
        Ok((more > MILLISECONDS).then(|| {
            format!("a link: expected at most {MILLISECONDS} ms for verification, found {more:.0}")
        }))
    }
}
