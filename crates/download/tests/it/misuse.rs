//! What must not compile: ways around the proof.

use countersign_sandbox::Compiler;

#[test]
fn nothing_but_an_admitted_image_can_be_unpacked() {
    let test = std::env::current_exe().unwrap();
    let legal = "tests/misuse/legal/main.rs";
    let compiler = Compiler::new(
        env!("CARGO_MANIFEST_DIR").as_ref(),
        &test,
        "countersign_download",
        &[
            "countersign_verify",
            "countersign_policy",
            "countersign_oci",
            "serde_json",
        ],
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
