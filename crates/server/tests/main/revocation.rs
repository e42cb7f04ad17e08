//! Revocation (contract 2.3, RFC 7009): who may end a token, and that it is ended once.

use std::time::Duration;

use countersign_ground::{db, params};
use countersign_server::features::oauth;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::introspection::{as_client, stranger};
use crate::support::{Answer, As, TestAgent, TestApp};
use crate::tokens::{part, set};

const NAMES: [&str; 2] = ["/api/v1/token/revoke", "/oauth2/revoke"];

#[tokio::test]
async fn a_client_ends_its_own_token_at_once_and_no_other() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let path = format!("/api/v1/agents/{}", agent.id);
    for name in NAMES {
        let (ends, stays) = (app.token(&agent).await, app.token(&agent).await);
        let answer = as_client(&app, name, &agent, &[("token", &ends)]).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(!app.is_live(&ends).await && app.is_live(&stays).await);
        app.client(As::Bearer(&ends)).get(&path).await.problem(401, "UNAUTHORIZED");
        app.client(As::Bearer(&stays)).get(&path).await.expect(200);
    }
}

#[tokio::test]
async fn whoever_holds_tokens_write_ends_any_token_of_the_tenant() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let writer = app.agent("writer", &["tokens:write"]).await;
    let bearer = app.token(&writer).await;
    for name in NAMES {
        for who in [app.operator(), app.client(As::Bearer(&bearer))] {
            let token = app.token(&agent).await;
            who.form(name, &[("token", &token)]).await.expect(200);
            assert!(!app.is_live(&token).await);
        }
        let token = app.token(&agent).await;
        let basic = app.nobody().request(Method::POST, name);
        let basic = basic.basic_auth(&agent.id, Some(&agent.secret)).form(&[("token", &token)]);
        Answer::to(basic).await.expect(200);
        assert!(!app.is_live(&token).await);
    }
}

#[tokio::test]
async fn nobody_else_ends_a_token() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read", "tokens:read"]).await;
    let token = app.token(&agent).await;
    let form = [("token", token.as_str())];
    for name in NAMES {
        let lacking = app.client(As::Bearer(&token)).form(name, &form).await;
        lacking.oauth(403, "insufficient_scope");
        assert!(lacking.header("www-authenticate").contains("tokens:write"));
        app.client(As::Bearer("nonsense")).form(name, &form).await.oauth(401, "invalid_token");
        let anonymous = app.nobody().form(name, &form).await;
        anonymous.oauth(401, anonymous.json()["error"].as_str().unwrap());
        let wrong =
            TestAgent { secret: "wrong".into(), id: agent.id.clone(), credential: "".into() };
        as_client(&app, name, &wrong, &form).await.oauth(401, "invalid_client");
    }
    assert!(app.is_live(&token).await);
    assert!(app.events("token.revoked").await.is_empty());
}

/// RFC 7009 section 2.2: the client has nothing to do about it, so it is told nothing.
#[tokio::test]
async fn somebody_elses_token_stays_good() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let other = app.agent("other", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let answer = as_client(&app, NAMES[0], &other, &[("token", &token)]).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""));
    assert!(app.is_live(&token).await);
    assert!(app.events("token.revoked").await.is_empty());
}

#[tokio::test]
async fn another_tenants_token_stays_good_whatever_the_caller_holds() {
    let app = TestApp::start().await;
    let theirs = stranger(&app, &["agents:read"]).await;
    let ours = app.agent("us", &["tokens:write"]).await;
    let (token, bearer) = (app.token(&theirs).await, app.token(&ours).await);
    let form = [("token", token.as_str())];
    app.client(As::Bearer(&bearer)).form(NAMES[0], &form).await.expect(200);
    as_client(&app, NAMES[0], &ours, &form).await.expect(200);
    assert!(app.server.app.law.tokens.live(&token, app.clock.now()).is_some());
    as_client(&app, NAMES[0], &theirs, &form).await.expect(200);
    assert!(app.server.app.law.tokens.live(&token, app.clock.now()).is_none());
}

#[tokio::test]
async fn a_token_that_is_ended_twice_is_recorded_once() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    for _ in 0..2 {
        as_client(&app, NAMES[0], &agent, &[("token", &token)]).await.expect(200);
        app.operator().form(NAMES[0], &[("token", &token)]).await.expect(200);
    }
    let events = app.events("token.revoked").await;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!((&event["actorId"], &event["agentId"]), (&json!(agent.id), &json!(agent.id)));
    assert_eq!(event["metadata"], json!({"jti": part(&token, 1)["jti"]}));
}

/// Each of them is answered only when the token is dead, whoever was first.
#[tokio::test]
async fn a_token_that_many_end_at_once_is_recorded_once_and_dead_for_each() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    for round in 1..=5 {
        let token = app.token(&agent).await;
        let form = [("token", token.as_str())];
        let ends = || async {
            app.operator().form(NAMES[0], &form).await.expect(200);
            assert!(app.server.app.law.tokens.live(&token, app.clock.now()).is_none());
        };
        join_all((0..16).map(|_| ends())).await;
        assert_eq!(app.events("token.revoked").await.len(), round);
    }
}

/// As when another node ended it a moment ago, and this one has not heard of it.
#[tokio::test]
async fn a_token_that_was_ended_elsewhere_is_dead_here_once_somebody_ends_it_here() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let elsewhere = app.server.app.db.write(part(&token, 1)["jti"].to_string(), |tx, jti| {
        Box::pin(async move {
            let insert = "INSERT INTO token_revocations (jti, expires_at) VALUES ($1, $2)";
            tx.execute(insert, params![jti.trim_matches('"'), i64::MAX]).await
        })
    });
    elsewhere.await.map_err(|error: db::Error| error).unwrap();
    assert!(app.is_live(&token).await, "not heard of yet");
    app.operator().form(NAMES[0], &[("token", &token)]).await.expect(200);
    assert!(!app.is_live(&token).await);
    assert!(app.events("token.revoked").await.is_empty(), "it is recorded where it was ended");
}

#[tokio::test]
async fn what_is_no_good_token_is_answered_alike_and_not_recorded() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let expired = app.token(&agent).await;
    app.pass(Duration::from_secs(3600) + oauth::store::REMEMBERED);
    let huge = "A".repeat(100 << 10);
    for token in [&expired, &huge, "nonsense", "a.b.c", ".."] {
        let form = [("token", token), ("token_type_hint", "refresh_token")];
        let answer = as_client(&app, NAMES[0], &agent, &form).await;
        assert_eq!((answer.status.as_u16(), &*answer.text), (200, ""));
    }
    assert!(app.events("token.revoked").await.is_empty());
}

#[tokio::test]
async fn a_request_names_one_token() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    for wrong in [&[][..], &[("token", "")], &[("token", &*token), ("token", &*token)]] {
        as_client(&app, NAMES[0], &agent, wrong).await.oauth(400, "invalid_request");
    }
    let request = app.operator().request(Method::POST, NAMES[0]).json(&json!({"token": token}));
    Answer::to(request).await.oauth(400, "invalid_request");
    app.operator().get(NAMES[1]).await.oauth(405, "invalid_request");
    assert!(app.is_live(&token).await);
}

#[tokio::test]
async fn a_client_that_may_not_act_ends_nothing() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    set(&app, &agent, json!({"status": "suspended"})).await;
    let answer = as_client(&app, NAMES[0], &agent, &[("token", &token)]).await;
    answer.oauth(403, "unauthorized_client");
    assert!(app.events("token.revoked").await.is_empty());
}

/// Contract 2.7: no table grows with tokens.
#[tokio::test]
async fn a_revocation_is_forgotten_a_day_after_the_token_would_have_expired() {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    app.operator().form(NAMES[0], &[("token", &token)]).await.expect(200);
    let db = &app.server.app.db;
    let count = async || {
        let mut rows = db.query("SELECT COUNT(*) FROM token_revocations", params![]).await.unwrap();
        rows[0].take::<i64>().unwrap()
    };
    app.pass(Duration::from_secs(3599) + oauth::store::REMEMBERED);
    oauth::store::forget_expired(db, app.clock.now()).await.unwrap();
    assert_eq!(count().await, 1);
    app.pass(Duration::from_secs(1));
    oauth::store::forget_expired(db, app.clock.now()).await.unwrap();
    assert_eq!(count().await, 0);
    assert!(!app.is_live(&token).await);
}
