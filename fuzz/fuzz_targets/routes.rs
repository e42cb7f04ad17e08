//! Any text is a route table or says where it is none; a table answers every request.
//! The first three lines are a request's method, host and target.
#![no_main]

use countersign_policy::Routes;
use countersign_policy::routes::{Found, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut parts = text.splitn(4, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let (method, host, target, table) = (next(), next(), next(), next());
    match Routes::parse(table) {
        Ok(routes) => {
            let ambiguous = Target::read(target).ambiguity.is_some();
            match routes.find(method, host, target) {
                Found::Route(route) => assert!(route.raw || !ambiguous),
                Found::Passes => assert!(!ambiguous),
                Found::Refused(..) => {}
            }
        }
        Err(error) => assert!(!error.0.is_empty()),
    }
});
