//! SIGHUP: the files are read again, and what can't be used leaves what was in force.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::http::{get, post};
use crate::server::{OPERATOR, Server, new_agent, serve, within};

const PROMPT: Duration = Duration::from_secs(10);

fn matrix(name: &str) -> String {
    json!({
        "version": name, "roles": ["admin", "infra"],
        "matrix": {"admin": {
            "operators": ["write"], "rbac": ["read", "reload"], "agents": ["read", "write"],
        }},
    })
    .to_string()
}

fn version(server: &Server) -> Value {
    server.ask(&get("/api/v1/rbac/info").bearer(OPERATOR)).expect(200)["version"].clone()
}

fn said(server: &Server, what: &str) -> bool {
    within(PROMPT, || server.log().iter().any(|line| line.contains(what)))
}

#[test]
fn sighup_takes_over_another_matrix_and_another_log_filter() {
    let database = Database::create();
    let folder = database.folder.path();
    let (file, settings) = (folder.join("matrix.json"), folder.join("c.toml"));
    fs::write(&file, matrix("one")).unwrap();
    fs::write(&settings, "log_level = 'info'\ntoken_ttl_seconds = 60").unwrap();
    let more = [("RBAC_POLICY_FILE", file.to_str().unwrap())];
    let mut command = serve(&database, &more);
    let server = Server::spawn(command.arg("--config").arg(&settings));
    assert_eq!(version(&server), "one");

    fs::write(&file, matrix("two")).unwrap();
    fs::write(&settings, "log_level = 'countersign=debug'\ntoken_ttl_seconds = 61").unwrap();
    server.process.signal("HUP");
    assert!(within(PROMPT, || version(&server) == "two"));
    assert!(said(&server, "TOKEN_TTL_SECONDS"), "what waits for a start is named");
    server.ask(&post("/api/v1/agents", &new_agent("seen")).bearer(OPERATOR)).expect(201);
    assert!(said(&server, r#""level":"DEBUG""#));

    fs::write(&file, "{").unwrap();
    fs::write(&settings, "log_level = '['").unwrap();
    server.process.signal("HUP");
    assert!(said(&server, "stays as it was") && said(&server, "LOG_LEVEL: must be"));
    assert_eq!(version(&server), "two");
    let (status, _) = server.terminate();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_matrix_file_is_read_again_when_it_changes() {
    let database = Database::create();
    let file = database.folder.path().join("matrix.json");
    fs::write(&file, matrix("one")).unwrap();
    let server = Server::start(&database, &[("RBAC_POLICY_FILE", file.to_str().unwrap())]);
    fs::write(&file, matrix("the next one")).unwrap();
    assert!(within(PROMPT, || version(&server) == "the next one"));
}
