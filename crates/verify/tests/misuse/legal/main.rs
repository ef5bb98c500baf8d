//! What may be done with a proof: while this compiles, the programs beside it are refused for their misuse.
#![deny(unused_must_use)]
use countersign_oci::{Registry, ResolvedImage};
use countersign_verify::{Error, Evidence, NotCovered, VerifiedDocument, VerifiedImage};

fn child(index: VerifiedImage, child: ResolvedImage) -> Result<VerifiedImage, Box<NotCovered>> {
    index.into_child(child).map_err(Box::new)
}

fn read(proof: &VerifiedImage) -> Evidence {
    proof.evidence().clone()
}

fn used(proof: Result<VerifiedImage, Error>) -> Result<Evidence, Error> {
    Ok(read(&proof?))
}

async fn whole(index: VerifiedDocument, registry: &Registry) -> Result<VerifiedImage, Error> {
    index.whole(registry).await
}

fn main() {
    let _ = (child, used, whole);
}
