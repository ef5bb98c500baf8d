//! The page of `countersign audit --html`, in a real browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use countersign_sandbox::RegistryServer;

use crate::audit::{by_list, filled};
use crate::stage::Stage;

/// What a browser may be called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// What the browser wrote on its standard error, and the page as it was after its script had run.
struct Seen {
    log: String,
    page: String,
}

/// Shows a file in a browser without a screen. `None` if there is no browser here.
fn show(stage: &Stage, file: &str) -> Option<Seen> {
    let url = format!("file://{}", stage.path(file).display());
    let profile = format!("--user-data-dir={}", stage.path("profile").display());
    let screenshot = format!("--screenshot={}", stage.path("page.png").display());
    let run = |browser: &str, more: &[&str]| {
        let mut command = Command::new(browser);
        command
            // Whoever runs tests as root has no sandbox for the browser.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--enable-logging=stderr", "--window-size=1280,2000"])
            .args([&profile])
            .args(more)
            .arg(&url)
            .env("HOME", stage.path("home"));
        command.output().ok()
    };
    let mut browsers = BROWSERS.into_iter();
    let (browser, shot) =
        browsers.find_map(|browser| Some((browser, run(browser, &[&screenshot])?)))?;
    let dumped = run(browser, &["--dump-dom"])?;
    assert!(shot.status.success() && dumped.status.success(), "{shot:?}");
    Some(Seen {
        log: String::from_utf8_lossy(&shot.stderr).into_owned(),
        page: String::from_utf8_lossy(&dumped.stdout).into_owned(),
    })
}

/// What the page said on the console: its script's errors, and what its policy refused.
fn console(seen: &Seen) -> Vec<&str> {
    let lines = seen.log.lines();
    lines.filter(|line| line.contains("CONSOLE")).collect()
}

fn is_picture(file: &Path) -> bool {
    let bytes = fs::read(file).unwrap();
    bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000
}

async fn report() -> Stage {
    let stage = filled(Stage::new().await);
    let run = by_list(&stage, &["--fail-on=none", "--html=report.html"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    stage
}

const SKIPPED: &str = "skipped: there is no chromium here";

#[tokio::test]
async fn a_browser_shows_the_page_without_errors() {
    let stage = report().await;
    let Some(seen) = show(&stage, "report.html") else {
        eprintln!("{SKIPPED}");
        return;
    };
    assert_eq!(console(&seen), [""; 0]);
    assert!(is_picture(&stage.path("page.png")));
    // Its script has run.
    let shown = seen.page.contains("9 of 9 shown");
    assert!(shown, "{}", seen.page);
}

#[tokio::test]
async fn the_page_asks_nobody_for_anything() {
    let stage = report().await;
    let server = &stage.registry;
    let page = fs::read_to_string(stage.path("report.html")).unwrap();
    let with = |policy: &str| {
        let image = format!("<img src=\"{}/v2/\"></body>", server.origin());
        let page = page.replace("default-src 'none'", policy);
        stage.write("asks.html", page.replace("</body>", &image));
        server.reset_requests();
        show(&stage, "asks.html")
    };
    let asked = |server: &RegistryServer| !server.requests().is_empty();
    // The page's own policy refuses what another page would ask for.
    let Some(seen) = with("default-src 'none'") else {
        eprintln!("{SKIPPED}");
        return;
    };
    assert!(!asked(server));
    assert!(!console(&seen).is_empty());
    with("default-src *");
    assert!(asked(server));
    server.reset_requests();
    show(&stage, "report.html");
    assert!(!asked(server));
}
