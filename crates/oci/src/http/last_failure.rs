//! What last kept a host from answering, for whoever gives up waiting.

use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use url::{Origin, Url};

use crate::error::Error;
use crate::excerpt::excerpt;
use crate::kind::StatusMeaning;
use crate::lock::lock;

/// The last failure that may pass. It is forgotten when the same host answers. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastFailure {
    shared: Arc<Mutex<Option<Told>>>,
}

#[derive(Debug)]
struct Told {
    host: Origin,
    what: String,
}

impl LastFailure {
    /// The host, and the status that it answered or why it didn't, in one line without secrets. `None` if nothing failed,
    /// or if the host has answered since.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let last = lock(&self.shared);
        last.as_ref()
            .map(|Told { host, what }| format!("{} {what}", host.ascii_serialization()))
    }

    /// The host of `url` answered with this status.
    pub(super) fn answered(&self, url: &Url, status: StatusCode) {
        if StatusMeaning::of(status.as_u16()) == StatusMeaning::NotNow {
            self.keep(url, format!("answered {}", status.as_u16()));
            return;
        }
        let mut last = lock(&self.shared);
        if last.as_ref().is_some_and(|told| told.host == url.origin()) {
            *last = None;
        }
    }

    /// The host of `url` did not answer.
    pub(super) fn unanswered(&self, url: &Url, error: &Error) {
        if let Error::Network { source, .. } = error {
            let cause = innermost(source.as_ref());
            self.keep(url, format!("gave no answer: {}", excerpt(&cause)));
        }
    }

    fn keep(&self, url: &Url, what: String) {
        let host = url.origin();
        *lock(&self.shared) = Some(Told { host, what });
    }
}

/// What the last of the causes says: those before it only say that a request failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_kept_until_its_host_answers() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (one, other) = (
            url("https://a.example/v2/x?token=s"),
            url("https://b.example/"),
        );
        let last = LastFailure::default();
        assert_eq!(last.told(), None);
        last.clone().answered(&one, StatusCode::SERVICE_UNAVAILABLE);
        let told = Some("https://a.example answered 503".to_owned());
        assert_eq!(last.told(), told);
        for status in [StatusCode::OK, StatusCode::NOT_FOUND] {
            last.answered(&other, status);
            assert_eq!(last.told(), told);
        }
        last.answered(&one, StatusCode::UNAUTHORIZED);
        assert_eq!(last.told(), None);
        let refused = Error::Network {
            url: String::new(),
            source: Box::new(std::io::Error::other("Connection refused")),
        };
        last.unanswered(&other, &refused);
        let told = "https://b.example gave no answer: Connection refused";
        assert_eq!(last.told().as_deref(), Some(told));
    }
}
