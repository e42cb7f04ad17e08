//! Operators, stopped agents and the role matrix, when the process is killed, restarted, or told
//! something wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::http::{delete, get, post};
use crate::server::{OPERATOR, Server, refused, serve, within};

const MATRIX: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/rbac-policies.json"));

/// Longer than a changed file may go unnoticed on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// Makes an operator with this role; gives their id and token.
fn operator(server: &Server, role: &str) -> (String, String) {
    let email = format!("{role}@people.example");
    let body = json!({"email": email, "displayName": "Olga", "roles": [role]});
    let made = server.ask(&post("/api/v1/operators", &body).bearer(OPERATOR)).expect(201);
    let id = text(&made, "operatorId");
    let path = format!("/api/v1/operators/{id}/tokens");
    let made = server.ask(&post(&path, &json!({})).bearer(OPERATOR)).expect(201);
    (id, text(&made, "token"))
}

fn whoami(server: &Server, token: &str) -> u16 {
    server.ask(&get("/api/v1/whoami").bearer(token)).status
}

fn hash(server: &Server) -> String {
    text(&server.ask(&get("/api/v1/rbac/info").bearer(OPERATOR)).expect(200), "hash")
}

/// The matrix as a file beside the database.
fn file(database: &Database, text: &str) -> PathBuf {
    let path = database.folder.path().join("matrix.json");
    replace(&path, text);
    path
}

/// Puts another file in the place of the former at once, as editors do.
fn replace(path: &Path, text: &str) {
    let part = path.with_extension("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, path).unwrap();
}

#[test]
fn who_was_removed_or_stopped_stays_so_though_the_server_is_killed_right_after() {
    let database = Database::create();
    let mut server = Server::start(&database, &[]);
    for round in 0..3 {
        let agent = server.agent(&format!("agent{round}"));
        let token = server.token(&agent);
        let (id, reader) = operator(&server, "readonly");
        let quarantine = format!("/api/v1/agents/{}/quarantine", agent.id);
        let stop = post(&quarantine, &json!({"reason": "test"})).bearer(OPERATOR);
        server.ask(&stop).expect(200);
        let remove = delete(&format!("/api/v1/operators/{id}")).bearer(OPERATOR);
        server.ask(&remove).expect(204);
        server.process.kill();

        server = Server::start(&database, &[]);
        assert!(!server.is_live(&token));
        assert_eq!(whoami(&server, &reader), 401);
        let path = format!("/api/v1/agents/{}", agent.id);
        let shown = server.ask(&get(&path).bearer(OPERATOR)).expect(200);
        assert_eq!(shown["status"], "suspended");
    }
}

#[test]
fn a_first_operator_who_was_removed_is_told_of_at_the_next_start() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let (_, infra) = operator(&server, "infra");
    server.ask(&delete("/api/v1/operators/bootstrap").bearer(&infra)).expect(204);
    server.terminate();
    let server = Server::start(&database, &[]);
    assert_eq!((whoami(&server, OPERATOR), whoami(&server, &infra)), (401, 200));
    let told = "BOOTSTRAP_ADMIN_TOKEN was revoked and stays so";
    assert!(server.log().iter().any(|line| line.contains(told)));
    assert!(!server.log().iter().any(|line| line.contains(OPERATOR)));
}

#[test]
fn a_matrix_file_that_cannot_be_used_keeps_the_server_from_starting() {
    let database = Database::create();
    let path = file(&database, MATRIX);
    let settings = [("RBAC_POLICY_FILE", path.to_str().unwrap())];
    Server::start(&database, &settings).terminate();
    let cyclic = MATRIX.replacen("\"owner\": \"admin\"", "\"owner\": \"owner\"", 1);
    let twice = MATRIX.replacen("\"roles\"", "\"roles\": [], \"roles\"", 1);
    for (wrong, told) in [
        (&MATRIX[..300], "EOF while parsing"),
        ("", "EOF while parsing"),
        (&cyclic, "/aliases/owner"),
        (&twice, "`roles` is given more than once"),
        ("{}", "/roles"),
    ] {
        replace(&path, wrong);
        let reason = refused(&mut serve(&database, &settings));
        assert!(reason.starts_with("error: RBAC_POLICY_FILE: "), "{reason}");
        assert!(reason.contains(told), "{reason}");
    }
    fs::remove_file(&path).unwrap();
    let reason = refused(&mut serve(&database, &settings));
    assert!(reason.contains("RBAC_POLICY_FILE: must be the path of a file"), "{reason}");
}

#[test]
fn a_changed_matrix_file_is_noticed_and_a_broken_one_leaves_the_old_in_force() {
    let database = Database::create();
    let path = file(&database, MATRIX);
    let server = Server::start(&database, &[("RBAC_POLICY_FILE", path.to_str().unwrap())]);
    operator(&server, "admin");
    let first = hash(&server);
    replace(&path, &MATRIX.replacen("1.0.0", "1.0.1-with-another-length", 1));
    assert!(within(PATIENCE, || hash(&server) != first), "it was not noticed");
    let second = hash(&server);
    replace(&path, &MATRIX[..300]);
    let stays = "the role matrix stays as it was";
    let told = || server.log().iter().any(|line| line.contains(stays));
    assert!(within(PATIENCE, told), "it was not told");
    assert_eq!(hash(&server), second);
    replace(&path, MATRIX);
    assert!(within(PATIENCE, || hash(&server) == first), "it was not mended");
}

#[test]
fn an_uploaded_matrix_survives_a_kill() {
    let database = Database::create();
    let mut server = Server::start(&database, &[]);
    operator(&server, "admin");
    let matrix = MATRIX.replacen("1.0.0", "1.0.1", 1);
    let length = matrix.len();
    let mut connection = server.connect();
    let request = format!(
        "PUT /api/v1/rbac/matrix HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {OPERATOR}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{matrix}"
    );
    connection.send(request.as_bytes()).unwrap();
    let uploaded = text(&connection.hear().unwrap().expect(200), "new_hash");
    server.process.kill();
    let server = Server::start(&database, &[]);
    assert_eq!(hash(&server), uploaded);
}

#[test]
fn a_first_operator_who_was_removed_is_told_of_where_the_token_is_in_a_file() {
    let database = Database::sqlite();
    let mut command = serve(&database, &[]);
    let server = Server::spawn(command.env_remove("BOOTSTRAP_ADMIN_TOKEN"));
    let first = fs::read_to_string(database.data().join("bootstrap-token")).unwrap();
    let first = first.trim();
    let body = json!({"email": "o@people.example", "displayName": "Olga", "roles": ["infra"]});
    let made = server.ask(&post("/api/v1/operators", &body).bearer(first)).expect(201);
    let path = format!("/api/v1/operators/{}/tokens", text(&made, "operatorId"));
    let infra = text(&server.ask(&post(&path, &json!({})).bearer(first)).expect(201), "token");
    server.ask(&delete("/api/v1/operators/bootstrap").bearer(&infra)).expect(204);
    server.terminate();
    let server = Server::spawn(command.env_remove("BOOTSTRAP_ADMIN_TOKEN"));
    assert_eq!(whoami(&server, first), 401);
    let misleading = "the first operator's token is in this file";
    assert!(!server.log().iter().any(|line| line.contains(misleading)), "{:?}", server.log());
}
