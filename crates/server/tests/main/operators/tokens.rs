//! Tokens of operators: shown once, listed without, good until they end.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{OPERATORS, make, one};
use crate::agents::NOBODYS_ID;
use crate::support::{As, TestApp};

const WHOAMI: &str = "/api/v1/whoami";

/// A new operator's tokens.
async fn tokens(app: &TestApp, name: &str) -> String {
    format!("{}/tokens", one(&make(app, name, &["readonly"]).await))
}

fn text<'v>(made: &'v Value, name: &str) -> &'v str {
    made[name].as_str().unwrap()
}

async fn works(app: &TestApp, token: &str) -> bool {
    let answer = app.client(As::Bearer(token)).get(WHOAMI).await;
    if answer.status != 200 {
        answer.problem(401, "UNAUTHORIZED");
    }
    answer.status == 200
}

#[tokio::test]
async fn a_new_token_is_shown_this_once() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let body = json!({"name": "laptop", "expiresAt": "2026-02-01T00:00:00+01:00"});
    let answer = app.operator().post(&path, body).await;
    let made = answer.expect(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let digits = text(&made, "token").strip_prefix("op_live_").expect("what scanners look for");
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
    assert!(path.contains(text(&made, "operatorId")));
    assert_json_snapshot!(made, {
        ".tokenId" => "[id]", ".operatorId" => "[operator]", ".token" => "[token]",
    }, @r#"
    {
      "createdAt": "2026-01-01T00:00:00.000Z",
      "expiresAt": "2026-01-31T23:00:00.000Z",
      "name": "laptop",
      "operatorId": "[operator]",
      "status": "active",
      "token": "[token]",
      "tokenId": "[id]"
    }
    "#);
    assert!(works(&app, text(&made, "token")).await);
    let listed = app.operator().get(&path).await;
    let mut expected = made.clone();
    expected.as_object_mut().unwrap().remove("token");
    assert_eq!(listed.expect(200)["data"][0], expected);
    assert!(!listed.text.contains("op_live_") && !listed.text.contains(digits));
}

#[tokio::test]
async fn a_token_may_be_made_without_a_body() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let request = app.operator().request(reqwest::Method::POST, &path);
    let made = crate::support::Answer::to(request).await.expect(201);
    assert_eq!((made.get("name"), made.get("expiresAt")), (None, None));
}

#[tokio::test]
async fn every_bad_field_of_a_token_is_named_at_once() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let long = "x".repeat(129);
    for (name, expires_at) in [
        (json!(""), json!("2026-01-01T00:00:00Z")),
        (json!(long), json!("2025-12-31T23:59:59Z")),
        (json!(7), json!("tomorrow")),
        (json!(null), json!(null)),
        (json!("a\0b"), json!(1_800_000_000)),
        (json!(["laptop"]), json!("")),
    ] {
        let body = json!({"name": name, "expiresAt": expires_at, "expires": 1});
        let problem = app.operator().post(&path, body).await.problem(400, "VALIDATION_ERROR");
        let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
        assert_eq!(named, ["expires", "expiresAt", "name"], "{problem}");
    }
    assert_eq!(app.events("operator.token_created").await.len(), 0);
}

#[tokio::test]
async fn a_token_ends_at_exactly_its_time() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let body = json!({"expiresAt": "2026-01-01T00:00:10Z"});
    let made = app.operator().post(&path, body).await.expect(201);
    let status = async || app.operator().get(&path).await.expect(200)["data"][0]["status"].clone();
    app.pass(Duration::from_micros(9_999_999));
    assert!(works(&app, text(&made, "token")).await);
    assert_eq!(status().await, "active");
    app.pass(Duration::from_micros(1));
    assert!(!works(&app, text(&made, "token")).await);
    assert_eq!(status().await, "expired");
    let app = app.restart().await;
    assert!(!works(&app, text(&made, "token")).await);
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_and_for_good_and_the_others_stay() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let ended = app.operator().post(&path, json!({"name": "ended"})).await.expect(201);
    let other = app.operator().post(&path, json!({"name": "other"})).await.expect(201);
    app.pass(Duration::from_secs(5));
    let one = format!("{path}/{}", text(&ended, "tokenId"));
    app.operator().delete(&one).await.expect(204);
    assert!(!works(&app, text(&ended, "token")).await);
    assert!(works(&app, text(&other, "token")).await);
    let page = app.operator().get(&path).await.expect(200);
    let listed = page["data"].as_array().unwrap().iter().find(|one| one["name"] == "ended");
    let listed = listed.unwrap();
    assert_eq!([&listed["status"], &listed["revokedAt"]], ["revoked", "2026-01-01T00:00:05.000Z"]);
    app.operator().delete(&one).await.problem(409, "CONFLICT");
    let app = app.restart().await;
    assert!(!works(&app, text(&ended, "token")).await);
    assert!(works(&app, text(&other, "token")).await);
}

#[tokio::test]
async fn of_concurrent_revocations_exactly_one_wins() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let made = app.operator().post(&path, json!({})).await.expect(201);
    let one = format!("{path}/{}", text(&made, "tokenId"));
    let operator = app.operator();
    let (first, second) = tokio::join!(operator.delete(&one), operator.delete(&one));
    let lost = if first.status == 204 { second } else { first };
    lost.problem(409, "CONFLICT");
    assert_eq!(app.events("operator.token_revoked").await.len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_this_operators_is_not_found() {
    let app = TestApp::start().await;
    let (olgas, berts) = (tokens(&app, "olga").await, tokens(&app, "bert").await);
    let made = app.operator().post(&olgas, json!({})).await.expect(201);
    for id in [text(&made, "tokenId"), "bootstrap", NOBODYS_ID] {
        let refused = app.operator().delete(&format!("{berts}/{id}")).await;
        refused.problem(404, "TOKEN_NOT_FOUND");
    }
    assert!(works(&app, text(&made, "token")).await);
    let wrong = app.operator().delete(&format!("{OPERATORS}/x/tokens/y")).await;
    let problem = wrong.problem(400, "VALIDATION_ERROR");
    let named: Vec<_> = problem["details"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["id", "tokenId"]);
}

#[tokio::test]
async fn the_list_is_paged_from_the_newest_to_the_oldest() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    for name in ["one", "two", "three"] {
        app.pass(Duration::from_secs(1));
        app.operator().post(&path, json!({"name": name})).await.expect(201);
    }
    let page = app.operator().get(&format!("{path}?limit=2")).await.expect(200);
    assert_eq!([&page["data"][0]["name"], &page["data"][1]["name"]], ["three", "two"]);
    assert_eq!((&page["limit"], &page["total"]), (&json!(2), &json!(3)));
    let page = app.operator().get(&format!("{path}?limit=2&page=2")).await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    let refused = app.operator().get(&format!("{path}?limit=1000")).await;
    refused.problem(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn when_a_token_was_last_used_is_shown() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let made = app.operator().post(&path, json!({})).await.expect(201);
    let used = async || {
        app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
        app.operator().get(&path).await.expect(200)["data"][0].get("lastUsedAt").cloned()
    };
    assert_eq!(used().await, None);
    app.pass(Duration::from_secs(7));
    assert!(works(&app, text(&made, "token")).await);
    assert_eq!(used().await, Some(json!("2026-01-01T00:00:07.000Z")));
    app.pass(Duration::from_secs(1));
    assert!(!works(&app, &format!("op_live_{}", "0".repeat(64))).await, "no use of it");
    assert_eq!(used().await, Some(json!("2026-01-01T00:00:07.000Z")));
}

#[tokio::test]
async fn what_is_almost_a_token_is_none() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let made = app.operator().post(&path, json!({})).await.expect(201);
    let token = text(&made, "token");
    for wrong in [
        &token[..token.len() - 1],
        &format!("{token}0"),
        &token.to_uppercase(),
        &token.replace("op_live_", "op_live_ "),
        "op_live_",
        &format!("op_live_{}", "x".repeat(60_000)),
    ] {
        let answer = app.client(As::Bearer(wrong)).get(WHOAMI).await;
        assert!([401, 431].contains(&answer.status.as_u16()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_made_while_its_operator_is_removed_is_dead() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let path = one(&make(&app, &format!("olga{round}"), &["readonly"]).await);
        let (operator, tokens) = (app.operator(), format!("{path}/tokens"));
        let (made, removed) =
            tokio::join!(operator.post(&tokens, json!({})), operator.delete(&path));
        removed.expect(204);
        if made.status == 201 {
            assert!(!works(&app, text(&made.json(), "token")).await);
        } else {
            made.problem(404, "OPERATOR_NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn introspection_is_a_use_of_the_token_too() {
    let app = TestApp::start().await;
    let path = tokens(&app, "olga").await;
    let made = app.operator().post(&path, json!({})).await.expect(201);
    let olga = app.client(As::Bearer(text(&made, "token")));
    olga.form("/api/v1/token/introspect", &[("token", "x")]).await.expect(200);
    app.server.app.activity.flush(&app.server.app.db, Vec::new()).await.unwrap();
    let listed = app.operator().get(&path).await.expect(200);
    assert_eq!(listed["data"][0]["lastUsedAt"], "2026-01-01T00:00:00.000Z", "{listed}");
}
