//! The rules of ARCHITECTURE.md, kept by reading the sources.

use std::path::{Path, PathBuf};

/// Which feature may call which other one's functions.
const MAY_CALL: [(&str, &str); 17] = [
    ("activity", "agents"),
    ("activity", "credentials"),
    ("activity", "operators"),
    ("activity", "quotas"),
    ("agents", "tenants"),
    ("credentials", "agents"),
    ("oauth", "credentials"),
    ("oauth", "quotas"),
    ("operators", "rbac"),
    ("policy", "documents"),
    ("quarantine", "agents"),
    ("quarantine", "credentials"),
    ("rbac", "documents"),
    ("rbac", "operators"),
    ("registry", "documents"),
    ("routes", "documents"),
    ("routes", "guards"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every Rust file below a folder, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "nothing in {folder}");
    found
}

fn manifest(krate: &str) -> String {
    std::fs::read_to_string(root().join(format!("crates/{krate}/Cargo.toml"))).unwrap()
}

#[test]
fn law_names_no_feature() {
    for (path, text) in sources("crates/server/src/law") {
        assert!(!text.contains("crate::features"), "{}", path.display());
    }
}

#[test]
fn only_doors_and_jobs_see_the_app() {
    let folders = ["crates/server/src/law", "crates/server/src/features"];
    for (path, text) in folders.into_iter().flat_map(sources) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let path_text = path.to_str().unwrap();
        let is_door =
            name == "http.rs" || path_text.contains("/http/") || path_text.contains("/oauth/");
        assert!(is_door || !text.contains("crate::app"), "{}", path.display());
    }
}

fn is_store(path: &Path) -> bool {
    path.file_name().unwrap() == "store.rs" || path.parent().unwrap().ends_with("store")
}

#[test]
fn a_store_sees_neither_http_nor_the_app() {
    for (path, text) in sources("crates/server/src/features") {
        if is_store(&path) {
            for forbidden in ["axum", "http::", "crate::app", "crate::doors"] {
                assert!(!text.contains(forbidden), "{} names {forbidden}", path.display());
            }
        }
    }
}

#[test]
fn sql_stands_in_stores_only() {
    let elsewhere =
        ["crates/server/src/law", "crates/server/src/doors", "crates/server/src/features"];
    for (path, text) in elsewhere.into_iter().flat_map(sources) {
        let store = is_store(&path);
        for word in ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"] {
            assert!(store || !text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn a_feature_calls_another_one_only_where_the_table_says_so() {
    for (path, text) in sources("crates/server/src/features") {
        let inside = path.strip_prefix(root().join("crates/server/src/features")).unwrap();
        let feature = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let named = text.split("features::").skip(1).chain(text.split("super::").skip(1));
        for other in named {
            let other: String =
                other.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_feature = root().join(format!("crates/server/src/features/{other}.rs")).exists();
            let allowed = MAY_CALL.contains(&(feature, other.as_str())) || feature == other;
            assert!(!is_feature || allowed, "{feature} calls {other}: {}", path.display());
        }
    }
}

#[test]
fn the_decision_is_pure() {
    let manifest = manifest("policy");
    for forbidden in ["tokio", "axum", "http", "rusqlite", "postgres", "reqwest", "countersign-"] {
        let dependency = |line: &&str| line.starts_with(forbidden) && line.contains("workspace");
        let found: Vec<&str> = manifest.lines().filter(dependency).collect();
        assert!(found.is_empty(), "crates/policy depends on {found:?}");
    }
    for (path, text) in sources("crates/policy/src") {
        for forbidden in ["Instant", "SystemTime", "std::fs", "std::net", "async fn"] {
            assert!(!text.contains(forbidden), "{} names {forbidden}", path.display());
        }
    }
}

#[test]
fn ground_knows_no_feature() {
    let manifest = manifest("ground");
    assert!(!manifest.contains("countersign-server") && !manifest.contains("countersign-policy"));
}

#[test]
fn no_file_outgrows_a_head() {
    for (path, text) in sources("crates") {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn the_checked_in_description_of_the_api_is_the_servers() {
    let checked_in = std::fs::read_to_string(root().join("docs/openapi.json")).unwrap();
    let made = countersign_server::doors::openapi::document();
    let again = "run `cargo run -q -p countersign -- openapi > docs/openapi.json`";
    assert!(checked_in == made, "docs/openapi.json is not what the handlers say: {again}");
}
