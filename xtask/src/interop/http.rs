//! Plain requests to servers on loopback, without the environment's proxy.

use std::time::Duration;

use anyhow::Context as _;

const LIMIT: Duration = Duration::from_secs(30);

/// The body of a successful answer.
///
/// # Errors
/// When there is none.
pub(super) fn text(url: &str) -> anyhow::Result<String> {
    text_of(url, "*/*")
}

/// The body of a successful answer with this media type.
///
/// # Errors
/// When there is none.
pub(super) fn text_of(url: &str, media_type: &str) -> anyhow::Result<String> {
    ask(url, |client| client.get(url).header("Accept", media_type))
}

/// Sends `body` by `PUT`.
///
/// # Errors
/// When it isn't.
pub(super) fn put(url: &str, media_type: &str, body: &str) -> anyhow::Result<()> {
    ask(url, |client| {
        let request = client.put(url).header("Content-Type", media_type);
        request.body(body.to_owned())
    })?;
    Ok(())
}

fn ask(
    url: &str,
    request: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(async {
            let client = reqwest::Client::builder()
                .no_proxy()
                .timeout(LIMIT)
                .build()?;
            let answer = request(&client).send().await?;
            answer.error_for_status()?.text().await
        })
        .with_context(|| format!("no answer at {url}"))
}
