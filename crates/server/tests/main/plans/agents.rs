//! The plan `free` allows 100 agents.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{AGENTS, TENANT, plan, start};
use crate::support::{Answer, TestApp, new_agent};

async fn register(app: &TestApp, name: &str) -> Answer {
    app.operator().within(TENANT).post(AGENTS, new_agent(name)).await
}

/// Registers so many agents; gives the last.
async fn fill(app: &TestApp, count: usize) -> Value {
    let mut last = Value::Null;
    for n in 0..count {
        last = register(app, &format!("agent{n}")).await.expect(201);
    }
    last
}

#[tokio::test]
async fn the_hundredth_agent_is_registered_and_no_further_one() {
    let app = start().await;
    fill(&app, 100).await;
    let refused = register(&app, "more").await.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
    assert_json_snapshot!(refused, {".request_id" => "[id]"}, @r#"
    {
      "code": "FREE_TIER_LIMIT_EXCEEDED",
      "detail": "the plan `free` allows 100 agents",
      "details": {
        "limit": 100,
        "plan": "free"
      },
      "message": "the plan `free` allows 100 agents",
      "request_id": "[id]",
      "status": 403,
      "title": "The plan allows no more",
      "type": "urn:countersign:error:free-tier-limit-exceeded"
    }
    "#);
    app.agent("elsewhere", &[]).await;
    let app = app.restart().await;
    register(&app, "more").await.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
    plan(&app, "unlimited").await;
    register(&app, "more").await.expect(201);
    plan(&app, "free").await;
    register(&app, "still-more").await.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn decommissioning_frees_a_place_and_suspending_does_not() {
    let app = start().await;
    let last = fill(&app, 100).await;
    let path = format!("{AGENTS}/{}", last["agentId"].as_str().unwrap());
    let there = app.operator().within(TENANT);
    there.patch(&path, json!({"status": "suspended"})).await.expect(200);
    register(&app, "more").await.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
    there.delete(&path).await.expect(204);
    register(&app, "more").await.expect(201);
    register(&app, "still-more").await.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
}

#[tokio::test]
async fn of_two_who_come_for_the_last_place_at_once_one_gets_it() {
    let app = start().await;
    fill(&app, 99).await;
    let (one, other) = tokio::join!(register(&app, "one"), register(&app, "other"));
    let lost = if one.status == 201 { other } else { one };
    lost.problem(403, "FREE_TIER_LIMIT_EXCEEDED");
    let total = app.operator().within(TENANT).get(AGENTS).await.expect(200)["total"].clone();
    assert_eq!(total, 100);
}
