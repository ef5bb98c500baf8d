//! Faults that tests add.
//!
//! A [`Fault`] applies to requests by their line, `METHOD /path` without the query. It starts at
//! the first matching request or later, and applies always or a number of times. If several faults
//! match a request, only the first one with uses left applies. Requests that are refused because a
//! login is missing are not counted.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use countersign_oci::{Descriptor, Digest};
use futures_util::stream::{self, StreamExt as _};

use super::answer;
use crate::breakdown::{Moment, disconnect, dripping, start_of, truncated};

/// A fault, and the requests that it applies to.
#[derive(Debug, Clone)]
pub struct Fault {
    pattern: String,
    skip: usize,
    times: Option<usize>,
    effect: Effect,
}

impl Fault {
    /// Applies `effect` to every request whose line matches `pattern`: `GET
    /// /v2/app/manifests/latest`, for example. `*` stands for any characters, also slashes, as in
    /// `* /v2/*/blobs/*`.
    pub fn on(pattern: &str, effect: Effect) -> Self {
        Self {
            pattern: pattern.to_owned(),
            skip: 0,
            times: None,
            effect,
        }
    }

    /// Applies only `count` times.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// Skips the first `count` matching requests. A request that an earlier fault applies to doesn't count.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }
}

/// What happens to a request, or to its answer.
///
/// With the first three, the request isn't served: nothing is read or stored. [`Effect::Disconnect`]
/// says itself whether it is. With the others, it is served, and the answer or the store is changed.
#[derive(Debug, Clone)]
pub enum Effect {
    /// This status, with these headers and an error body of the specification's form.
    Status {
        /// HTTP status code.
        status: u16,
        /// More headers, such as `Retry-After`.
        headers: Vec<(&'static str, String)>,
    },
    /// 307 to the same path and query at another origin, `http://host:port`.
    Redirect(String),
    /// 200 and an HTML page, as a login portal in front of a registry answers.
    HtmlLogin,
    /// The connection is closed without an answer.
    Disconnect(Moment),
    /// The answer comes this late.
    Delay(Duration),
    /// Another body, with the same headers except `Content-Length`.
    Body(Bytes),
    /// The headers of the whole body, then its first bytes, then the connection is closed.
    Truncate {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// The headers of the whole body, then its first bytes, then nothing until the client gives up
    /// or the server is dropped.
    Stall {
        /// Bytes of the body that are sent.
        after: usize,
    },
    /// One byte of the body is another one.
    Corrupt {
        /// Its place; the last byte, if the body is shorter.
        at: usize,
    },
    /// The body comes in pieces, with a pause before each.
    Drip {
        /// Bytes of a piece.
        piece: usize,
        /// How long each pause is.
        pause: Duration,
    },
    /// The request is served as if it asked for no range.
    IgnoreRange,
    /// This header has this value, in any answer.
    Header {
        /// Its name, in lower case.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// The body without its length, then spaces for ever.
    Endless,
    /// This `Docker-Content-Digest`, for any body.
    ContentDigest(String),
    /// This `Content-Type`, for any body.
    ContentType(String),
    /// Requests for a manifest are answered with these manifests of the repository in turn, again
    /// and again: a tag that moves between requests.
    Manifests(Vec<Digest>),
    /// The answer names itself as its own next page.
    LinkToItself,
    /// The answer has this URL as its next page.
    NextPage(String),
    /// The answer lacks this header.
    WithoutHeader(&'static str),
    /// After a manifest was read by tag, another client adds this entry to the index or the manifest
    /// there, so the reader's copy is out of date.
    WriteAfterRead(Descriptor),
    /// A manifest is stored under a tag and answered with 201. Then another client, who read the
    /// tag before, stores the old document with this entry there, so the update is lost.
    LostUpdate(Descriptor),
    /// A manifest is not stored, and answered with 503. Meanwhile another client adds this entry to the
    /// document at the tag.
    OvertakenUpdate(Descriptor),
}

impl Effect {
    /// [`Effect::Status`] without further headers.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            headers: Vec::new(),
        }
    }

    /// 429 with a `Retry-After` in seconds.
    pub fn too_many_requests(retry_after: u64) -> Self {
        Self::Status {
            status: 429,
            headers: vec![("retry-after", retry_after.to_string())],
        }
    }

    /// The answer instead of serving the request, if the effect has one.
    pub(super) fn instead(&self, path_and_query: &str) -> Option<Response> {
        match self {
            Self::Status { status, headers } => {
                let status =
                    StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = answer::error(status, code_of(status), "as the test wants it");
                for (name, value) in headers {
                    answer::set(&mut response, header::HeaderName::from_static(name), value);
                }
                Some(response)
            }
            Self::Redirect(origin) => {
                let mut response = answer::empty(StatusCode::TEMPORARY_REDIRECT);
                let location = format!("{}{path_and_query}", origin.trim_end_matches('/'));
                answer::set(&mut response, header::LOCATION, location);
                Some(response)
            }
            Self::HtmlLogin => {
                let page = "<!DOCTYPE html><html><body><form>Please log in</form></body></html>";
                Some(answer::content(
                    StatusCode::OK,
                    "text/html; charset=utf-8",
                    page.into(),
                ))
            }
            Self::Disconnect(Moment::BeforeServing) => disconnect(),
            Self::Disconnect(Moment::AfterServing)
            | Self::Delay(_)
            | Self::Body(_)
            | Self::Truncate { .. }
            | Self::Stall { .. }
            | Self::Corrupt { .. }
            | Self::Drip { .. }
            | Self::IgnoreRange
            | Self::Header { .. }
            | Self::Endless
            | Self::ContentDigest(_)
            | Self::ContentType(_)
            | Self::Manifests(_)
            | Self::LinkToItself
            | Self::NextPage(_)
            | Self::WithoutHeader(_)
            | Self::WriteAfterRead(_)
            | Self::LostUpdate(_)
            | Self::OvertakenUpdate(_) => None,
        }
    }

    /// The answer as it is sent.
    pub(super) async fn distort(&self, mut response: Response, path_and_query: &str) -> Response {
        match self {
            Self::Disconnect(_) => disconnect(),
            Self::Delay(delay) => tokio::time::sleep(*delay).await,
            Self::Body(bytes) => {
                answer::set(&mut response, header::CONTENT_LENGTH, bytes.len());
                *response.body_mut() = Body::from(bytes.clone());
            }
            Self::Truncate { after } => response = truncated(response, *after).await,
            Self::Stall { after } => {
                let start = start_of(&mut response, *after).await;
                let whole = stream::once(async { Ok::<_, Infallible>(start) });
                *response.body_mut() = Body::from_stream(whole.chain(stream::pending()));
            }
            Self::Corrupt { at } => {
                let mut bytes = start_of(&mut response, usize::MAX).await.to_vec();
                let last = bytes.len().saturating_sub(1);
                if let Some(byte) = bytes.get_mut(last.min(*at)) {
                    *byte ^= 0xff;
                }
                *response.body_mut() = Body::from(bytes);
            }
            Self::Drip { piece, pause } => response = dripping(response, *piece, *pause).await,
            Self::Header { name, value } => {
                answer::set(&mut response, header::HeaderName::from_static(name), value);
            }
            Self::Endless => {
                let start = start_of(&mut response, usize::MAX).await;
                response.headers_mut().remove(header::CONTENT_LENGTH);
                let spaces = Bytes::from(vec![b' '; 64 << 10]);
                let whole = stream::once(async { Ok::<_, Infallible>(start) })
                    .chain(stream::repeat_with(move || Ok(spaces.clone())));
                *response.body_mut() = Body::from_stream(whole);
            }
            Self::ContentDigest(digest) => {
                answer::set(&mut response, answer::CONTENT_DIGEST, digest);
            }
            Self::ContentType(media_type) => {
                answer::set(&mut response, header::CONTENT_TYPE, media_type);
            }
            Self::NextPage(url) => {
                answer::set(
                    &mut response,
                    header::LINK,
                    format!("<{url}>; rel=\"next\""),
                );
            }
            Self::WithoutHeader(name) => {
                response.headers_mut().remove(*name);
            }
            Self::LinkToItself => {
                let link = format!("<{path_and_query}>; rel=\"next\"");
                answer::set(&mut response, header::LINK, link);
            }
            // These are instead of serving, or change how it is served.
            Self::Status { .. }
            | Self::Redirect(_)
            | Self::HtmlLogin
            | Self::IgnoreRange
            | Self::Manifests(_)
            | Self::WriteAfterRead(_)
            | Self::LostUpdate(_)
            | Self::OvertakenUpdate(_) => {}
        }
        response
    }
}

fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "NAME_UNKNOWN",
        429 => "TOOMANYREQUESTS",
        _ => "UNSUPPORTED",
    }
}

/// The faults of a server, and how often each has applied.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<ArmedFault>);

#[derive(Debug)]
struct ArmedFault {
    fault: Fault,
    matched: usize,
}

/// An effect that applies now, and how often it applied before.
#[derive(Debug)]
pub(super) struct FaultHit {
    pub(super) effect: Effect,
    pub(super) earlier: usize,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(ArmedFault { fault, matched: 0 });
    }

    /// The effect that applies to a request.
    pub(super) fn hit(&mut self, line: &str) -> Option<FaultHit> {
        for ArmedFault { fault, matched } in &mut self.0 {
            if !matches(&fault.pattern, line) {
                continue;
            }
            let nth = *matched;
            *matched += 1;
            let Some(earlier) = nth.checked_sub(fault.skip) else {
                continue;
            };
            if fault.times.is_none_or(|times| earlier < times) {
                let effect = fault.effect.clone();
                return Some(FaultHit { effect, earlier });
            }
        }
        None
    }
}

impl Faults {
    /// The first fault that never applied to a request.
    pub(super) fn unused(&self) -> Option<&str> {
        let mut unused = self
            .0
            .iter()
            .filter(|armed| armed.matched <= armed.fault.skip);
        unused.next().map(|armed| armed.fault.pattern.as_str())
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(faults: Vec<Fault>) -> Self {
        let mut armed = Self::default();
        faults.into_iter().for_each(|fault| armed.add(fault));
        armed
    }
}

/// Whether `text` is `pattern`, with `*` for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((literal, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(literal) else {
        return false;
    };
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .any(|at| matches(rest, text.get(at..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        assert!(matches("GET /v2/*/blobs/*", "GET /v2/a/b/blobs/sha256:0"));
        assert!(matches("* /v2/", "HEAD /v2/"));
        assert!(matches("GET /v2/*", "GET /v2/"));
        assert!(!matches("GET /v2/*/blobs/*", "GET /v2/a/manifests/x"));
        assert!(!matches("GET /v2/", "GET /v2/a"));
    }

    #[test]
    fn counts_are_of_matching_requests() {
        let fault = Fault::on("GET /a", Effect::HtmlLogin).after(1).times(2);
        let mut faults = Faults::from(vec![fault]);
        let struck: Vec<bool> = ["GET /a", "GET /b", "GET /a", "GET /a", "GET /a"]
            .into_iter()
            .map(|line| faults.hit(line).is_some())
            .collect();
        assert_eq!(struck, [false, false, true, true, false]);
    }
}
