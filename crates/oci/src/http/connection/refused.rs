//! The target of a redirect, and the errors for targets that are not allowed.

use reqwest::{Method, Response};
use url::{Origin, Url};

use super::super::redacted::shown;
use super::super::redirect::location;
use super::super::request::{Body, Request};
use crate::error::{Error, RedirectRefused, Result};
use crate::host::HostKind;
use crate::options::AddressLimit;

/// The target of a redirect, if the request can be repeated there.
pub(super) fn redirected(
    request: &Request,
    response: &Response,
    body: &Body,
    home: &Origin,
) -> Result<Url> {
    let from = response.url();
    let to = location(from, response.headers()).ok_or_else(|| Error::Redirect {
        from: shown(from),
        to: "an unknown place".into(),
        reason: RedirectRefused::Nowhere,
    })?;
    let status = response.status().as_u16();
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    // Other statuses change a request that writes into one that reads (RFC 9110, section 15.4).
    if !reads && !matches!(status, 307 | 308) {
        return Err(refused(from, &to, RedirectRefused::NotRepeated { status }));
    }
    if matches!(body, Body::Secret(_)) && to.origin() != *home {
        return Err(refused(from, &to, RedirectRefused::Secret));
    }
    Ok(to)
}

/// Checks the spelling of a URL that the limit's place named. Returns the innermost kind of address
/// that it may have.
pub(super) fn permit_named(limit: &AddressLimit, url: &Url) -> Result<HostKind> {
    let (from, to) = (limit.kind, HostKind::of(url));
    if to > from {
        let reason = RedirectRefused::Inward { from, to };
        return Err(refused_by(limit.place.clone(), url, reason));
    }
    Ok(from)
}

pub(super) fn refused(from: &Url, to: &Url, reason: RedirectRefused) -> Error {
    refused_by(shown(from), to, reason)
}

pub(super) fn refused_by(from: String, to: &Url, reason: RedirectRefused) -> Error {
    Error::Redirect {
        from,
        to: shown(to),
        reason,
    }
}
