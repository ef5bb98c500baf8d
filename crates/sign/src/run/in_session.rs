//! A signature is made in a session, and again in another where the certificate ends meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use countersign_oci::{PinnedReference, ResolvedImage};

use super::Run;
use crate::error::Error;
use crate::session::{Clients, Session};
use crate::sessions::Halt;

/// What a session signs, in one of the forms.
pub(super) trait Signable: Sync {
    type Signature;

    fn sign_in(
        &self,
        session: &Session,
        clients: &Clients,
        image: &PinnedReference,
    ) -> impl Future<Output = Result<Self::Signature, Error>> + Send;
}

/// A statement, which is signed as a bundle.
pub(super) struct StatementJson(pub(super) Vec<u8>);

impl Signable for StatementJson {
    type Signature = Bytes;

    async fn sign_in(
        &self,
        session: &Session,
        clients: &Clients,
        image: &PinnedReference,
    ) -> Result<Bytes, Error> {
        session.sign(clients, image, &self.0).await
    }
}

impl Run<'_> {
    /// The signature of `image` by what is to be signed, and the session that it was made in. If the certificate ends
    /// while a service is waited for, all is done again with another.
    pub(super) async fn in_session<S: Signable>(
        &self,
        image: &ResolvedImage,
        to_sign: &S,
    ) -> Result<(Arc<Session>, S::Signature), Halt> {
        let (clients, pinned) = (&self.tools.clients, image.reference());
        loop {
            let session = self.session().await?;
            let begun = session.is_live();
            let outlasted = || begun && !session.is_live() && clients.are_patient();
            match to_sign.sign_in(&session, clients, pinned).await {
                Ok(signed) => return Ok((session, signed)),
                Err(error) if outlasted() => {
                    tracing::info!(%error, "the certificate has ended: signing again");
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
