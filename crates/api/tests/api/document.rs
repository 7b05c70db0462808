//! The OpenAPI document: kept in the repository, whole, and true.

use std::collections::BTreeSet;
use std::path::Path;

use posthaste_api::openapi_document;

use crate::conform::DOCUMENT;
use crate::server::Server;

/// Set it to anything to write the document anew.
const UPDATE: &str = "UPDATE_GOLDEN";

#[test]
fn the_document_is_the_one_in_the_repository() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openapi.json");
    let document = openapi_document();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let changed = golden.lines().zip(document.lines()).position(|(golden, now)| golden != now);
    let place = changed.map_or("in its length".to_owned(), |line| format!("in line {}", line + 1));
    assert!(
        golden == document,
        "openapi.json changes {place}: run this test with {UPDATE}=1 if that is meant, and commit the file"
    );
}

/// Every operation: method, path with parameters filled in, and how the document names it.
pub(crate) fn operations() -> Vec<(String, String, String)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| {
            let parts = path.split('/').map(|part| match part {
                "{id}" => "7",
                part if part.starts_with('{') => "none",
                part => part,
            });
            (method.to_ascii_uppercase(), parts.collect::<Vec<_>>().join("/"), path.clone())
        })
    });
    operations.collect()
}

#[tokio::test]
async fn every_operation_answers_by_both_of_its_addresses() {
    let server = Server::start().await;
    let mut ids = BTreeSet::new();
    for (method, path, name) in operations() {
        let operation = &DOCUMENT["paths"][&name][method.to_ascii_lowercase()];
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{} is there twice",
            operation["operationId"]
        );
        for prefix in ["", "/v1"] {
            let answer = server.send(&format!("{method} {prefix}{path}"), &[], "").await;
            let is_missing = answer.status == 405 || answer.text().contains("there is nothing at");
            assert!(!is_missing && answer.status < 500, "{method} {prefix}{path}: {}", answer.text());
        }
    }
    assert!(ids.len() > 50, "{}", ids.len());
    assert_eq!(server.get("/openapi.json").await.expect(200), *DOCUMENT);
}
