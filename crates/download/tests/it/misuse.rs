//! What must not compile: ways around the proof.

#[test]
fn nothing_but_an_admitted_image_can_be_unpacked() {
    trybuild::TestCases::new().compile_fail("tests/misuse/*.rs");
}
