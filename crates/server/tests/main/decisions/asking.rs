//! Who may ask what, and what is known of those who are asked about.

use serde_json::{Value, json};

use super::{CHECK, asked, start};
use crate::support::{As, MACHINE, TestApp};

fn about(kind: &str, id: &str, action: &str, resource: &str) -> Value {
    json!({"subject": {"type": kind, "id": id}, "action": action,
        "resource": {"type": resource, "id": "*"}})
}

async fn answer(app: &TestApp, question: &Value) -> String {
    let answer = asked(app, question).await;
    format!("{} {}", answer["effect"].as_str().unwrap(), answer["reason"].as_str().unwrap())
}

#[tokio::test]
async fn an_agent_asks_about_itself_alone_unless_it_may_ask_about_any() {
    let app = start().await;
    let (agent, other) =
        (app.agent("one", &["decisions:ask", "agents:read"]).await, app.agent("two", &[]).await);
    let token = app.token(&agent).await;
    let client = app.client(As::Bearer(&token));
    let own = client.post(CHECK, about("agent", &agent.id, "read", "agents")).await.expect(200);
    assert_eq!(own["reason"], "scope:agents:read");
    for subject in [&other.id, "somebody", "*"] {
        let refused = client.post(CHECK, about("agent", subject, "read", "agents")).await;
        assert_eq!(refused.problem(403, "INSUFFICIENT_SCOPE")["action"], "ask_any");
    }
    client.post(CHECK, about("operator", "bootstrap", "read", "agents")).await.expect(403);
    client.post(CHECK, about("user", &agent.id, "read", "agents")).await.expect(403);

    let any = app.agent("any", &["decisions:ask", "decisions:ask_any"]).await;
    let token = app.token(&any).await;
    let client = app.client(As::Bearer(&token));
    client.post(CHECK, about("agent", &other.id, "read", "agents")).await.expect(200);
}

#[tokio::test]
async fn who_may_not_ask_is_refused_whatever_is_asked() {
    let app = start().await;
    let agent = app.agent("one", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let question = about("agent", &agent.id, "read", "agents");
    app.nobody().post(CHECK, question.clone()).await.problem(401, "UNAUTHORIZED");
    app.client(As::Bearer(&token))
        .post(CHECK, question.clone())
        .await
        .problem(403, "INSUFFICIENT_SCOPE");
    app.client(As::Bearer(&token))
        .post(CHECK, json!("nonsense"))
        .await
        .problem(403, "INSUFFICIENT_SCOPE");
    let (_, readonly) = app.operator_with("default", &["readonly"]).await;
    app.client(As::Bearer(&readonly)).post(CHECK, question.clone()).await.problem(403, "FORBIDDEN");
    app.client(As::Machine(MACHINE)).post(CHECK, question).await.expect(200);
}

#[tokio::test]
async fn what_we_know_of_a_subject_counts_and_nothing_that_the_question_says_of_it() {
    let app = start().await;
    let agent = app.agent("one", &["agents:read"]).await;
    let (olga, _) = app.operator_with("default", &["dev"]).await;
    assert_eq!(
        answer(&app, &about("agent", &agent.id, "read", "agents")).await,
        "allow scope:agents:read"
    );
    assert_eq!(
        answer(&app, &about("agent", &agent.id, "write", "agents")).await,
        "deny insufficient-permissions"
    );
    assert_eq!(answer(&app, &about("operator", &olga, "read", "agents")).await, "allow role:dev");
    assert_eq!(
        answer(&app, &about("operator", &olga, "write", "agents")).await,
        "deny insufficient-permissions"
    );
    assert_eq!(
        answer(&app, &about("machine", "machine", "write", "memory_pin")).await,
        "allow role:machine"
    );
    assert_eq!(
        answer(&app, &about("agent", "unknown", "read", "agents")).await,
        "deny no-credentials"
    );
    let mut forged = about("operator", &olga, "write", "agents");
    forged["subject"]["properties"] = json!({"roles": ["infra"], "scopes": ["agents:write"]});
    forged["context"] = json!({"roles": ["infra"], "approval": "granted"});
    assert_eq!(answer(&app, &forged).await, "deny insufficient-permissions");
    let mut roles = about("operator", &olga, "write", "agents");
    roles["subject"]["roles"] = json!(["infra"]);
    app.operator().post(CHECK, roles).await.problem(400, "VALIDATION_ERROR");

    let path = format!("/api/v1/agents/{}", agent.id);
    app.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
    assert_eq!(
        answer(&app, &about("agent", &agent.id, "read", "agents")).await,
        "deny subject-not-active"
    );
    app.operator().delete(&format!("/api/v1/operators/{olga}")).await.expect(204);
    assert_eq!(
        answer(&app, &about("operator", &olga, "read", "agents")).await,
        "deny subject-not-active"
    );
}

#[tokio::test]
async fn tenants_do_not_meet() {
    let app = start().await;
    let theirs = app.tenant("acme", "unlimited").await;
    let agent = app.agent("one", &["agents:read"]).await;
    let acme = app.client(As::Bearer(&theirs));
    // Not one of theirs: nothing is known of it.
    let own = acme.post(CHECK, about("agent", &agent.id, "read", "agents")).await.expect(200);
    assert_eq!(own["reason"], "no-credentials");
    for tenant in ["default", "tenant:platform", "elsewhere"] {
        for place in ["/tenant", "/subject/tenant"] {
            let mut question = about("agent", &agent.id, "read", "agents");
            let (parent, name) = place.rsplit_once('/').unwrap();
            question.pointer_mut(parent).unwrap()[name] = tenant.into();
            let answer = acme.post(CHECK, question).await;
            if tenant == "default" {
                answer.problem(403, "FORBIDDEN");
            } else {
                assert_eq!(answer.expect(200)["reason"], "no-credentials");
            }
        }
    }
    // Nor is the registry of others.
    acme.get("/api/v1/registry").await.problem(404, "NOT_FOUND");
    let certificate = super::vector("ssh-sign-fixtures.json")["cases"][0]["request"].clone();
    let answer = acme.post(CHECK, certificate).await.expect(200);
    assert_eq!(answer["reason"], "registry_unavailable");
    let mut question = about("agent", &agent.id, "read", "agents");
    question["tenant"] = "acme".into();
    acme.post(CHECK, question.clone()).await.expect(200);
    app.operator().post(CHECK, question.clone()).await.problem(403, "FORBIDDEN");
    app.operator().within("acme").post(CHECK, question).await.expect(200);
}

#[tokio::test]
async fn where_nobody_else_can_reach_it_anybody_may_ask() {
    let app = TestApp::with(&[("PDP_REQUIRE_AUTH", "false")]).await;
    let question = about("operator", "bootstrap", "read", "agents");
    let answer = app.nobody().post(CHECK, question.clone()).await.expect(200);
    assert_eq!(answer["effect"], "allow");
    let event = app.events("decision.made").await.remove(0);
    assert_eq!((&event["actorType"], &event["decisionId"]), (&json!("anonymous"), &answer["id"]));
    // What is presented must still be good, and nothing else is open.
    app.client(As::Bearer("op_live_wrong")).post(CHECK, question).await.expect(401);
    app.nobody().get("/api/v1/decisions").await.expect(401);
    app.nobody().get("/api/v1/registry").await.expect(401);
}

#[tokio::test]
async fn with_sampling_allows_may_be_absent_from_the_record_and_denials_never_are() {
    let count = async |percent: &'static str| {
        let app = TestApp::with(&[("DECISION_LOG_ALLOW_PERCENT", percent)]).await;
        let ask = |action: &str| {
            json!({"subject": {"type": "operator", "id": "bootstrap"},
            "action": action, "resource": {"type": "agents", "id": "*"}})
        };
        for _ in 0..40 {
            assert_eq!(asked(&app, &ask("read")).await["effect"], "allow");
            assert_eq!(asked(&app, &ask("fly")).await["effect"], "deny");
        }
        let batch = json!({"subject": {"type": "operator", "id": "bootstrap"}, "action": "read",
            "resources": [{"type": "agents", "id": "1"}, {"type": "clouds", "id": "2"}, {"type": "agents", "id": "3"}]});
        app.operator().post("/v1/batch-check", batch).await.expect(200);
        let events = app.events("decision.made").await;
        let (batches, single): (Vec<Value>, Vec<Value>) =
            events.into_iter().partition(|event| event["metadata"]["decisions"].is_array());
        let effect =
            |effect: &str| single.iter().filter(|one| one["metadata"]["effect"] == effect).count();
        let together = batches.first().map(|batch| batch["metadata"]["decisions"].as_array());
        (effect("deny"), effect("allow"), together.flatten().map(Vec::len))
    };
    assert_eq!(count("100").await, (40, 40, Some(3)));
    assert_eq!(count("0").await, (41, 0, None), "one of several is told of alone");
    let (_, some, _) = count("50").await;
    assert!((5..=35).contains(&some), "{some}");
}
