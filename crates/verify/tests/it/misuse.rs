//! Misuses of a proof that don't compile.

#[test]
fn a_proof_can_not_be_had_but_from_a_verifier() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
