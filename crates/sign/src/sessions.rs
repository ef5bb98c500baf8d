//! The one key and certificate that all of a run's manifests are signed with, and the next one where
//! that ends.

use std::sync::Arc;

use countersign_verify::CertificateContent;
use tokio::sync::Mutex;

use crate::error::Error;
use crate::renewal::Tokens;
use crate::session::{Clients, Session};

/// Why a manifest is not signed.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Its own failure.
    Failed(Error),
    /// Another one's: the run has ended.
    Elsewhere,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The certificates of a run, one at a time.
pub(crate) struct Sessions<'a> {
    clients: &'a Clients,
    tokens: Tokens<'a>,
    current: Mutex<Current>,
}

enum Current {
    None,
    Session(Arc<Session>),
    /// No certificate was issued. The first caller got the error.
    Failed,
}

impl<'a> Sessions<'a> {
    pub(crate) fn new(clients: &'a Clients, tokens: Tokens<'a>) -> Self {
        Self {
            clients,
            tokens,
            current: Mutex::new(Current::None),
        }
    }

    /// A session with time left to begin a signature in. Who asks while a certificate is on its way
    /// waits for that one. A new certificate has to pass `judge`.
    pub(crate) async fn live(
        &self,
        judge: impl Fn(&CertificateContent) -> Result<(), Error>,
    ) -> Result<Arc<Session>, Halt> {
        let mut current = self.current.lock().await;
        match &*current {
            Current::Session(session) if session.is_live() => return Ok(Arc::clone(session)),
            Current::Failed => return Err(Halt::Elsewhere),
            Current::Session(_) | Current::None => {}
        }
        let started = Session::start(self.clients, &self.tokens).await;
        let started = started.and_then(|session| judge(session.content()).map(|()| session));
        match started {
            Ok(session) => {
                let session = Arc::new(session);
                *current = Current::Session(Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                *current = Current::Failed;
                Err(Halt::Failed(error))
            }
        }
    }
}
