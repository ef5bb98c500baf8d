//! The table of `countersign list`: a row an installation, as wide as the terminal. And tables that are never cut.
//!
//! Without a terminal nothing is cut, so that scripts read whole values.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};
use countersign_download::{Grounds, Installation, RecordState, Recorded};
use countersign_oci::printable;

use crate::output;

/// Hexadecimal digits of a digest that are shown.
const DIGITS: usize = 12;
/// Blanks between columns.
const GAP: u16 = 2;
/// The least that is left for signers.
const SIGNER_MIN: u16 = 20;
/// The columns, and the one that gives way to the terminal's width.
const COLUMNS: [&str; 9] = [
    "NAME",
    "GALLERY",
    "TAG",
    "DIGEST",
    "SIGNER",
    "SIGNED",
    "INSTALLED",
    "SIZE",
    "VERIFIED",
];
const SIGNER: usize = 4;
/// What is left out on a narrow terminal, the first first.
const DISPENSABLE: [usize; 7] = [6, 7, 5, 1, 2, 3, 8];

/// One row each. On a terminal of `width` columns no row is wider: signers are cut, and columns left
/// out where that is not enough, and at last names are cut. Without a terminal nothing is cut.
pub(super) fn table(installations: &[Installation], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_truncation_indicator("…");
    table.set_header(COLUMNS.to_vec());
    for installation in installations {
        let mut row = Row::from(cells(installation).to_vec());
        row.max_height(1);
        table.add_row(row);
    }
    let widths = table.column_max_content_widths();
    for (at, column) in table.column_iter_mut().enumerate() {
        let last = at + 1 == COLUMNS.len();
        column.set_padding((0, if last { 0 } else { GAP }));
        if at != SIGNER {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    match width {
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
            let mut needed = widths.iter().enumerate().fold(0, |sum, (at, content)| {
                let content = if at == SIGNER {
                    SIGNER_MIN.min(*content)
                } else {
                    *content
                };
                sum + content + GAP
            });
            for at in DISPENSABLE {
                if needed <= width {
                    break;
                }
                if let (Some(column), Some(content)) = (table.column_mut(at), widths.get(at)) {
                    column.set_constraint(ColumnConstraint::Hidden);
                    needed -= content + GAP;
                }
            }
            if needed > width {
                narrow(&mut table, width);
            }
        }
    }
    lines(&table)
}

/// Leaves the names alone, cut where they are wider than the terminal.
fn narrow(table: &mut Table, width: u16) {
    if let Some(signers) = table.column_mut(SIGNER) {
        signers.set_constraint(ColumnConstraint::Hidden);
    }
    if let Some(names) = table.column_mut(0) {
        names.set_padding((0, 0));
        names.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(width)));
    }
}

/// One row each, as wide as they are.
pub(super) fn whole<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.to_vec());
    for row in rows {
        table.add_row(row.to_vec());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    lines(&table)
}

fn lines(table: &Table) -> String {
    let mut text = String::new();
    for line in table.trim_fmt().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The row of what has no record that can be read.
fn without_record(name: String, state: &str) -> [String; COLUMNS.len()] {
    let none = || "-".to_owned();
    let state = state.to_owned();
    [
        name,
        none(),
        none(),
        none(),
        state,
        none(),
        none(),
        none(),
        none(),
    ]
}

fn cells(installation: &Installation) -> [String; COLUMNS.len()] {
    let name = printable(&installation.name.to_string());
    let recorded = match &installation.record {
        RecordState::Read(recorded) => recorded,
        RecordState::Missing => return without_record(name, "(no record)"),
        RecordState::Unfinished => return without_record(name, "(unfinished)"),
        RecordState::Later => return without_record(name, "(later record)"),
        RecordState::Unreadable | RecordState::Unrecognised => {
            return without_record(name, "(unreadable record)");
        }
    };
    let gallery = recorded
        .provenance
        .as_ref()
        .map(|one| printable(&one.gallery));
    let tag = recorded.reference.as_ref().and_then(|image| image.tag());
    let digest = recorded.digest.hex().chars().take(DIGITS).collect();
    let (signer, signed) = signer(recorded);
    let size = recorded.bytes.map(output::bytes);
    let verified = match recorded.grounds {
        Grounds::Signature { .. } => "yes",
        Grounds::Digest => "by digest",
        Grounds::Nothing => "no",
    };
    [
        name,
        gallery.unwrap_or_else(|| "-".to_owned()),
        tag.unwrap_or("-").to_owned(),
        digest,
        signer,
        signed,
        day_of(recorded.installed_at),
        size.unwrap_or_else(|| "-".to_owned()),
        verified.to_owned(),
    ]
}

/// The day, in UTC.
fn day_of(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// Who signed, without the scheme of a URL, and on which day (UTC).
fn signer(recorded: &Recorded) -> (String, String) {
    let none = "-".to_owned();
    match &recorded.grounds {
        Grounds::Signature { evidence, .. } => {
            let signer = evidence.signer.to_string();
            let identity = printable(signer.strip_prefix("https://").unwrap_or(&signer));
            (identity, recorded.grounds.signed_at().map_or(none, day_of))
        }
        Grounds::Digest => ("(digest of the gallery)".to_owned(), none),
        Grounds::Nothing => ("(unverified)".to_owned(), none),
    }
}
