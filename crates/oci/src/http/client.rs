//! What all HTTP clients have in common.

use reqwest::{Client, ClientBuilder};

use super::proxy::proxy;
use crate::error::Result;
use crate::options::Options;

/// A builder for an HTTP client, with the proxy, its exceptions, the user agent and the time limit
/// for connecting. The client doesn't read the environment, follows no redirects, and doesn't
/// decompress bodies. Root certificates and logins are not included.
pub(super) fn builder(options: &Options) -> Result<ClientBuilder> {
    // `no_proxy` also stops reqwest from reading the environment's proxies.
    let mut builder = Client::builder()
        .no_proxy()
        // Other crates in the build may turn these on. Digests are of the bytes as they are sent,
        // and some stores send gzipped layers with `Content-Encoding: gzip`.
        .no_gzip()
        .no_deflate()
        .no_brotli()
        .no_zstd()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(&options.user_agent)
        .connect_timeout(options.timeouts.connect);
    if let Some(url) = &options.proxy {
        builder = builder.proxy(proxy(url, &options.no_proxy)?);
    }
    Ok(builder)
}
