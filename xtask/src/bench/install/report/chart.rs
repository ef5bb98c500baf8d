//! A chart of bars, one group an image.

use svg::Document;
use svg::node::element::{Rectangle, Text};

use super::{Report, Row};

const WIDTH: f64 = 760.0;
/// Where the bars begin: the names are left of it.
const LEFT: f64 = 210.0;
/// Room for the figure behind the longest bar.
const RIGHT: f64 = 100.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;
const TOP: f64 = 40.0;
/// They can be read on white and on black.
const OURS: &str = "#2da44e";
const THEIRS: &str = "#8c959f";
const WORDS: &str = "#6e7781";

/// Draws the seconds of each image, ours first.
pub(super) fn draw(report: &Report) -> String {
    let seconds = |row: &Row| {
        let peers = row.peers.iter().map(|peer| peer.seconds);
        peers.fold(row.seconds, f64::max)
    };
    let longest = report.images.iter().map(seconds).fold(0.1, f64::max);
    let title = format!(
        "Seconds to install an image on {} cores. countersign also verifies its signature.",
        report.cores
    );
    let mut document = Document::new().add(text(title, 10.0, 20.0, "start"));
    let mut top = TOP;
    for row in &report.images {
        document = document.add(text(row.image, 10.0, top + 12.0, "start"));
        let ours = ("countersign", row.seconds, String::new());
        let peers = row.peers.iter();
        let peers = peers.map(|peer| (peer.name, peer.seconds, format!(", {:.1} x", peer.ratio)));
        for (name, seconds, ratio) in [ours].into_iter().chain(peers) {
            let length = (WIDTH - LEFT - RIGHT) * seconds / longest;
            let bar = Rectangle::new()
                .set("x", LEFT)
                .set("y", top)
                .set("width", format!("{length:.1}"))
                .set("height", BAR - 2.0)
                .set("fill", if ratio.is_empty() { OURS } else { THEIRS });
            let figure = format!("{seconds:.2} s{ratio}");
            document = document
                .add(text(name, LEFT - 6.0, top + 12.0, "end"))
                .add(bar)
                .add(text(figure, LEFT + length + 6.0, top + 12.0, "start"));
            top += BAR;
        }
        top += GAP;
    }
    document.set("viewBox", (0, 0, WIDTH, top)).to_string()
}

fn text(words: impl Into<String>, x: f64, y: f64, anchor: &str) -> Text {
    Text::new(words)
        .set("x", format!("{x:.1}"))
        .set("y", y)
        .set("fill", WORDS)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .set("text-anchor", anchor)
}

#[cfg(test)]
mod tests {
    use super::super::PeerRow;
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_the_others_are_in_proportion() {
        let row = Row {
            image: "image",
            seconds: 1.0,
            cpu_seconds: 2.0,
            resident_mib: 40.0,
            peers: vec![PeerRow {
                name: "other",
                seconds: 4.5,
                cpu_seconds: 4.6,
                ratio: 4.5,
            }],
        };
        let report = Report {
            cores: 2,
            scale: 50,
            images: vec![row],
        };
        let drawn = draw(&report);
        for part in ["width=\"100.0\"", "width=\"450.0\"", "4.50 s, 4.5 x"] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }
}
