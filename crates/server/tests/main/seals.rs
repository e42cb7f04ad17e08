//! Seals: what was sealed, by which key, how it is proven, and how it is read in the one exact order.

mod export;
mod follow;
mod kept;
mod tampering;

use std::collections::HashSet;

use countersign_ground::record::{Seal, SealJwk, merkle};
use serde_json::{Value, json};

use crate::support::{As, TestApp, new_agent};

/// Registers so many agents, and seals.
async fn sealed(app: &TestApp, name: &str, count: usize) {
    for number in 0..count {
        let agent = new_agent(&format!("{name}{number}"));
        app.operator().post("/api/v1/agents", agent).await.expect(201);
    }
    app.server.seal().await.unwrap();
}

async fn seals(app: &TestApp) -> Vec<Seal> {
    let page = app.operator().get("/api/v1/audit/seals?limit=1000").await.expect(200);
    serde_json::from_value(page["data"].clone()).unwrap()
}

async fn keys(app: &TestApp) -> Vec<SealJwk> {
    let set = app.nobody().get("/api/v1/audit/keys").await.expect(200);
    serde_json::from_value(set["keys"].clone()).unwrap()
}

#[tokio::test]
async fn every_seal_follows_the_one_before_and_is_signed() {
    let app = TestApp::start().await;
    for round in 0..3 {
        sealed(&app, &format!("a{round}"), 3).await;
    }
    let (seals, keys) = (seals(&app).await, keys(&app).await);
    assert!(seals.len() >= 3, "{}", seals.len());
    let mut previous = countersign_ground::record::Hash::NONE;
    for (number, seal) in (1..).zip(&seals) {
        assert_eq!((seal.seal, seal.previous), (number, previous));
        assert!(keys.iter().any(|key| key.kid == seal.kid && seal.is_signed_by(key)));
        previous = seal.digest();
    }
    let events: i64 = seals.iter().map(|seal| seal.count).sum();
    assert_eq!(events, 10, "nine agents and the first operator's token");
}

#[tokio::test]
async fn nothing_new_makes_no_seal() {
    let app = TestApp::start().await;
    sealed(&app, "a", 1).await;
    let before = seals(&app).await;
    app.server.seal().await.unwrap();
    assert_eq!(seals(&app).await, before);
}

#[tokio::test]
async fn every_event_can_be_proven_once_it_is_sealed() {
    let app = TestApp::start().await;
    sealed(&app, "a", 7).await;
    for event in app.events("agent.created").await {
        let id = event["eventId"].as_str().unwrap();
        let proof = app.operator().get(&format!("/api/v1/audit/{id}/proof")).await.expect(200);
        assert_eq!(proof["event"], event);
        let leaf = merkle::leaf(proof["leaf"].as_str().unwrap().as_bytes());
        assert_eq!(proof["leaf_hash"], leaf.to_string());
        let size = |name: &str| usize::try_from(proof[name].as_u64().unwrap()).unwrap();
        let path = proof["path"].as_array().unwrap().iter();
        let path: Vec<_> = path.map(|hash| hash.as_str().unwrap().parse().unwrap()).collect();
        let seal: Seal = serde_json::from_value(proof["seal"].clone()).unwrap();
        let root = merkle::climb(leaf, size("index"), size("tree_size"), &path);
        assert_eq!(root, Some(seal.root));
        assert!(seals(&app).await.contains(&seal));
    }
}

#[tokio::test]
async fn a_proof_is_for_those_who_may_see_the_event() {
    let app = TestApp::start().await;
    let other = app.tenant("other", "unlimited").await;
    sealed(&app, "a", 1).await;
    let event = app.events("agent.created").await.remove(0);
    let path = format!("/api/v1/audit/{}/proof", event["eventId"].as_str().unwrap());
    app.client(As::Bearer(&other)).get(&path).await.problem(404, "AUDIT_EVENT_NOT_FOUND");
    app.nobody().get(&path).await.problem(401, "UNAUTHORIZED");
    let unknown = "/api/v1/audit/01985b5e-3c1a-7000-8000-000000000001/proof";
    app.operator().get(unknown).await.problem(404, "AUDIT_EVENT_NOT_FOUND");
    app.operator().get("/api/v1/audit/nonsense/proof").await.problem(400, "VALIDATION_ERROR");
    app.nobody().get("/api/v1/audit/seals").await.problem(401, "UNAUTHORIZED");
    app.operator().get("/api/v1/audit/seals?limit=0").await.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_page_of_seals_says_where_the_next_begins() {
    let app = TestApp::start().await;
    for round in 0..3 {
        sealed(&app, &format!("a{round}"), 1).await;
    }
    let all = seals(&app).await;
    let (mut met, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let path = format!("/api/v1/audit/seals?limit=2&cursor={cursor}");
        let page = app.operator().get(&path).await.expect(200);
        let data: Vec<Seal> = serde_json::from_value(page["data"].clone()).unwrap();
        assert!(data.len() <= 2);
        met.extend(data);
        match &page["nextCursor"] {
            Value::Null => break,
            next => next.as_str().unwrap().clone_into(&mut cursor),
        }
    }
    assert_eq!(met, all);
}

#[tokio::test]
async fn a_rotated_key_of_seals_stays_published_and_its_seals_stay_good() {
    let app = TestApp::start().await;
    sealed(&app, "a", 2).await;
    let rotate = json!({"purpose": "seal"});
    let moved = app.operator().post("/api/v1/keys/rotate", rotate.clone()).await.expect(200);
    app.operator().post("/api/v1/keys/rotate", rotate).await.expect(200);
    sealed(&app, "b", 2).await;
    let (seals, keys) = (seals(&app).await, keys(&app).await);
    assert_eq!(keys.len(), 3);
    assert_eq!(moved["retiringKid"], keys[0].kid);
    assert_eq!(moved["activeKid"], keys[1].kid);
    let used: HashSet<&str> = seals.iter().map(|seal| &*seal.kid).collect();
    assert!(used.contains(&*keys[0].kid) && used.contains(&*keys[2].kid));
    let report = tampering::verified(&app).await;
    assert!(report.is_good(), "{:?}", report.faults);
    let wrong = json!({"purpose": "digest"});
    app.operator().post("/api/v1/keys/rotate", wrong).await.problem(400, "VALIDATION_ERROR");
    let jwks = app.nobody().get("/.well-known/jwks.json").await.expect(200);
    let kids: Vec<&Value> =
        jwks["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(
        keys.iter().all(|key| !kids.contains(&&Value::from(&*key.kid))),
        "apart from the token keys"
    );
}

#[tokio::test]
async fn what_was_unsealed_at_the_end_is_sealed_at_the_end() {
    let app = TestApp::start().await;
    for number in 0..3 {
        let agent = new_agent(&format!("late{number}"));
        app.operator().post("/api/v1/agents", agent).await.expect(201);
    }
    let app = app.restart().await;
    let report = tampering::verified(&app).await;
    assert!(report.is_good() && report.unsealed == 0, "{report:?}");
}
