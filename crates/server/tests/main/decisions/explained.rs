//! Why a decision is what it is, and which decisions there were.

use countersign_policy::Decision;
use serde_json::{Value, json};

use super::{CHECK, REGISTRY, asked, start, vector};
use crate::support::{As, TestApp};

const DECISIONS: &str = "/api/v1/decisions";

async fn explained(app: &TestApp, id: &Value) -> Value {
    app.operator().get(&format!("{DECISIONS}/{}", id.as_str().unwrap())).await.expect(200)
}

#[tokio::test]
async fn a_decision_is_explained_by_its_question_its_rules_and_its_events() {
    let app = start().await;
    let fixtures = vector("ssh-sign-fixtures.json");
    let case = fixtures["cases"]
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["reason"] == "ttl_out_of_bounds");
    let request = &case.unwrap()["request"];
    let id = asked(&app, request).await["id"].clone();
    asked(&app, request).await;
    let told = explained(&app, &id).await;
    assert_eq!((&told["id"], &told["effect"]), (&id, &json!("deny")));
    assert_eq!(told["question"]["subject"]["id"], request["subject"]["id"]);
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    assert_eq!(told["now"]["same"], true);
    let tried = told["now"]["tried"].as_array().unwrap();
    assert_eq!(tried.len(), 10, "the tenth of twelve does not hold: {tried:?}");
    assert!(tried[..9].iter().all(|one| one["held"] == true));
    assert_eq!(
        tried[9],
        json!({"rule": "ops-warden.ssh-certificate.sign/ttl_out_of_bounds", "held": false})
    );
    let digits = json!(id.as_str().unwrap().strip_prefix("decision:").unwrap());
    assert_eq!(explained(&app, &digits).await, told);

    let mut other = vector("registry-snapshot.json");
    other["tenants"] = json!([]);
    app.operator().post(REGISTRY, other).await.expect(200);
    let later = explained(&app, &id).await;
    assert_eq!((&later["effect"], &later["now"]["same"]), (&json!("deny"), &json!(false)));
    assert_ne!(later["now"]["id"], id);
}

#[tokio::test]
async fn a_refusal_of_ours_is_explained_too() {
    let app = TestApp::start().await;
    let agent = app.agent("one", &["agents:read"]).await;
    let token = app.token(&agent).await;
    let refused = app.client(As::Bearer(&token)).get("/api/v1/audit").await;
    let id = refused.problem(403, "INSUFFICIENT_SCOPE")["decision_id"].clone();
    let told = explained(&app, &id).await;
    assert_eq!(
        told["question"]["subject"],
        json!({"id": agent.id, "properties": {}, "tenant": "default", "type": "agent"})
    );
    assert_eq!(
        (&told["question"]["action"]["name"], &told["now"]["same"]),
        (&json!("read"), &json!(true))
    );
}

/// A registry and an open package, which have no say in it, are in force.
#[tokio::test]
async fn a_question_about_ours_has_the_same_id_wherever_it_is_asked() {
    let app = start().await;
    let mut registry = vector("registry-snapshot.json");
    let systems = registry["systems"].as_array_mut().unwrap();
    systems.push(json!({"id": "countersign", "policy_package": "x"}));
    let refused = app.operator().post(REGISTRY, registry.clone()).await;
    let refused = refused.problem(400, "VALIDATION_ERROR");
    let at =
        format!("/systems/{}/policy_package", registry["systems"].as_array().unwrap().len() - 1);
    assert!(refused["details"][&at].is_string(), "{refused}");
    registry["systems"].as_array_mut().unwrap().pop();

    let agent = app.agent("one", &["agents:read", "decisions:ask"]).await;
    let token = app.token(&agent).await;
    registry["systems"].as_array_mut().unwrap().push(json!({"id": "countersign"}));
    let named = json!({"id": agent.id, "type": "agent", "roles": ["infra"]});
    registry["subjects"].as_array_mut().unwrap().push(named);
    registry["tenant"] = "default".into();
    let opens = json!({"subject": agent.id, "relation": "read", "object": "system:countersign"});
    registry["relationships"].as_array_mut().unwrap().push(opens);
    app.operator().post(REGISTRY, registry).await.expect(200);

    let client = app.client(As::Bearer(&token));
    let refused = client.get("/api/v1/audit").await.problem(403, "INSUFFICIENT_SCOPE");
    let mut question = json!({"subject": {"type": "agent", "id": agent.id, "tenant": "default"},
        "action": "read", "resource": {"type": "audit", "id": "*", "system": "countersign"}});
    let answer = client.post(CHECK, question.clone()).await.expect(200);
    assert_eq!((&answer["effect"], &answer["id"]), (&json!("deny"), &refused["decision_id"]));
    question["resource"]["type"] = "agents".into();
    assert_eq!(client.post(CHECK, question).await.expect(200)["reason"], "scope:agents:read");
    app.nobody().get("/api/v1/agents").await.expect(401);
}

#[tokio::test]
async fn what_nobody_decided_or_another_tenant_did_is_not_there() {
    let app = start().await;
    let id =
        asked(&app, &vector("ssh-sign-fixtures.json")["cases"][0]["request"]).await["id"].clone();
    let path = format!("{DECISIONS}/{}", id.as_str().unwrap());
    let theirs = app.tenant("acme", "unlimited").await;
    app.client(As::Bearer(&theirs)).get(&path).await.problem(404, "NOT_FOUND");
    for unknown in ["decision:0000000000000000", "x", "decision:", "%22", "decision:%00"] {
        let answer = app.operator().get(&format!("{DECISIONS}/{unknown}")).await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{unknown}: {}", answer.text);
    }
    app.nobody().get(&path).await.expect(401);
    let agent = app.agent("one", &["decisions:ask"]).await;
    let token = app.token(&agent).await;
    app.client(As::Bearer(&token)).get(&path).await.expect(403);
}

/// What one event says of several: each decision's whole question, policy and reason, whatever they share.
#[tokio::test]
async fn each_of_several_decisions_is_told_of_in_full_and_its_id_can_be_recomputed() {
    let app = start().await;
    let certificate = &vector("ssh-sign-fixtures.json")["cases"][0]["request"];
    let mut batch = certificate.clone();
    let mut resources = vec![batch["resource"].take()];
    batch.as_object_mut().unwrap().remove("resource");
    for (name, value) in [
        ("id", json!("no \"actor\"")),
        ("type", json!("agents")),
        ("properties", json!({"a": [1]})),
    ] {
        let mut other = resources[0].clone();
        other[name] = value;
        resources.push(other);
    }
    resources.push(json!({"type": "agents", "id": "*"}));
    batch["resources"] = resources.into();
    let mut answers = app.operator().post("/v1/batch-check", batch).await.expect(200);
    let mut told: Vec<Value> = answers["decisions"].take().as_array().unwrap().clone();

    let item = |kind: &str, id: &str, action: &str| {
        json!({"subject": {"type": kind, "id": id}, "action": {"name": action},
            "resource": {"type": "agents", "id": "*"}})
    };
    let mut mixed = certificate.clone();
    mixed["action"] = json!({"name": "sign", "properties": {}});
    let items = json!([
        item("operator", "bootstrap", "read"),
        mixed,
        item("operator", "bootstrap", "fly"),
        item("user", "bootstrap", "read"),
        item("operator", "bootstrap", "delete")
    ]);
    let answers = app
        .operator()
        .post("/access/v1/evaluations", json!({"evaluations": items}))
        .await
        .expect(200);
    told.extend(answers["evaluations"].as_array().unwrap().iter().map(|it| it["context"].clone()));
    assert_eq!((told.len(), app.events("decision.made").await.len()), (10, 2));

    for answer in told {
        let explained = explained(&app, &answer["id"]).await;
        let canonical = json!({
            "effect": explained["effect"], "reason": explained["reason"], "question": explained["question"],
            "policy_package": explained["policy_package"], "policy_version": explained["policy_version"],
            "registry_digest": explained["registry_digest"],
        });
        let (id, digest) = Decision::id_of(&canonical);
        assert_eq!(
            (id.as_str(), &*digest.to_string()),
            (answer["id"].as_str().unwrap(), answer["digest"].as_str().unwrap())
        );
        assert_eq!(explained["digest"], answer["digest"]);
        assert_eq!(explained["matched_rule"], answer["matched_rule"]);
        assert_eq!(explained["now"]["same"], true, "{explained}");
    }
}

#[tokio::test]
async fn decisions_are_found_by_what_was_asked_and_answered_page_by_page() {
    let app = start().await;
    for n in 0..30 {
        let question = json!({"subject": {"type": "user", "id": format!("u{}", n % 3)}, "action": "read",
            "resource": {"type": "page", "id": format!("p{n}")}});
        app.operator().post(CHECK, question).await.expect(200);
    }
    for (query, count) in [
        ("", 30),
        ("subject=u1", 10),
        ("subject=user/u1", 10),
        ("subject=agent/u1", 0),
        ("resource=p7", 1),
        ("effect=deny&reason=no_matching_rule", 30),
        ("effect=allow", 0),
        ("action=write", 0),
        ("subject=u1&resource=p3", 0),
    ] {
        for limit in [1, 4, 500] {
            let (mut found, mut cursor) = (0, String::new());
            loop {
                let page = app
                    .operator()
                    .get(&format!("{DECISIONS}?{query}&limit={limit}{cursor}"))
                    .await
                    .expect(200);
                let decisions = page["decisions"].as_array().unwrap();
                assert!(decisions.len() <= limit);
                found += decisions.len();
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(found, count, "{query} by {limit}");
        }
    }
}
