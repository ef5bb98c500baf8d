//! Plain requests to servers on loopback, past whatever proxy the environment names.

use std::time::Duration;

use anyhow::Context as _;

const LIMIT: Duration = Duration::from_secs(30);

/// The body of a successful answer.
///
/// # Errors
/// When there is none.
pub(super) fn text(url: &str) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .timeout(LIMIT)
                .build()?;
            client
                .get(url)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await
        })
        .with_context(|| format!("no answer at {url}"))
}
