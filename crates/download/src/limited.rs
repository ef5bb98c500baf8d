//! Clients for sources that an index from a server names: none of them asks an address that is further inside than the
//! limit, also after a name is resolved.

use countersign_oci::{AddressLimit, Options, Registry};

use crate::error::Error;

/// A registry client like this one, within the limit.
pub(crate) fn registry_within(registry: &Registry, limit: AddressLimit) -> Result<Registry, Error> {
    let options = options_within(registry.connection().options(), limit);
    Ok(Registry::new(options)?)
}

/// The same options, within the limit.
pub(crate) fn options_within(options: &Options, limit: AddressLimit) -> Options {
    Options {
        address_limit: Some(limit),
        ..options.clone()
    }
}
