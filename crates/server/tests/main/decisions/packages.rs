//! Packages in Rego, from a directory that governs: in force at the start and again when it changes, never
//! when they can't be used; what fails denies, and stands in the record.

use std::fs;
use std::path::Path;

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::asked;
use crate::nodes::two;
use crate::support::{As, TestApp};

const PACKAGES: &str = "/api/v1/policy/packages";
const RELOAD: &str = "/api/v1/policy/reload";

fn documents(version: &str, allowed: &str) -> String {
    format!(
        "# METADATA\n# custom:\n#   id: example.documents\n#   version: {version}\n#   systems: [docs]\n\
         package example.documents\n\
         default decision := {{\"effect\": \"deny\", \"reason\": \"no_rule\"}}\n\
         decision := {{\"effect\": \"allow\", \"reason\": \"may\"}} if input.action.name == \"{allowed}\"\n"
    )
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::create_dir_all(directory.join("packages")).unwrap();
    fs::write(directory.join("packages").join(name), text).unwrap();
}

fn question(action: &str) -> Value {
    json!({"subject": {"type": "user", "id": "ada"}, "action": action,
        "resource": {"type": "document", "id": "doc-1", "system": "docs"}})
}

async fn start() -> (TestApp, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "documents.rego", &documents("v1", "read"));
    let app = TestApp::with(&[("POLICY_DIR", folder.path().to_str().unwrap())]).await;
    (app, folder)
}

async fn reason(app: &TestApp, action: &str) -> String {
    asked(app, &question(action)).await["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_package_answers_is_recorded_and_explained() {
    let (app, _folder) = start().await;
    let answer = asked(&app, &question("read")).await;
    assert_eq!((&answer["effect"], &answer["reason"]), (&json!("allow"), &json!("may")));
    assert_eq!(answer["provenance"]["policy_package"], "example.documents");
    assert_eq!(answer["provenance"]["policy_version"], "v1");
    assert_eq!(answer["matched_rule"], "example.documents/may");
    let id = answer["id"].as_str().unwrap();
    let told = app.operator().get(&format!("/api/v1/decisions/{id}")).await.expect(200);
    assert_eq!(told["policy_package"], "example.documents");
    assert_eq!(told["now"]["same"], true);
    assert_eq!(told["now"]["tried"], json!([{"rule": "example.documents/may", "held": true}]));
    let batch = json!({"subject": {"type": "user", "id": "ada"}, "action": "read",
        "resources": [{"type": "document", "id": "1", "system": "docs"}, {"type": "document", "id": "2"}]});
    let answers = app.operator().post("/v1/batch-check", batch).await.expect(200);
    assert_eq!(answers["decisions"][0]["reason"], "may");
    assert_eq!(answers["decisions"][1]["reason"], "no_matching_rule");
}

#[tokio::test]
async fn what_fails_denies_and_says_where_in_the_answer_and_in_the_record() {
    let (app, folder) = start().await;
    let rules = documents("v1", "read")
        .replace("input.action.name == \"read\"", "to_number(input.action.name) > 1");
    write(folder.path(), "documents.rego", &rules);
    app.operator().post(RELOAD, json!({})).await.expect(200);
    let answer = asked(&app, &question("read")).await;
    let diagnostics = json!(["documents.rego:8: `to_number`: could not parse string as number"]);
    assert_eq!((&answer["effect"], &answer["reason"]), (&json!("deny"), &json!("error")));
    assert_eq!(answer["diagnostics"], diagnostics);
    let events = app.events("decision.made").await;
    assert_eq!(events.last().unwrap()["metadata"]["diagnostics"], diagnostics);
}

#[tokio::test]
async fn a_directory_is_read_again_when_it_changes_and_what_can_not_be_used_changes_nothing() {
    let (app, folder) = start().await;
    let before = app.operator().get(PACKAGES).await.expect(200);
    assert_json_snapshot!(before, {".loaded_at" => "[time]", ".digest" => "[digest]", ".packages[].digest" => "[digest]"}, @r#"
{
  "authz": null,
  "digest": "[digest]",
  "loaded_at": "[time]",
  "packages": [
    {
      "digest": "[digest]",
      "file": "documents.rego",
      "id": "example.documents",
      "resource_types": [],
      "systems": [
        "docs"
      ],
      "version": "v1"
    }
  ]
}
"#);
    for faulty in [
        "package example.documents",
        "# METADATA\n# custom: {id: rbac, version: v1}\npackage a\ndecision := 1",
    ] {
        write(folder.path(), "documents.rego", faulty);
        let problem = app.operator().post(RELOAD, json!({})).await.problem(400, "VALIDATION_ERROR");
        assert!(
            problem["details"]
                .as_object()
                .unwrap()
                .keys()
                .all(|at| at.starts_with("documents.rego"))
        );
        app.server.reread().await;
        assert_eq!(app.operator().get(PACKAGES).await.expect(200), before);
        assert_eq!(reason(&app, "read").await, "may");
    }
    // What is no text, and a directory that is gone.
    fs::write(folder.path().join("packages/more.rego"), b"\xff").unwrap();
    let problem = app.operator().post(RELOAD, json!({})).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("packages/more.rego"), "{problem}");
    // A pipe would be waited for without end; here what is no file is a folder.
    fs::remove_file(folder.path().join("packages/more.rego")).unwrap();
    fs::create_dir(folder.path().join("packages/more.rego")).unwrap();
    let problem = app.operator().post(RELOAD, json!({})).await.problem(409, "CONFLICT");
    assert!(
        problem["detail"].as_str().unwrap().contains("more.rego: is not a regular file"),
        "{problem}"
    );
    fs::remove_dir_all(folder.path()).unwrap();
    app.operator().post(RELOAD, json!({})).await.expect(409);
    assert_eq!(reason(&app, "read").await, "may");

    fs::create_dir(folder.path()).unwrap();
    write(folder.path(), "documents.rego", &documents("v2", "write"));
    write(folder.path(), "documents_test.rego", "package x_test");
    write(folder.path(), ".hidden.rego", "package hidden");
    write(folder.path(), "README.md", "not a package");
    assert!(app.server.app.policy.file_changed());
    countersign_server::jobs::read_policy_again(&app.server.app).await;
    assert!(!app.server.app.policy.file_changed());
    assert_eq!((&*reason(&app, "read").await, &*reason(&app, "write").await), ("no_rule", "may"));
    let events = app.events("policy.reloaded").await;
    let told = &events.last().unwrap()["metadata"];
    assert_eq!(events.len(), 1);
    assert_eq!(told["previousDigest"], before["digest"]);
    let after = app.operator().get(PACKAGES).await.expect(200);
    assert_eq!(told["digest"], after["digest"]);
    let package = &after["packages"][0];
    assert_eq!(
        told["packages"]["example.documents"],
        json!({"digest": package["digest"], "version": "v2"})
    );
    // None at all is a directory, too.
    fs::remove_dir_all(folder.path().join("packages")).unwrap();
    let none = app.operator().post(RELOAD, json!({})).await.expect(200);
    assert_eq!(none["packages"], json!([]));
    assert_eq!(reason(&app, "write").await, "no_matching_rule");
}

#[tokio::test]
async fn only_who_may_reload_the_installations_rules_does() {
    let (app, _folder) = start().await;
    let theirs = app.tenant("acme", "unlimited").await;
    app.nobody().post(RELOAD, json!({})).await.expect(401);
    app.nobody().get(PACKAGES).await.expect(401);
    app.client(As::Bearer(&theirs)).post(RELOAD, json!({})).await.expect(403);
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    app.client(As::Bearer(&dev)).post(RELOAD, json!({})).await.expect(403);
    app.client(As::Bearer(&dev)).get(PACKAGES).await.expect(200);
    let bare = TestApp::start().await;
    bare.operator().get(PACKAGES).await.expect(404);
    bare.operator().post(RELOAD, json!({})).await.expect(404);
}

#[tokio::test]
async fn a_package_that_the_registry_names_for_a_system_answers_for_it() {
    let (app, _folder) = start().await;
    let snapshot = |package: &str| {
        json!({
            "version": "1", "tenant": "default", "systems": [{"id": "wiki", "policy_package": package}],
            "resource_manifests": [], "subjects": [], "groups": [], "teams": [], "tenants": [], "relationships": [],
        })
    };
    let mut elsewhere = question("read");
    elsewhere["resource"]["system"] = "wiki".into();
    app.operator().post(super::REGISTRY, snapshot("example.documents")).await.expect(200);
    assert_eq!(asked(&app, &elsewhere).await["reason"], "may");
    app.operator().post(super::REGISTRY, snapshot("example.missing")).await.expect(200);
    assert_eq!(asked(&app, &elsewhere).await["reason"], "policy_unavailable");
}

#[tokio::test]
async fn two_nodes_with_the_same_directory_give_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "documents.rego", &documents("v1", "read"));
    let settings = [("POLICY_DIR", folder.path().to_str().unwrap())];
    let Some((one, other)) = two(&settings).await else { return };
    for action in ["read", "write"] {
        let here = asked(&one, &question(action)).await;
        assert_eq!(here["id"], asked(&other, &question(action)).await["id"]);
    }
}
