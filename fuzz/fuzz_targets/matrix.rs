//! Any text is a matrix or says where it is none; a matrix answers.
#![no_main]

use countersign_policy::Matrix;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match Matrix::parse(text) {
    Ok(matrix) => {
        let roles: Vec<String> = matrix.roles().map(str::to_owned).collect();
        for resource in matrix.resources() {
            for action in matrix.actions(resource) {
                assert!(matrix.decide(roles.iter().map(String::as_str), resource, action).is_ok());
            }
        }
    }
    Err(error) => assert!(!error.0.is_empty()),
});
