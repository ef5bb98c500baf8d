//! Knows a server that speaks no TLS where it should.

use std::error::Error;
use std::io;

use tokio_rustls::rustls::{Error as TlsError, InvalidMessage};

/// Whether `error`, or a cause of it, is that a server answers https with something that is no TLS, such as http.
pub fn answers_without_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let tls = error.downcast_ref::<TlsError>();
        if let Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) = tls {
            return true;
        }
        // What an error of the system wraps is not its source.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    false
}
