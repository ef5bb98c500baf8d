//! A proof is asked for to be used.
#![deny(unused_must_use)]
use countersign_verify::{Error, VerifiedImage};

fn verified() -> Result<VerifiedImage, Error> {
    unimplemented!()
}

fn main() -> Result<(), Error> {
    verified()?;
    Ok(())
}
