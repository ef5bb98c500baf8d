//! Misuses of a proof that don't compile.

use countersign_sandbox::Compiler;

#[test]
fn a_proof_can_not_be_had_but_from_a_verifier() {
    let test = std::env::current_exe().unwrap();
    let legal = "tests/misuse/legal/main.rs";
    let compiler = Compiler::new(
        env!("CARGO_MANIFEST_DIR").as_ref(),
        &test,
        "countersign_verify",
        &["countersign_oci", "countersign_policy"],
        legal,
    )
    .unwrap();
    assert!(compiler.refusal(legal).is_err(), "what is legal is refused");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../misuse");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (name, said) in compiler.refusals("tests/misuse").unwrap() {
        settings.bind(|| insta::assert_snapshot!(name, said));
    }
}
