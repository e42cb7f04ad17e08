//! A file that governs (`RBAC_POLICY_FILE`): read at the start and again when asked, and nothing else
//! counts beside it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BUILT_IN, INFO, MATRIX, RELOAD, built_in, hash, with_role};
use crate::support::{As, TestApp};

/// A server whose matrix is in a file, that file, and its folder.
async fn start(matrix: &Value) -> (TestApp, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.json");
    fs::write(&file, matrix.to_string()).unwrap();
    let app = TestApp::with(&[("RBAC_POLICY_FILE", file.to_str().unwrap())]).await;
    app.operator_with("default", &["admin"]).await;
    (app, file, folder)
}

/// Puts another file in the place of the former at once, as editors do.
fn replace(file: &PathBuf, text: impl AsRef<[u8]>) {
    let part = file.with_extension("part");
    fs::write(&part, text).unwrap();
    fs::rename(part, file).unwrap();
}

#[tokio::test]
async fn the_file_is_in_force_from_the_start() {
    let matrix = with_role("clerk", json!({"agents": ["read"]}));
    let (app, _, _folder) = start(&matrix).await;
    let info = app.operator().get(INFO).await.expect(200);
    assert_eq!(info["source"], "file");
    assert_eq!(info["roles"].as_array().unwrap().last().unwrap(), "clerk");
    assert_eq!(app.operator().get(MATRIX).await.expect(200), matrix);
}

#[tokio::test]
async fn an_upload_is_refused_with_the_files_name() {
    let (app, file, _folder) = start(&built_in()).await;
    let before = hash(&app).await;
    let matrix = with_role("clerk", json!({"agents": ["read"]}));
    let problem = app.operator().put(MATRIX, matrix).await.problem(409, "CONFLICT");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(file.to_str().unwrap()), "{detail}");
    assert!(detail.contains("RBAC_POLICY_FILE"), "{detail}");
    assert_eq!(hash(&app).await, before);
}

#[tokio::test]
async fn a_file_governs_over_what_was_uploaded_before_and_gives_way_when_it_is_unset() {
    let app = TestApp::start().await;
    app.operator_with("default", &["admin"]).await;
    let uploaded = with_role("uploaded", json!({"agents": ["read"]}));
    app.operator().put(MATRIX, uploaded.clone()).await.expect(200);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("matrix.json");
    fs::write(&file, BUILT_IN).unwrap();
    let app = app.restart_with(&[("RBAC_POLICY_FILE", file.to_str().unwrap())]).await;
    assert_eq!(app.operator().get(INFO).await.expect(200)["source"], "file");
    assert_eq!(app.operator().get(MATRIX).await.expect(200), built_in());
    app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_eq!(app.operator().get(MATRIX).await.expect(200), built_in());
}

#[tokio::test]
async fn a_changed_file_is_in_force_once_it_is_read_again() {
    let (app, file, _folder) = start(&built_in()).await;
    let (_, token) = app.operator_with("default", &["dev"]).await;
    let dev = app.client(As::Bearer(&token));
    dev.get("/api/v1/agents").await.expect(200);
    let before = hash(&app).await;
    replace(&file, with_role("dev", json!({"keys": ["read"]})).to_string());
    let reloaded = app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_ne!(reloaded["new_hash"], before);
    assert_eq!(reloaded["new_hash"], hash(&app).await);
    dev.get("/api/v1/agents").await.problem(403, "FORBIDDEN");
    dev.get("/api/v1/keys").await.expect(200);
    let app = app.restart().await;
    assert_eq!(hash(&app).await, reloaded["new_hash"]);
}

#[tokio::test]
async fn a_file_that_is_no_matrix_leaves_the_old_one_in_force_and_is_told_where() {
    let (app, file, _folder) = start(&built_in()).await;
    let before = hash(&app).await;
    let twice = BUILT_IN.replacen("\"roles\"", "\"roles\": [], \"roles\"", 1);
    let cyclic = {
        let mut matrix = built_in();
        matrix["aliases"] = json!({"a": "b", "b": "a"});
        matrix.to_string()
    };
    for (text, at) in [
        (BUILT_IN[..200].to_owned(), ""),
        (String::new(), ""),
        (twice, ""),
        (cyclic, "/aliases/a"),
        (with_role("a b", json!({})).to_string(), "/roles/6"),
    ] {
        replace(&file, text);
        let refused = app.operator().post(RELOAD, json!({})).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        assert!(problem["details"][at].is_string(), "{problem}");
        assert_eq!(hash(&app).await, before);
    }
    replace(&file, BUILT_IN);
    app.operator().post(RELOAD, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_leaves_the_old_one_in_force() {
    let (app, file, _folder) = start(&built_in()).await;
    let before = hash(&app).await;
    replace(&file, b"{\"version\":\"\xff\"}");
    let problem = app.operator().post(RELOAD, json!({})).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("matrix.json"), "{problem}");
    fs::remove_file(&file).unwrap();
    app.operator().post(RELOAD, json!({})).await.problem(409, "CONFLICT");
    fs::create_dir(&file).unwrap();
    app.operator().post(RELOAD, json!({})).await.problem(409, "CONFLICT");
    assert_eq!(hash(&app).await, before);
    app.operator().get("/api/v1/agents").await.expect(200);
    let text = app.nobody().get("/metrics").await.text;
    let failed = text
        .lines()
        .filter(|line| line.starts_with("rbac_policy_loads_total") && !line.contains("success"));
    assert_eq!(failed.count(), 1, "{text}");
}

#[tokio::test]
async fn a_file_under_which_nobody_could_mend_it_is_not_taken() {
    let (app, file, _folder) = start(&built_in()).await;
    let before = hash(&app).await;
    let mut matrix = with_role("dev", json!({"rbac": ["reload"]}));
    for role in ["infra", "admin"] {
        matrix["matrix"][role].as_object_mut().unwrap().remove("rbac");
    }
    replace(&file, matrix.to_string());
    let problem = app.operator().post(RELOAD, json!({})).await.problem(400, "VALIDATION_ERROR");
    assert!(problem["detail"].as_str().unwrap().contains("rbac:reload"), "{problem}");
    assert_eq!(hash(&app).await, before);
}

#[tokio::test]
async fn a_changed_file_is_taken_without_being_asked_and_recorded_as_the_servers_own_doing() {
    let (app, file, _folder) = start(&built_in()).await;
    replace(&file, with_role("clerk", json!({"agents": ["read"]})).to_string());
    countersign_server::jobs::read_matrix_again(&app.server.app).await;
    let info = app.operator().get(INFO).await.expect(200);
    assert_eq!(info["roles"].as_array().unwrap().last().unwrap(), "clerk");
    let event = app.events("rbac.reloaded").await.remove(0);
    let who = (&event["actorType"], &event["actorId"]);
    assert_eq!(who, (&json!("system"), &json!("matrix-file")));
    replace(&file, "{");
    countersign_server::jobs::read_matrix_again(&app.server.app).await;
    assert_eq!(hash(&app).await, info["hash"]);
}

#[tokio::test]
async fn each_reading_that_counts_is_recorded_with_both_hashes() {
    let (app, file, _folder) = start(&built_in()).await;
    replace(&file, with_role("clerk", json!({"agents": ["read"]})).to_string());
    let reloaded = app.operator().post(RELOAD, json!({})).await;
    reloaded.expect(200);
    let events = app.events("rbac.reloaded").await;
    let mine = events.iter().find(|event| event["actorId"] == "bootstrap").unwrap();
    assert_eq!(mine["requestId"], reloaded.header("x-request-id"));
    assert_eq!(mine["metadata"]["newHash"], hash(&app).await);
}
