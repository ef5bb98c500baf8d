//! `fixtures/output.schema.json`: that every JSON document that these tests see is one that it
//! describes. It names every field, so that one it doesn't know fails here.

use std::sync::OnceLock;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};

use crate::stage::{program, run};

const COMMITTED: &str = include_str!("../../../../fixtures/output.schema.json");

fn compiled() -> &'static (Schemas, SchemaIndex) {
    static COMPILED: OnceLock<(Schemas, SchemaIndex)> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        let name = "output.schema.json";
        let schema = serde_json::from_str(COMMITTED).unwrap();
        compiler.add_resource(name, schema).unwrap();
        let index = compiler.compile(name, &mut schemas).unwrap();
        (schemas, index)
    })
}

/// Panics where the schema doesn't describe `document`.
pub(crate) fn conforms(document: &Value) {
    let (schemas, index) = compiled();
    if let Err(error) = schemas.validate(document, *index) {
        panic!(
            "fixtures/output.schema.json doesn't describe this document. If its type is new, write the schema anew: \
             cargo run -p countersign -- schema output > fixtures/output.schema.json\n{document:#}\n{error:#}"
        );
    }
}

/// Panics where a run failed and its document has no `error`: a script that looks for one would go on.
pub(crate) fn tells_failure(document: &Value, code: i32) {
    let results = document["results"].as_array().into_iter().flatten();
    let failed = [document].into_iter().chain(results);
    let failed = failed.filter(|one| one["error"].is_object()).count();
    assert!(code == 0 || failed > 0, "exit code {code}: {document:#}");
}

#[test]
fn a_field_that_the_schema_does_not_name_is_an_error() {
    let (schemas, index) = compiled();
    let accepts = |document: &Value| schemas.validate(document, *index).is_ok();
    let mut document = json!({ "results": [{ "reference": "a/b", "verified": false }] });
    assert!(accepts(&document));
    document["results"][0]["surprise"] = json!(1);
    assert!(!accepts(&document));
    // What has no value is left out.
    assert!(!accepts(
        &json!({ "results": [{ "reference": "a/b", "verified": false, "manifest": null }] })
    ));
}

#[test]
fn what_the_page_about_scripting_shows_conforms() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = page.split("```json\n").skip(1).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        let (block, _) = block.split_once("```").unwrap();
        conforms(&serde_json::from_str(block).unwrap());
    }
}

/// Names in backticks in the page's table are fields of the schema.
#[test]
fn every_field_in_the_page_s_table_is_one_of_the_schema() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, table) = page
        .split_once("Beside `results` |\n|---|---|---|\n")
        .unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    for words in crate::help::commands() {
        // A schema is a document of its own kind.
        if words.first().is_some_and(|word| word == "schema") || crate::help::is_group(&words) {
            continue;
        }
        let name = words.join(" ");
        let (alone, longer) = (format!("`{name}`"), format!("`{name} "));
        // A field of another command may have the same name.
        let named = |row: &str| {
            let command = row.split('|').nth(1).unwrap();
            command.contains(&alone) || command.contains(&longer)
        };
        assert!(table.lines().any(named), "the page has no row for `{name}`");
    }
    for row in table.lines() {
        // The first column is the command.
        for cell in row.split('|').skip(2) {
            for field in cell.split('`').skip(1).step_by(2) {
                assert!(COMMITTED.contains(&format!("\"{field}\"")), "{field}");
            }
        }
    }
}

/// The other way round: what a document or one of its results has, the page names.
#[test]
fn the_page_names_every_field_of_a_document_and_of_its_results() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scripting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let schema: Value = serde_json::from_str(COMMITTED).unwrap();
    let named = |reference: &Value| {
        let pointer = reference["$ref"].as_str().unwrap_or("#/none");
        schema.pointer(&pointer[1..]).cloned().unwrap_or_default()
    };
    let documents = schema["anyOf"].as_array().unwrap();
    assert!(documents.len() > 20);
    for document in documents.iter().map(named) {
        let results = named(&document["properties"]["results"]["items"]);
        for part in [&document, &results] {
            for field in part["properties"]
                .as_object()
                .into_iter()
                .flat_map(|all| all.keys())
            {
                let told =
                    page.contains(&format!("`{field}`")) || page.contains(&format!("\"{field}\""));
                assert!(told, "docs/scripting.md doesn't name `{field}`");
            }
        }
    }
}

#[test]
fn the_schemas_are_printed_for_a_person_and_a_program_alike() {
    let policy = include_str!("../../../../fixtures/policy.schema.json");
    for (what, committed) in [("output", COMMITTED), ("policy", policy)] {
        for format in [&[][..], &["--output=json"]] {
            let run = run(&mut program(&[&["schema", what], format].concat()));
            assert_eq!((run.code, run.stderr.as_str()), (0, ""));
            assert!(
                run.stdout == committed,
                "fixtures/{what}.schema.json is not what the program prints with {format:?}; write it anew: \
                 cargo run -p countersign -- schema {what} > fixtures/{what}.schema.json"
            );
        }
    }
}
