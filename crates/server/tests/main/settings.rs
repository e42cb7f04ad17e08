//! What the running server was configured with: for `infra` alone, and without any secret.

use serde_json::{Value, json};

use crate::support::{As, MACHINE, OPERATOR, TestApp};

const CONFIG: &str = "/api/v1/config";

fn setting<'v>(config: &'v Value, name: &str) -> &'v Value {
    let all = config["data"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test]
async fn each_setting_is_shown_with_its_value_its_source_and_its_meaning() {
    let app = TestApp::with(&[("TOKEN_TTL_SECONDS", "60")]).await;
    let config = app.operator().get(CONFIG).await.expect(200);
    let ttl = setting(&config, "TOKEN_TTL_SECONDS");
    assert_eq!((&ttl["value"], &ttl["source"]), (&json!("60"), &json!("flag")));
    let unset = setting(&config, "RBAC_POLICY_FILE");
    assert_eq!((&unset["value"], &unset["source"]), (&Value::Null, &json!("default")));
    for one in config["data"].as_array().unwrap() {
        assert!(!one["meaning"].as_str().unwrap().is_empty(), "{one}");
        assert_eq!(one.as_object().unwrap().len(), 4, "{one}");
    }
    assert_eq!(config["warnings"], json!([]));
}

#[tokio::test]
async fn no_secret_is_shown() {
    let key = "5a".repeat(32);
    let app = TestApp::with(&[("MASTER_KEY", &key)]).await;
    let answer = app.operator().get(CONFIG).await;
    let config = answer.expect(200);
    for name in ["BOOTSTRAP_ADMIN_TOKEN", "MACHINE_SECRET_TOKEN", "MASTER_KEY"] {
        assert_eq!(setting(&config, name)["value"], "***", "{name}");
    }
    for secret in [OPERATOR, MACHINE, &key] {
        assert!(!answer.text.contains(secret), "{secret}");
    }
    // The password of the tests' own database, where it has one.
    let url = &app.database.url;
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    if let Some((_, password)) = password.and_then(|(user, _)| user.split_once(':')) {
        assert!(!answer.text.contains(password));
    }
}

#[tokio::test]
async fn it_is_for_infra_alone() {
    let app = TestApp::start().await;
    let (_, admin) = app.operator_with("default", &["admin", "dev", "machine"]).await;
    let theirs = app.tenant("acme", "free").await;
    let agent = app.token(&app.agent("reader", &["config:read", "infra:read"]).await).await;
    for who in [As::Bearer(&admin), As::Bearer(&theirs), As::Bearer(&agent), As::Machine(MACHINE)] {
        assert_eq!(app.client(who).get(CONFIG).await.status, 403);
    }
    app.nobody().get(CONFIG).await.problem(401, "UNAUTHORIZED");
    let (_, infra) = app.operator_with("acme", &["infra"]).await;
    app.client(As::Bearer(&infra)).get(CONFIG).await.expect(200);
}
