//! What was measured: as a table, as JSON, and as a chart.

mod chart;

use std::fs;
use std::path::PathBuf;

use serde::Serialize;

/// Files that are written besides the table.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Files {
    /// Write what `install` measured as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write what `install` measured as an SVG chart
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// One run of the measurements.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Cores of the machine.
    pub(super) cores: usize,
    /// Size of the images, in percent of the full one.
    pub(super) scale: usize,
    pub(super) images: Vec<Row>,
}

/// What was measured of one image. All figures but the memory are medians.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) image: &'static str,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    /// Most memory that was resident at once.
    pub(super) resident_mib: f64,
    pub(super) peers: Vec<PeerRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct PeerRow {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    /// How many times as long as ours that is.
    pub(super) ratio: f64,
}

impl Row {
    /// The line of the table.
    pub(super) fn line(&self) -> String {
        let share = self.seconds / self.cpu_seconds;
        let mut line = format!(
            "  {:18} {:7.2} s {:6.2} s {share:9.2} {:6.0} MiB",
            self.image, self.seconds, self.cpu_seconds, self.resident_mib
        );
        for PeerRow { seconds, ratio, .. } in &self.peers {
            line.push_str(&format!(" {seconds:8.2} s {ratio:5.1} x"));
        }
        line
    }
}

/// The head of the table.
pub(super) fn head(peers: &[&str]) -> String {
    let mut head = format!(
        "  {:18} {:>9} {:>8} {:>9} {:>10}",
        "", "time", "CPU", "time/CPU", "resident"
    );
    for peer in peers {
        head.push_str(&format!(" {peer:>18}"));
    }
    head
}

impl Report {
    /// # Errors
    /// When a file can't be written.
    pub(super) fn write(&self, files: &Files) -> anyhow::Result<()> {
        if let Some(json) = &files.json {
            fs::write(json, serde_json::to_string_pretty(self)? + "\n")?;
        }
        if let Some(svg) = &files.chart {
            fs::write(svg, chart::draw(self))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            cores: 2,
            scale: 50,
            images: vec![Row {
                image: "4 layers, gzip",
                seconds: 1.0,
                cpu_seconds: 2.0,
                resident_mib: 46.4,
                peers: vec![PeerRow {
                    name: "crane, tar",
                    seconds: 4.0,
                    cpu_seconds: 4.4,
                    ratio: 4.0,
                }],
            }],
        }
    }

    #[test]
    fn the_columns_of_the_table_are_below_their_names() {
        let report = report();
        let table = [head(&["crane, tar"]), report.images[0].line()];
        assert_eq!(
            table.join("\n"),
            "                          time      CPU  time/CPU   resident         crane, tar\n  \
             4 layers, gzip        1.00 s   2.00 s      0.50     46 MiB     4.00 s   4.0 x"
        );
    }

    #[test]
    fn both_files_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files {
            json: Some(directory.path().join("json")),
            chart: Some(directory.path().join("svg")),
        };
        report().write(&files).unwrap();
        let json = fs::read(files.json.unwrap()).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["images"][0]["peers"][0]["ratio"], 4.0);
        let svg = fs::read_to_string(files.chart.unwrap()).unwrap();
        assert!(svg.starts_with("<svg"), "{svg}");
    }
}
