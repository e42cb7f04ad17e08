//! Requests, and what may be expected of their answers.

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use super::TestApp;

/// As whom requests are sent.
#[derive(Clone, Copy)]
pub enum As<'t> {
    Nobody,
    Bearer(&'t str),
    Machine(&'t str),
}

pub struct Client<'a> {
    app: &'a TestApp,
    http: &'a reqwest::Client,
    who: As<'a>,
    tenant: Option<&'a str>,
}

impl<'a> Client<'a> {
    pub(super) fn new(app: &'a TestApp, http: &'a reqwest::Client, who: As<'a>) -> Self {
        Self { app, http, who, tenant: None }
    }

    /// Who acts in this tenant.
    pub fn within(self, tenant: &'a str) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    /// A request to build upon.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, self.app.url(path));
        if let Some(tenant) = self.tenant {
            request = request.header("x-tenant", tenant);
        }
        match self.who {
            As::Nobody => request,
            As::Bearer(token) => request.bearer_auth(token),
            As::Machine(token) => request.header("x-machine-token", token),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        Answer::to(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::DELETE, path)).await
    }

    pub async fn form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        Answer::to(self.request(Method::POST, path).form(form)).await
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.expect("the body arrives") }
    }

    /// The JSON body of an answer that must have this status; null when it has none.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A problem of this status and code; gives its body.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["request_id"], self.header("x-request-id"));
        assert_eq!(body["message"], body["detail"]);
        assert_eq!(body["status"], status);
        body
    }

    /// An OAuth error of this status and word; gives its description.
    #[track_caller]
    pub fn oauth(&self, status: u16, error: &str) -> String {
        let body = self.expect(status);
        assert_eq!(body["error"], error, "{body}");
        assert_eq!(body.as_object().unwrap().len(), 2, "nothing but RFC 6749: {body}");
        assert_eq!(self.header("cache-control"), "no-store");
        body["error_description"].as_str().unwrap().to_owned()
    }
}
