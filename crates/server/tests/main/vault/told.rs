//! What is told of Vault, to whom, and what is not.

use serde_json::json;

use super::double::{Ailment, Call, Double, TOKEN};
use super::{create, revoke, rotate, settle, started};
use crate::support::{TestApp, new_agent};

async fn degraded(app: &TestApp) -> serde_json::Value {
    app.nobody().get("/readyz").await.expect(200)["degraded"].clone()
}

async fn metrics(app: &TestApp) -> (bool, bool) {
    let text = app.nobody().get("/metrics").await.text;
    let one = |line: &str| text.lines().any(|found| found == line);
    let (up, down) =
        ("dependency_up{dependency=\"vault\"}", "degraded{reason=\"vault_unavailable\"}");
    assert!(text.contains(up) && text.contains(down), "{text}");
    (one(&format!("{up} 1")), one(&format!("{down} 1")))
}

#[tokio::test]
async fn a_server_without_a_working_vault_is_ready_and_says_what_it_lacks() {
    let (vault, app, agent) = started().await;
    assert_eq!((degraded(&app).await, metrics(&app).await), (json!([]), (true, false)));
    for ailment in [Ailment::Sealed, Ailment::Forbidden, Ailment::Garbage] {
        vault.ails(ailment);
        create(&app, &agent).await.expect(503);
        assert_eq!(degraded(&app).await, json!(["vault_unavailable"]), "{ailment:?}");
        assert_eq!(metrics(&app).await, (false, true));
        vault.recovers();
        create(&app, &agent).await.expect(201);
        assert_eq!((degraded(&app).await, metrics(&app).await), (json!([]), (true, false)));
    }
}

#[tokio::test]
async fn a_check_notices_a_vault_that_nobody_uses() {
    let (vault, app, _agent) = started().await;
    let check = app.server.app.vault.as_ref().unwrap();
    for ailment in [Ailment::Sealed, Ailment::Forbidden, Ailment::Broken] {
        vault.ails(ailment);
        check.check().await;
        assert_eq!(degraded(&app).await, json!(["vault_unavailable"]), "{ailment:?}");
        vault.recovers();
        check.check().await;
        assert_eq!(degraded(&app).await, json!([]));
    }
}

#[tokio::test]
async fn a_token_is_renewed_when_half_of_its_life_is_over() {
    let (vault, app, _agent) = started().await;
    let server = app.server.app.vault.as_ref().unwrap();
    for (ttl, renewable, times) in [(0, true, 0), (51, true, 0), (50, false, 0), (50, true, 1)] {
        let token = json!({"ttl": ttl, "creation_ttl": 100, "renewable": renewable});
        vault.says_of_the_token(token);
        server.renew().await;
        assert_eq!(vault.calls(Call::RenewSelf), times, "{ttl} {renewable}");
    }
    vault.fails_at(Call::RenewSelf, Ailment::Forbidden);
    server.renew().await;
    assert_eq!(degraded(&app).await, json!([]), "it still lives");
}

#[tokio::test]
async fn a_server_that_keeps_no_secrets_in_vault_says_nothing_of_it() {
    let app = TestApp::start().await;
    let text = app.nobody().get("/metrics").await.text;
    assert!(!text.contains("vault"), "{text}");
}

#[tokio::test]
async fn a_server_starts_without_vault_and_finds_it_later() {
    let vault = Double::start().await;
    vault.ails(Ailment::Sealed);
    let app = TestApp::with(&vault.settings()).await;
    let agent = app.operator().post("/api/v1/agents", new_agent("screener")).await.expect(201);
    let path = format!("/api/v1/agents/{}/credentials", agent["agentId"].as_str().unwrap());
    app.operator().post(&path, json!({})).await.problem(503, "DEPENDENCY_UNAVAILABLE");
    vault.recovers();
    app.operator().post(&path, json!({})).await.expect(201);
}

#[tokio::test]
async fn the_settings_are_shown_without_the_token() {
    let (vault, app, _agent) = started().await;
    let answer = app.operator().get("/api/v1/config").await;
    let config = answer.expect(200);
    assert!(!answer.text.contains(TOKEN));
    let all = config["data"].as_array().unwrap();
    let value = |name| &all.iter().find(|one| one["name"] == name).unwrap()["value"];
    assert_eq!(value("VAULT_TOKEN"), "***");
    assert_eq!(value("VAULT_ADDR"), &vault.address);
    assert_eq!((value("VAULT_MOUNT"), value("VAULT_NAMESPACE")), (&json!("secret"), &json!(null)));
}

#[tokio::test]
async fn the_record_holds_no_secret_and_no_token() {
    let (vault, app, agent) = started().await;
    rotate(&app, &agent, json!({"graceSeconds": 60})).await.expect(200);
    vault.ails(Ailment::HalfClosed);
    rotate(&app, &agent, json!({})).await.expect(503);
    create(&app, &agent).await.expect(503);
    vault.recovers();
    settle(&app).await;
    revoke(&app, &agent).await.expect(204);
    let record = app.operator().get("/api/v1/audit?limit=500").await.text;
    for word in ["credential.rotating", "credential.erased", "\"failure\""] {
        assert!(record.contains(word), "{word}");
    }
    for secret in ["sk_live_", TOKEN, &vault.address] {
        assert!(!record.contains(secret), "{secret}");
    }
}
