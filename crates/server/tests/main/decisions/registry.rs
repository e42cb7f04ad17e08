//! Loading a registry: uploaded or from a file, in force everywhere or not at all.

use std::fs;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{REGISTRY, asked, vector};
use crate::nodes::{two, until};
use crate::support::{As, TestApp};

fn certificate() -> Value {
    vector("ssh-sign-fixtures.json")["cases"][0]["request"].clone()
}

#[tokio::test]
async fn an_uploaded_registry_is_in_force_and_recorded_and_outlives_a_restart() {
    let app = TestApp::start().await;
    app.operator().get(REGISTRY).await.problem(404, "NOT_FOUND");
    let answer = app.operator().post(REGISTRY, vector("registry-snapshot.json")).await.expect(200);
    assert_json_snapshot!(answer, @r#"
    {
      "counts": {
        "groups": 3,
        "relationships": 3,
        "resource_manifests": 1,
        "resources": 4,
        "subjects": 4,
        "systems": 1,
        "teams": 0
      },
      "digest": "sha256:41a35027802fa5e7f44cb576a54ca354c19d471c127b19c67c0aaa741864b379",
      "loaded_at": "2026-01-01T00:00:00.000Z",
      "source": "uploaded",
      "tenant": "tenant:platform"
    }
    "#);
    assert_eq!(answer["digest"], vector("decision-ids.json")["registry_digest"]);
    assert_eq!(app.operator().get(REGISTRY).await.expect(200), answer);
    let event = app.events("registry.loaded").await.remove(0);
    assert_eq!(
        event["metadata"],
        json!({"digest": answer["digest"], "resources": 4, "subjects": 4})
    );
    assert_eq!(asked(&app, &certificate()).await["effect"], "allow");
    let app = app.restart().await;
    assert_eq!(asked(&app, &certificate()).await["effect"], "allow");
}

#[tokio::test]
async fn one_that_does_not_load_leaves_the_old_one_in_force_and_says_where_it_is_wrong() {
    let app = super::start().await;
    let before = app.operator().get(REGISTRY).await.expect(200);
    let mut wrong = vector("registry-snapshot.json");
    wrong["relationships"][1]["subject"] = "nobody".into();
    wrong["resource_manifests"][0]["resources"][0]["attributes"]["max_ttl_hours"] = (-1).into();
    let problem = app.operator().post(REGISTRY, wrong).await.problem(400, "VALIDATION_ERROR");
    let named: Vec<&String> = problem["details"].as_object().unwrap().keys().collect();
    assert_eq!(
        named,
        ["/relationships/1/subject", "/resource_manifests/0/resources/0/attributes/max_ttl_hours"]
    );
    for wrong in [json!([]), json!({}), json!(null)] {
        app.operator().post(REGISTRY, wrong).await.problem(400, "VALIDATION_ERROR");
    }
    assert_eq!(app.operator().get(REGISTRY).await.expect(200), before);
    assert_eq!(app.events("registry.loaded").await.len(), 1);
}

#[tokio::test]
async fn only_who_may_write_the_registry_of_the_installation_loads_one() {
    let app = TestApp::start().await;
    let theirs = app.tenant("acme", "unlimited").await;
    let snapshot = || vector("registry-snapshot.json");
    app.nobody().post(REGISTRY, snapshot()).await.expect(401);
    app.client(As::Bearer(&theirs)).post(REGISTRY, snapshot()).await.expect(403);
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    app.client(As::Bearer(&dev)).post(REGISTRY, snapshot()).await.expect(403);
    app.client(As::Bearer(&dev)).get(REGISTRY).await.expect(404);
}

#[tokio::test]
async fn a_file_governs_and_is_read_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.json");
    fs::write(&file, vector("registry-snapshot.json").to_string()).unwrap();
    let app = TestApp::with(&[("REGISTRY_FILE", file.to_str().unwrap())]).await;
    assert_eq!(app.operator().get(REGISTRY).await.expect(200)["source"], "file");
    let refused = app.operator().post(REGISTRY, vector("registry-snapshot.json")).await;
    let problem = refused.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("REGISTRY_FILE"), "{problem}");

    let mut other = vector("registry-snapshot.json");
    other["resource_manifests"][0]["resources"][0]["attributes"]["max_ttl_hours"] = 1.into();
    fs::write(&file, other.to_string()).unwrap();
    app.server.reread().await;
    assert_eq!(asked(&app, &certificate()).await["reason"], "ttl_out_of_bounds");
    let before = app.operator().get(REGISTRY).await.expect(200);
    fs::write(&file, "{").unwrap();
    app.server.reread().await;
    assert_eq!(app.operator().get(REGISTRY).await.expect(200)["digest"], before["digest"]);
}

#[tokio::test]
async fn what_one_node_loads_is_in_force_on_the_other_with_the_same_ids() {
    let Some((one, other)) = two(&[]).await else { return };
    one.operator().post(REGISTRY, vector("registry-snapshot.json")).await.expect(200);
    let id = asked(&one, &certificate()).await["id"].clone();
    until("the registry", || async { other.operator().get(REGISTRY).await.status == 200 }).await;
    assert_eq!(asked(&other, &certificate()).await["id"], id);
    let mut wrong = vector("registry-snapshot.json");
    wrong["systems"] = json!([]);
    other.operator().post(REGISTRY, wrong).await.expect(400);
    assert_eq!(asked(&one, &certificate()).await["id"], id);
}

/// It is stored in pieces, which end wherever they do.
#[tokio::test]
async fn a_large_one_is_the_same_after_a_restart() {
    let app = TestApp::start().await;
    let mut snapshot = vector("registry-snapshot.json");
    let subjects = snapshot["subjects"].as_array_mut().unwrap();
    for n in 0..8_000 {
        subjects.push(json!({"id": format!("é{n}€{}", "😀".repeat(n % 40)), "type": "user"}));
    }
    assert!(snapshot.to_string().len() > 2 << 18, "more than two pieces");
    let loaded = app.operator().post(REGISTRY, snapshot).await.expect(200);
    let app = app.restart().await;
    assert_eq!(app.operator().get(REGISTRY).await.expect(200)["digest"], loaded["digest"]);
}

#[tokio::test]
async fn two_uploads_at_once_leave_the_later_one() {
    let app = TestApp::start().await;
    let uploads = (0..8).map(|n| {
        let mut snapshot = vector("registry-snapshot.json");
        snapshot["version"] = format!("{n}").into();
        let client = app.operator();
        async move { client.post(REGISTRY, snapshot).await.expect(200)["digest"].clone() }
    });
    let digests = futures_util::future::join_all(uploads).await;
    let in_force = app.operator().get(REGISTRY).await.expect(200)["digest"].clone();
    assert!(digests.contains(&in_force));
    assert_eq!(app.events("registry.loaded").await.len(), 8);
    let app = app.restart().await;
    assert_eq!(app.operator().get(REGISTRY).await.expect(200)["digest"], in_force);
}
