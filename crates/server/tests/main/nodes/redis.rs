//! What nodes share through Redis, and what is left without it.

use serde_json::json;

use super::two;
use crate::support::{As, TestApp, redis_url};

/// Nobody listens there.
const NOWHERE: &str = "redis://127.0.0.1:9";

async fn limited(app: &TestApp, tenant: &str) -> crate::support::TestAgent {
    let admin = app.tenant(tenant, "free").await;
    let mut body = crate::support::new_agent(tenant);
    body["scopes"] = json!(["agents:read"]);
    let admin = app.client(As::Bearer(&admin));
    let id = admin.post("/api/v1/agents", body).await.expect(201)["agentId"]
        .as_str()
        .unwrap()
        .to_owned();
    let made = admin.post(&format!("/api/v1/agents/{id}/credentials"), json!({})).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    crate::support::TestAgent { id, credential: text("credentialId"), secret: text("clientSecret") }
}

/// How many of so many requests, by turns on each node, were let through.
async fn let_through(nodes: [&TestApp; 2], token: &str, requests: usize) -> usize {
    let mut through = 0;
    for number in 0..requests {
        let answer = nodes[number % 2].client(As::Bearer(token)).get("/api/v1/agents").await;
        match answer.status.as_u16() {
            200 => through += 1,
            429 => assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 60),
            other => panic!("{other}: {}", answer.text),
        }
    }
    through
}

#[tokio::test]
async fn a_limit_holds_for_all_nodes_together() {
    let Some(url) = redis_url() else { return };
    let Some((one, other)) = two(&[("REDIS_URL", &url)]).await else { return };
    let agent = limited(&one, "small").await;
    let token = one.token(&agent).await;
    // The token itself was one of the hundred.
    assert_eq!(let_through([&one, &other], &token, 130).await, 99);
    let health = one.nobody().get("/health").await.expect(200);
    assert_eq!(health["redis"], "connected");
}

#[tokio::test]
async fn without_redis_each_node_counts_for_itself_and_says_so() {
    let Some((one, other)) = two(&[("REDIS_URL", NOWHERE)]).await else { return };
    let agent = limited(&one, "small").await;
    let token = one.token(&agent).await;
    assert_eq!(let_through([&one, &other], &token, 230).await, 199);
    let health = one.nobody().get("/health").await.expect(503);
    assert_eq!((&health["redis"], &health["database"]), (&json!("error"), &json!("connected")));
    let ready = one.nobody().get("/readyz?verbose").await.expect(200);
    assert_eq!(ready["degraded"], json!(["redis_fallback"]));
    let metrics = one.nobody().get("/metrics").await.text;
    assert!(metrics.contains("degraded{reason=\"redis_fallback\"} 1"), "{metrics}");
    assert!(metrics.contains("dependency_up{dependency=\"redis\"} 0"));
}

#[tokio::test]
async fn an_address_that_is_not_of_redis_is_refused_before_the_start() {
    use countersign_ground::config::{Config, Sources};
    for wrong in ["http://127.0.0.1:6379", "127.0.0.1:6379", "redis://", "redis://a:b:c"] {
        let flags = vec![("REDIS_URL".to_owned(), wrong.to_owned())];
        let faults = Config::load(&Sources { flags, ..Sources::default() });
        let faults = faults.err().unwrap_or_else(|| panic!("{wrong}"));
        assert!(faults[0].to_string().starts_with("REDIS_URL: must be `redis://"), "{}", faults[0]);
    }
}
