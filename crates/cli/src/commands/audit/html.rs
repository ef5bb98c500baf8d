//! `--html`: the report as one page, which needs no network and no other file.
//!
//! Names in it are other people's. Each is escaped, and a policy in the page lets no script run but the page's
//! own: the browser compares its digest.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign_download::State;
use countersign_oci::Digest;

use super::markup::escaped;
use super::record::AuditResult;
use super::tally::{GroupKey, Tally, policy_change};
use super::text;

const STYLE: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");

/// The most images in the table. A browser sorts so many without a pause.
pub(super) const ROWS_MAX: usize = 20_000;
/// The most signers and groups.
const LISTED: usize = 50;

/// The page. `made_at` is shown.
pub(super) fn page(tally: &Tally, results: &[AuditResult], made_at: &str) -> String {
    let mut page = String::new();
    let (style, script) = (source(STYLE), source(SCRIPT));
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {style}; \
         script-src {script}; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Audit of signatures</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n\
         <h1>Audit of signatures</h1>\n<p class=\"soft\">made by countersign {} at {}</p>\n</header>\n<main>\n",
        env!("CARGO_PKG_VERSION"),
        escaped(made_at),
    );
    overview(&mut page, tally);
    signers(&mut page, tally);
    groups(&mut page, tally);
    images(&mut page, tally, results);
    let _ = write!(
        page,
        "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    );
    page
}

/// How a policy of a page names a text that may be used.
fn source(text: &str) -> String {
    // The hex of a digest can be decoded.
    let bytes = hex::decode(Digest::sha256(text.as_bytes()).hex()).unwrap_or_default();
    format!("'sha256-{}'", STANDARD.encode(bytes))
}

/// The colour of a state: the same for states that ask for the same.
fn class(state: State) -> &'static str {
    match state {
        State::Proven => "good",
        State::Digest => "good lighter",
        State::Stale => "warn",
        State::OtherCondition | State::LegacyOnly => "warn lighter",
        State::AttestationOnly => "warn lightest",
        State::Unsigned => "bad",
        State::OtherSigner | State::Invalid => "bad lighter",
        State::Denied | State::Uncovered => "bad lightest",
        State::Missing => "gone",
        State::Unreachable | State::Rejected | State::Failed => "gone lighter",
        State::Unusable => "gone lightest",
    }
}

fn overview(page: &mut String, tally: &Tally) {
    let total = tally.total();
    let good = tally.of(State::Proven) + tally.of(State::Digest);
    let _ = write!(
        page,
        "<p class=\"share\">{}</p>\n<p>{good} of {} are covered by a signature or a digest.</p>\n\
         <svg class=\"stack\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"images by state\">",
        percent(good, total),
        text::images(total),
    );
    let found = || {
        State::ALL
            .iter()
            .copied()
            .filter(|state| tally.of(*state) > 0)
    };
    let mut at = 0;
    for state in found() {
        let (from, to) = (permille(at, total), permille(at + tally.of(state), total));
        let _ = write!(
            page,
            "<rect class=\"{}\" x=\"{from}\" width=\"{}\" height=\"10\"><title>{} {}</title></rect>",
            class(state),
            to - from,
            tally.of(state),
            state.as_str(),
        );
        at += tally.of(state);
    }
    page.push_str("</svg>\n<table>\n<tbody>\n");
    for state in found() {
        let count = tally.of(state);
        let _ = writeln!(
            page,
            "<tr><td class=\"number\">{count}</td><td class=\"number soft\">{}</td>\
             <td class=\"name {}\">{}</td><td>{}</td><td class=\"chart\">{}</td></tr>",
            percent(count, total),
            class(state),
            state.as_str(),
            state.words(),
            bar(class(state), count, total),
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

fn signers(page: &mut String, tally: &Tally) {
    let signers = tally.signers().largest();
    let Some((_, most, ())) = signers.first() else {
        return;
    };
    page.push_str(
        "<h2>Proven, by signer</h2>\n<table>\n<thead><tr><th class=\"number\">Images</th><th>Signer</th>\
         <th></th></tr></thead>\n<tbody>\n",
    );
    for (signer, count, ()) in signers.iter().take(LISTED) {
        let _ = writeln!(
            page,
            "<tr><td class=\"number\">{count}</td><td><code>{}</code><br><span class=\"soft\">by {}</span></td>\
             <td class=\"chart\">{}</td></tr>",
            escaped(&signer.identity),
            escaped(signer.issuer.as_deref().unwrap_or("a key")),
            bar("good", *count, *most),
        );
    }
    page.push_str("</tbody>\n</table>\n");
    more(page, signers.len(), "signers");
}

fn groups(page: &mut String, tally: &Tally) {
    let groups = tally.groups().largest();
    if groups.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Not proven, by group</h2>\n<table>\n<thead><tr><th class=\"number\">Images</th><th>State</th>\
         <th>Where</th><th>Why not</th><th>Some of them</th></tr></thead>\n<tbody>\n",
    );
    for (key, count, named) in groups.iter().take(LISTED) {
        let more = match count.saturating_sub(named.named.len() as u64) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let GroupKey {
            state,
            gallery,
            repository,
            platform,
            signer,
        } = key;
        let beside = [gallery, platform]
            .into_iter()
            .flatten()
            .map(String::as_str);
        let _ = writeln!(
            page,
            "<tr><td class=\"number\">{count}</td><td class=\"name {}\">{}</td><td class=\"where\"><code>{}</code><br>\
             <span class=\"soft\">{}</span></td><td>{}{}{}</td><td class=\"some\">{}{more}</td></tr>",
            class(*state),
            state.as_str(),
            escaped(repository),
            escaped(&beside.collect::<Vec<_>>().join(", ")),
            line("", named.reason().map(String::as_str)),
            line("signed by ", signer.as_deref()),
            line(
                "the policy would need: ",
                policy_change(key, named).as_deref()
            ),
            escaped(&named.named.join(", ")),
        );
    }
    page.push_str("</tbody>\n</table>\n");
    more(page, groups.len(), "groups");
}

/// A line of a cell, if there is something to say.
fn line(before: &str, said: Option<&str>) -> String {
    let said = said.map(escaped);
    said.map_or_else(String::new, |said| {
        let class = if before.is_empty() {
            ""
        } else {
            " class=\"soft\""
        };
        format!("<div{class}>{before}{said}</div>")
    })
}

fn more(page: &mut String, count: usize, what: &str) {
    if count > LISTED {
        let _ = writeln!(
            page,
            "<p class=\"soft\">and {} more {what}</p>",
            count - LISTED
        );
    }
}

fn images(page: &mut String, tally: &Tally, results: &[AuditResult]) {
    page.push_str(
        "<h2>All images</h2>\n<div class=\"controls\"><input id=\"search\" type=\"search\" placeholder=\"Search\" \
         aria-label=\"Search\"><select id=\"state\" aria-label=\"State\"><option value=\"\">every state</option>",
    );
    for state in State::ALL
        .iter()
        .copied()
        .filter(|state| tally.of(*state) > 0)
    {
        let name = state.as_str();
        let _ = write!(page, "<option value=\"{name}\">{name}</option>");
    }
    page.push_str(
        "</select></div>\n<p class=\"soft\" id=\"shown\"></p>\n<table id=\"images\">\n<thead><tr>\
         <th><button>State</button></th><th><button>Entry</button></th><th><button>Reference</button></th>\
         <th><button>Platform</button></th><th><button>Signed at</button></th>\
         <th><button>Signer, or why not</button></th></tr></thead>\n<tbody>\n",
    );
    for result in results.iter().take(ROWS_MAX) {
        row(page, result);
    }
    page.push_str("</tbody>\n</table>\n");
    if tally.total() > ROWS_MAX as u64 {
        let _ = writeln!(
            page,
            "<p class=\"soft\">The table has {ROWS_MAX} of {}. The counts above are of all.</p>",
            text::images(tally.total())
        );
    }
}

fn row(page: &mut String, result: &AuditResult) {
    let state = State::from(result.state);
    let identity = result.signer.as_ref().and_then(|one| one.identity.as_ref());
    let why = result.reason.as_ref().or(identity);
    let was = match result.was.map(State::from) {
        Some(was) => format!("<br><span class=\"soft\">was {}</span>", was.as_str()),
        None => String::new(),
    };
    let text = |value: Option<&String>| escaped(value.map_or("", String::as_str));
    let _ = writeln!(
        page,
        "<tr data-state=\"{0}\"><td class=\"name {1}\">{0}{was}</td><td>{2}</td><td><code>{3}</code></td><td>{4}</td>\
         <td class=\"when\">{5}</td><td>{6}</td></tr>",
        state.as_str(),
        class(state),
        text(result.entry.as_ref()),
        escaped(&result.reference),
        text(result.platform.as_ref()),
        text(result.signed_at.as_ref()),
        text(why),
    );
}

fn bar(class: &str, count: u64, of: u64) -> String {
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"1000\" height=\"10\"/><rect class=\"{class}\" width=\"{}\" height=\"10\"/></svg>",
        // What is there is seen.
        permille(count, of).max(4),
    )
}

fn permille(count: u64, of: u64) -> u64 {
    (count * 1000).checked_div(of).unwrap_or_default()
}

/// Never 100 % or 0 % of what is not all or nothing.
fn percent(count: u64, of: u64) -> String {
    match permille(count, of) {
        _ if count == of => "100 %".to_owned(),
        _ if count == 0 => "0 %".to_owned(),
        0 => "under 0.1 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::audit::record::JsonSigner;

    const HOSTILE: &str = "\"'><script>alert(1)</script>\u{202e}&amp;";

    #[test]
    fn hostile_names_are_text_everywhere() {
        let result = |state: State| AuditResult {
            reference: HOSTILE.into(),
            gallery: Some(HOSTILE.into()),
            entry: Some(HOSTILE.into()),
            role: None,
            platform: Some(HOSTILE.into()),
            digest: None,
            state: state.into(),
            signer: Some(JsonSigner {
                issuer: Some(HOSTILE.into()),
                identity: Some(HOSTILE.into()),
            }),
            signed_at: Some(HOSTILE.into()),
            log_index: None,
            format: None,
            reason: Some(HOSTILE.into()),
            was: None,
            error: None,
        };
        let results = [result(State::Proven), result(State::OtherSigner)];
        let mut tally = Tally::default();
        results.iter().for_each(|one| tally.count(one));
        let page = page(&tally, &results, HOSTILE);
        let fields = page
            .matches("&lt;script&gt;alert(1)&lt;/script&gt;")
            .count();
        assert_eq!(
            fields,
            1 + 2 + 7 + 2 * 5,
            "a field is not shown, or more than one is"
        );
        assert_eq!(page.matches("<script").count(), 1);
        assert!(!page.contains('\u{202e}') && !page.contains("&amp;amp;amp;"));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn the_page_permits_its_own_script_alone() {
        let page = page(&Tally::default(), &[], "now");
        // As `openssl dgst -sha256 -binary | base64` says it of the empty text.
        let empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
        assert_eq!(source(""), empty);
        assert!(page.contains(&format!("script-src {};", source(SCRIPT))));
        assert!(page.contains(&format!("style-src {};", source(STYLE))));
        assert!(!page.contains("unsafe-inline") && !page.contains(" style="));
        // An HTML parser ends both where they end.
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        for (count, of, expected) in [
            (0, 0, "100 %"),
            (0, 5, "0 %"),
            (1, 5_000, "under 0.1 %"),
            (4_999, 5_000, "99.9 %"),
            (5, 5, "100 %"),
        ] {
            assert_eq!(percent(count, of), expected);
        }
    }
}
