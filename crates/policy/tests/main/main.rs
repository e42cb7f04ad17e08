//! The decision: known answers, bad documents, and a second evaluator that is written to be obvious.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authz;
mod corpus;
mod inventory;
mod matrix;
mod naive;
mod packages;
mod question;
mod registry;
mod routes;
mod testing;
mod vectors;

/// The text of a file of known answers.
fn vector(name: &str) -> String {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}
