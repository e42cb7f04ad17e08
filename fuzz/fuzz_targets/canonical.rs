//! What was read has one canonical form, and reading that gives the same again.
#![no_main]

use countersign_policy::{canonical, strict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(value) = strict(text) {
        let once = canonical(&value);
        let again = strict(&once).expect("a canonical form is read back");
        assert_eq!(canonical(&again), once);
    }
});
