//! The record as it grows.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;

use super::sealed;
use crate::support::{As, OPERATOR, TestApp};

const PATIENCE: Duration = Duration::from_secs(10);

struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, token: &str, last: Option<&str>) -> Self {
        let client = app.client(As::Bearer(token));
        let mut request = client.request(Method::GET, "/api/v1/events/stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, text: String::new() };
        // From then on it follows.
        assert_eq!(stream.block().await.as_deref(), Some(": following"));
        stream
    }

    /// What stands before the next empty line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await.unwrap();
            let piece = piece.ok()??;
            self.text.push_str(str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event and its id.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            if let Some((id, data)) = block.split_once('\n') {
                let id = id.strip_prefix("id: ").unwrap().to_owned();
                return Some((
                    id,
                    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap(),
                ));
            }
        }
    }
}

#[tokio::test]
async fn each_event_comes_once_it_is_sealed_and_in_order() {
    let app = TestApp::start().await;
    sealed(&app, "before", 2).await;
    let mut stream = Stream::open(&app, OPERATOR, None).await;
    sealed(&app, "a", 3).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let (id, event) = stream.event().await.unwrap();
        assert_eq!(event["metadata"]["email"], format!("a{number}@agents.example"));
        ids.push(id);
    }
    let mut again = Stream::open(&app, OPERATOR, Some(&ids[0])).await;
    assert_eq!(again.event().await.unwrap().0, ids[1]);
    assert_eq!(again.event().await.unwrap().0, ids[2]);
    let mut all = Stream::open(&app, OPERATOR, Some("0-0")).await;
    let (mut met, mut last) = (0, String::new());
    while last != ids[2] {
        last = all.event().await.unwrap().0;
        met += 1;
    }
    assert_eq!(met, 6, "from the first event of all");
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_may_read_no_more() {
    let app = TestApp::start().await;
    let (id, token) = app.operator_with("default", &["admin"]).await;
    let mut stream = Stream::open(&app, &token, None).await;
    app.operator().delete(&format!("/api/v1/operators/{id}")).await.expect(204);
    sealed(&app, "secret", 1).await;
    while let Some((_, event)) = stream.event().await {
        assert!(!event.to_string().contains("secret0@"), "{event}");
    }
}

#[tokio::test]
async fn only_what_is_asked_for_and_of_the_own_tenant_comes() {
    let app = TestApp::start().await;
    let other = app.tenant("other", "unlimited").await;
    let mut stream = Stream::open(&app, &other, None).await;
    sealed(&app, "ours", 2).await;
    let agent = crate::support::new_agent("theirs");
    app.client(As::Bearer(&other)).post("/api/v1/agents", agent).await.expect(201);
    app.server.seal().await.unwrap();
    let event = loop {
        let (_, event) = stream.event().await.unwrap();
        assert_eq!(event["tenant"], "other");
        if event["action"] == "agent.created" {
            break event;
        }
    };
    assert_eq!(event["metadata"]["email"], "theirs@agents.example");

    let path = "/api/v1/events/stream";
    app.nobody().get(path).await.problem(401, "UNAUTHORIZED");
    for wrong in ["", "x", "1", "1-", "-1-0", "99999999999999999999-1"] {
        let request = app.operator().request(Method::GET, path).header("last-event-id", wrong);
        crate::support::Answer::to(request).await.problem(400, "VALIDATION_ERROR");
    }
}
