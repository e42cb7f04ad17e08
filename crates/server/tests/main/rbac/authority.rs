//! Who may change the matrix: `infra` uploads another; whoever holds `rbac:reload` in the tenant
//! `default` has it read again.

use std::io::{Read as _, Write as _};

use serde_json::json;

use super::{INFO, MATRIX, RELOAD, built_in, hash};
use crate::support::{As, MACHINE, OPERATOR, TestApp};

const CLEANUP: &str = "/api/v1/rbac/audit/cleanup";
const ROTATE: &str = "/api/v1/keys/rotate";

#[tokio::test]
async fn another_tenants_administrator_changes_nothing_that_all_tenants_share() {
    let app = TestApp::start().await;
    let token = app.tenant("acme", "unlimited").await;
    let before = hash(&app).await;
    let theirs = app.client(As::Bearer(&token));
    for answer in [
        theirs.put(MATRIX, built_in()).await,
        theirs.post(RELOAD, json!({})).await,
        theirs.post(CLEANUP, json!({})).await,
        theirs.post(ROTATE, json!({"force": true})).await,
        theirs.post("/api/v1/keys/reseal", json!({})).await,
        theirs.post("/api/v1/keys/x/revoke", json!({"reason": "test"})).await,
    ] {
        let problem = answer.problem(403, "FORBIDDEN");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("the role `infra`"), "{detail}");
    }
    theirs.get("/api/v1/keys").await.expect(200);
    assert_eq!(hash(&app).await, before);
    assert_eq!(app.events("rbac.reloaded").await.len(), 0);
    assert_eq!(app.events("key.rotated").await.len(), 0);
}

#[tokio::test]
async fn another_tenants_agent_changes_nothing_that_all_tenants_share() {
    let app = TestApp::start().await;
    let token = app.tenant("acme", "unlimited").await;
    let mut body = crate::support::new_agent("reloader");
    body["scopes"] = json!(["rbac:reload", "keys:write"]);
    let theirs = app.client(As::Bearer(&token));
    let agent = theirs.post("/api/v1/agents", body).await.expect(201);
    let id = agent["agentId"].as_str().unwrap().to_owned();
    let made = theirs.post(&format!("/api/v1/agents/{id}/credentials"), json!({})).await;
    let secret = made.expect(201)["clientSecret"].as_str().unwrap().to_owned();
    let agent = crate::support::TestAgent { id, credential: String::new(), secret };
    let token = app.token(&agent).await;
    let agents = app.client(As::Bearer(&token));
    for answer in [agents.post(RELOAD, json!({})).await, agents.post(ROTATE, json!({})).await] {
        assert_eq!(answer.status, 403, "{answer:?}");
    }
}

#[tokio::test]
async fn whoever_may_reload_it_in_the_tenant_default_does() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let agent = app.token(&app.agent("reloader", &["rbac:reload"]).await).await;
    app.tenant("acme", "free").await;
    let (_, infra) = app.operator_with("acme", &["infra"]).await;
    for token in [&admin, &agent, &infra] {
        let client = app.client(As::Bearer(token));
        client.post(RELOAD, json!({})).await.expect(200);
        client.post(CLEANUP, json!({})).await.expect(200);
    }
    assert_eq!(app.events("rbac.reloaded").await.len(), 2, "and one in the tenant of the third");
}

#[tokio::test]
async fn whoever_has_the_role_infra_uploads_another_and_nobody_else_does() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin"]).await;
    let agent = app.token(&app.agent("reloader", &["rbac:reload"]).await).await;
    app.tenant("acme", "free").await;
    let (_, infra) = app.operator_with("acme", &["infra"]).await;
    for token in [&admin, &agent] {
        assert_eq!(app.client(As::Bearer(token)).put(MATRIX, built_in()).await.status, 403);
    }
    app.client(As::Bearer(&infra)).put(MATRIX, built_in()).await.expect(200);
}

#[tokio::test]
async fn whoever_may_only_read_it_does_not_change_it() {
    let app = TestApp::start().await;
    let (_, dev) = app.operator_with("default", &["dev", "approver", "readonly"]).await;
    let agent = app.token(&app.agent("reader", &["rbac:read", "rbac:write"]).await).await;
    for who in [As::Bearer(&dev), As::Bearer(&agent), As::Machine(MACHINE)] {
        let client = app.client(who);
        client.get(INFO).await.expect(200);
        for answer in [
            client.put(MATRIX, built_in()).await,
            client.post(RELOAD, json!({})).await,
            client.post(CLEANUP, json!({})).await,
        ] {
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }
    app.nobody().put(MATRIX, built_in()).await.problem(401, "UNAUTHORIZED");
    app.nobody().post(RELOAD, json!({})).await.problem(401, "UNAUTHORIZED");
}

/// What is answered to a head that announces a large body of which nothing comes.
async fn answered(app: &TestApp, authorization: String) -> String {
    let address = app.server.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let patience = std::time::Duration::from_secs(5);
        stream.set_read_timeout(Some(patience)).unwrap();
        write!(
            stream,
            "PUT {MATRIX} HTTP/1.1\r\nhost: test\r\n{authorization}\
             content-type: application/json\r\ncontent-length: 200000000\r\n\r\n{{"
        )
        .unwrap();
        let mut start = [0; 12];
        let read = stream.read_exact(&mut start);
        read.map(|()| String::from_utf8_lossy(&start).into_owned()).unwrap_or_default()
    });
    answer.await.unwrap()
}

#[tokio::test]
async fn a_large_body_of_whoever_may_not_send_it_is_not_read() {
    let app = TestApp::start().await;
    let (_, dev) = app.operator_with("default", &["dev"]).await;
    assert_eq!(answered(&app, String::new()).await, "HTTP/1.1 401");
    let bad = format!("authorization: Bearer op_live_{}\r\n", "0".repeat(64));
    assert_eq!(answered(&app, bad).await, "HTTP/1.1 401");
    let dev = format!("authorization: Bearer {dev}\r\n");
    assert_eq!(answered(&app, dev).await, "HTTP/1.1 403");
}

#[tokio::test]
async fn a_body_beyond_256_mib_is_refused_by_its_length() {
    let app = TestApp::start().await;
    let address = app.server.address;
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let length = (256_usize << 20) + 1;
        write!(
            stream,
            "PUT {MATRIX} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {OPERATOR}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{{"
        )
        .unwrap();
        let mut start = [0; 12];
        let read = stream.read_exact(&mut start);
        read.map(|()| String::from_utf8_lossy(&start).into_owned()).unwrap_or_default()
    });
    assert_eq!(answer.await.unwrap(), "HTTP/1.1 413");
}

#[tokio::test]
async fn an_administrator_does_not_become_infra_by_an_alias() {
    let app = TestApp::start().await;
    let (_, token) = app.operator_with("default", &["admin"]).await;
    let admins = app.client(As::Bearer(&token));
    let mut matrix = built_in();
    matrix["roles"].as_array_mut().unwrap().retain(|role| role != "admin");
    matrix["matrix"].as_object_mut().unwrap().remove("admin");
    matrix["aliases"]["admin"] = json!("infra");
    matrix["aliases"]["owner"] = json!("infra");
    admins.put(MATRIX, matrix).await.problem(403, "FORBIDDEN");
    admins.get("/api/v1/tenants").await.problem(403, "FORBIDDEN");
}

#[tokio::test]
async fn a_permission_that_is_too_long_is_not_given_unseen() {
    let app = TestApp::start().await;
    let matrix = super::with_role("big", json!({"r".repeat(100): ["a".repeat(100)]}));
    app.operator().put(MATRIX, matrix).await.problem(400, "VALIDATION_ERROR");
}
