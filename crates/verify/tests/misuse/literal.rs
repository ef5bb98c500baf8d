#![allow(unreachable_code, unused_variables)]
//! Not by its fields either.
use countersign_policy::Policy;
use countersign_verify::{Evidence, VerifiedImage};

fn proof(evidence: Evidence, policy: Policy) -> VerifiedImage {
    VerifiedImage { image: todo!(), evidence, policy, further: Vec::new(), predicate: None, denied_children: todo!(), index: None }
}

fn main() {
    let _ = proof;
}
