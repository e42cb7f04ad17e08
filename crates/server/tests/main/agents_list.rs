//! The list of agents: pages, filters, and what is neither.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestApp, new_agent};

/// Registers so many agents, one a second.
async fn with_agents(number: usize) -> TestApp {
    let app = TestApp::start().await;
    for n in 0..number {
        app.operator().post("/api/v1/agents", new_agent(&format!("agent-{n}"))).await.expect(201);
        app.pass(Duration::from_secs(1));
    }
    app
}

async fn list(app: &TestApp, query: &str) -> Value {
    app.operator().get(&format!("/api/v1/agents?{query}")).await.expect(200)
}

/// The names of a page's agents.
fn names(page: &Value) -> Vec<&str> {
    let agents = page["data"].as_array().unwrap().iter();
    agents.map(|one| one["email"].as_str().unwrap().split('@').next().unwrap()).collect()
}

#[tokio::test]
async fn pages_go_from_the_newest_agent_to_the_oldest() {
    let app = with_agents(5).await;
    let page = list(&app, "limit=2").await;
    assert_eq!(names(&page), ["agent-4", "agent-3"]);
    assert_eq!((&page["page"], &page["limit"], &page["total"]), (&json!(1), &json!(2), &json!(5)));
    assert_eq!(names(&list(&app, "limit=2&page=2").await), ["agent-2", "agent-1"]);
    assert_eq!(names(&list(&app, "limit=2&page=3").await), ["agent-0"]);
}

#[tokio::test]
async fn a_page_beyond_the_last_is_empty_and_still_knows_the_total() {
    let app = with_agents(1).await;
    for number in ["2", "1000000"] {
        let page = list(&app, &format!("page={number}")).await;
        assert_eq!((names(&page).len(), &page["total"]), (0, &json!(1)));
    }
}

#[tokio::test]
async fn a_page_has_1_to_100_agents_and_20_unless_asked() {
    let app = with_agents(101).await;
    for (query, length) in [("", 20), ("limit=1", 1), ("limit=100", 100)] {
        let page = list(&app, query).await;
        assert_eq!((names(&page).len(), &page["limit"]), (length, &json!(length)), "{query}");
    }
}

#[tokio::test]
async fn what_no_page_can_be_is_refused_by_name() {
    let app = TestApp::start().await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("agentType=robot", "agentType"),
        ("deploymentEnv=moon", "deploymentEnv"),
        ("status=asleep", "status"),
        ("owner=a%00b", "owner"),
        ("colour=red", "colour"),
        ("agenttype=router", "agenttype"),
    ] {
        let refused = app.operator().get(&format!("/api/v1/agents?{query}")).await;
        let problem = refused.problem(400, "VALIDATION_ERROR");
        let details = problem["details"].as_object().unwrap();
        assert_eq!(details.keys().collect::<Vec<_>>(), [field], "{query}: {problem}");
    }
}

#[tokio::test]
async fn every_bad_parameter_is_named_at_once() {
    let app = TestApp::start().await;
    let refused = app.operator().get("/api/v1/agents?limit=0&page=0&status=x&colour=red").await;
    let problem = refused.problem(400, "VALIDATION_ERROR");
    let details = problem["details"].as_object().unwrap();
    assert_eq!(details.keys().collect::<Vec<_>>(), ["colour", "limit", "page", "status"]);
}

#[tokio::test]
async fn filters_narrow_the_list_together() {
    let app = TestApp::start().await;
    for (name, owner, kind, env) in [
        ("a", "ann", "router", "staging"),
        ("b", "ann", "router", "production"),
        ("c", "ann", "monitor", "staging"),
        ("d", "bob", "router", "staging"),
    ] {
        let mut body = new_agent(name);
        body["owner"] = json!(owner);
        body["agentType"] = json!(kind);
        body["deploymentEnv"] = json!(env);
        let agent = app.operator().post("/api/v1/agents", body).await.expect(201);
        if name == "d" {
            let path = format!("/api/v1/agents/{}", agent["agentId"].as_str().unwrap());
            app.operator().patch(&path, json!({"status": "suspended"})).await.expect(200);
        }
    }
    for (query, wanted) in [
        ("owner=ann", vec!["a", "b", "c"]),
        ("agentType=router", vec!["a", "b", "d"]),
        ("deploymentEnv=staging", vec!["a", "c", "d"]),
        ("status=suspended", vec!["d"]),
        ("status=active", vec!["a", "b", "c"]),
        ("status=decommissioned", vec![]),
        ("owner=ann&agentType=router&deploymentEnv=staging&status=active", vec!["a"]),
        ("owner=an", vec![]),
        ("owner=ANN", vec![]),
        ("owner=%25", vec![]),
    ] {
        let page = list(&app, query).await;
        let mut found = names(&page);
        found.sort_unstable();
        assert_eq!(found, wanted, "{query}");
        assert_eq!(page["total"], wanted.len(), "{query}");
    }
}

#[tokio::test]
async fn what_is_counted_is_what_is_there_after_changes_of_every_kind() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let mut body = new_agent(&format!("a{n}"));
        body["owner"] = json!(["one", "other"][n % 2]);
        body["agentType"] = json!(["router", "monitor", "custom"][n % 3]);
        body["deploymentEnv"] = json!(["staging", "production"][n / 6]);
        let made = app.operator().post("/api/v1/agents", body).await.expect(201);
        ids.push(made["agentId"].as_str().unwrap().to_owned());
    }
    for (n, patch) in [
        (0, json!({"owner": "third"})),
        (1, json!({"agentType": "screener", "status": "suspended"})),
        (2, json!({"version": "2.0.0"})),
        (3, json!({"status": "decommissioned"})),
        (4, json!({"deploymentEnv": "development", "owner": "one"})),
    ] {
        app.operator().patch(&format!("/api/v1/agents/{}", ids[n]), patch).await.expect(200);
    }
    let path = format!("/api/v1/agents/{}/quarantine", ids[5]);
    app.operator().post(&path, json!({"reason": "a test"})).await.expect(200);

    let all = app.operator().get("/api/v1/agents?limit=100").await.expect(200);
    let all = all["data"].as_array().unwrap().clone();
    for query in [
        vec![],
        vec![("owner", "one")],
        vec![("owner", "third")],
        vec![("owner", "nobody")],
        vec![("status", "suspended")],
        vec![("status", "decommissioned"), ("owner", "other")],
        vec![("agentType", "screener")],
        vec![("deploymentEnv", "development")],
        vec![("agentType", "custom"), ("deploymentEnv", "production"), ("status", "suspended")],
        vec![("owner", "one"), ("agentType", "router"), ("deploymentEnv", "production")],
    ] {
        let matches = |agent: &Value| query.iter().all(|(name, value)| agent[*name] == *value);
        let expected: Vec<Value> = all.iter().filter(|agent| matches(agent)).cloned().collect();
        let filter: String = query.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        let mut found = Vec::new();
        for page in 1.. {
            let path = format!("/api/v1/agents?limit=2&page={page}{filter}");
            let answer = app.operator().get(&path).await.expect(200);
            assert_eq!(answer["total"], expected.len(), "{filter}");
            let data = answer["data"].as_array().unwrap().clone();
            if data.is_empty() {
                break;
            }
            found.extend(data);
        }
        assert_eq!(found, expected, "page by page, newest first: {filter}");
    }
}
