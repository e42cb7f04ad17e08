//! What a caller reads when something is refused or fails: RFC 9457 `application/problem+json`.
//!
//! A [`Problem`] becomes a response in two steps: here it is attached to an empty response, and at
//! the edge of the server it gets the request's id, is written out, and what only the log may know
//! is logged.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum_core::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::db;

/// Declares the error codes: name, status, title.
macro_rules! codes {
    ($($name:ident $status:ident $text:literal $title:literal;)*) => {
        /// What kind of problem it is. Clients decide by this, never by the text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names say it, and the contract lists them")]
        pub enum Code { $($name),* }

        impl Code {
            /// `UPPER_SNAKE`, as in the body's `code`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    Validation BAD_REQUEST "VALIDATION_ERROR" "The request is not valid";
    Unauthorized UNAUTHORIZED "UNAUTHORIZED" "Authentication is needed";
    Forbidden FORBIDDEN "FORBIDDEN" "Permission denied";
    InsufficientScope FORBIDDEN "INSUFFICIENT_SCOPE" "The token's scope does not suffice";
    PlanLimit FORBIDDEN "FREE_TIER_LIMIT_EXCEEDED" "The plan allows no more";
    AgentNotFound NOT_FOUND "AGENT_NOT_FOUND" "No such agent";
    CredentialNotFound NOT_FOUND "CREDENTIAL_NOT_FOUND" "No such credential";
    OperatorNotFound NOT_FOUND "OPERATOR_NOT_FOUND" "No such operator";
    TokenNotFound NOT_FOUND "TOKEN_NOT_FOUND" "No such token";
    TenantNotFound NOT_FOUND "TENANT_NOT_FOUND" "No such tenant";
    KeyNotFound NOT_FOUND "KEY_NOT_FOUND" "No such key";
    EventNotFound NOT_FOUND "AUDIT_EVENT_NOT_FOUND" "No such event";
    NotFound NOT_FOUND "NOT_FOUND" "Nothing is here";
    MethodNotAllowed METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED" "Wrong method";
    AgentExists CONFLICT "AGENT_ALREADY_EXISTS" "The agent exists";
    AgentNotActive CONFLICT "AGENT_NOT_ACTIVE" "The agent is not active";
    AgentDecommissioned CONFLICT "AGENT_ALREADY_DECOMMISSIONED" "The agent is decommissioned";
    CredentialRevoked CONFLICT "CREDENTIAL_ALREADY_REVOKED" "The credential is revoked";
    Conflict CONFLICT "CONFLICT" "The request conflicts with what is there";
    PreconditionFailed PRECONDITION_FAILED "PRECONDITION_FAILED" "It has changed meanwhile";
    PayloadTooLarge PAYLOAD_TOO_LARGE "PAYLOAD_TOO_LARGE" "The body is too large";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE" "Wrong content type";
    RateLimit TOO_MANY_REQUESTS "RATE_LIMIT_EXCEEDED" "Too many requests";
    Internal INTERNAL_SERVER_ERROR "INTERNAL_SERVER_ERROR" "Internal error";
    Unavailable SERVICE_UNAVAILABLE "DEPENDENCY_UNAVAILABLE" "A dependency is unavailable";
}

/// Why a request was not answered as asked.
#[derive(Clone)]
pub struct Problem(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl Problem {
    /// A problem that the caller is told of as `detail`.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            members: Map::new(),
            headers: Vec::new(),
            cause: None,
        }))
    }

    /// Tells the caller nothing about the cause; the log gets it.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut problem = Self::new(Code::Internal, "the server could not complete the request");
        problem.0.cause = Some(cause.to_string());
        problem
    }

    /// A 400 that names every field at fault.
    #[must_use]
    pub fn fields(faults: impl IntoIterator<Item = (impl Into<String>, impl Into<Value>)>) -> Self {
        let faults: Map<String, Value> =
            faults.into_iter().map(|(name, fault)| (name.into(), fault.into())).collect();
        let detail = match faults.get("") {
            Some(Value::String(what)) if faults.len() == 1 => format!("the body {what}"),
            _ => {
                let names: Vec<&str> = faults.keys().map(String::as_str).collect();
                format!("not valid: `{}`", names.join("`, `"))
            }
        };
        Self::new(Code::Validation, detail).with("details", faults)
    }

    /// The same problem in other words.
    #[must_use]
    pub fn retold(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Tells the log, and nobody else, what caused it.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Adds a member to the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// A 429 that says when to come back.
    #[must_use]
    pub fn too_many(detail: impl Into<Cow<'static, str>>, wait: Duration) -> Self {
        Self::new(Code::RateLimit, detail).retry_after(wait)
    }

    /// Says when to come back: in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.header(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// Its kind.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.code.status()
    }

    /// What the caller is told.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What only the log may know.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The response, for a request of this id.
    #[must_use]
    pub fn response(&self, request_id: &str) -> Response {
        let inner = &*self.0;
        let mut response = Response::new(self.body(request_id).into());
        *response.status_mut() = inner.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &inner.headers {
            headers.append(name, value.clone());
        }
        response
    }

    /// Its JSON (RFC 9457), for a request of this id.
    #[must_use]
    pub fn body(&self, request_id: &str) -> String {
        let inner = &*self.0;
        let code = inner.code.as_str();
        let mut body = Map::new();
        let kebab = code.to_ascii_lowercase().replace('_', "-");
        body.insert("type".into(), format!("urn:countersign:error:{kebab}").into());
        body.insert("title".into(), inner.code.title().into());
        body.insert("status".into(), inner.code.status().as_u16().into());
        body.insert("detail".into(), json!(inner.detail));
        body.insert("code".into(), code.into());
        body.insert("message".into(), json!(inner.detail));
        body.extend(inner.members.clone());
        body.insert("request_id".into(), request_id.into());
        Value::Object(body).to_string()
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        if !error.is_outage() {
            return Self::internal(error);
        }
        let detail = match &error {
            db::Error::OutcomeUnknown(_) => {
                "the database did not answer in time, and whether the change was made is unknown: \
                 look before you try again"
            }
            _ => "the database is unavailable; nothing was changed, try again",
        };
        let mut problem = Self::new(Code::Unavailable, detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("1"));
        problem.0.cause = Some(error.to_string());
        problem
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.as_str(), self.0.detail)?;
        self.0.cause.as_ref().map_or(Ok(()), |cause| write!(f, " (cause: {cause})"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(axum_core::body::Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_never_reaches_the_caller() {
        let problem = Problem::from(db::Error::Query("secret table".into()));
        assert_eq!(problem.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!format!("{:?}", problem.response("r").into_body()).contains("secret"));
        assert_eq!(problem.cause(), Some("secret table"));
    }
}
