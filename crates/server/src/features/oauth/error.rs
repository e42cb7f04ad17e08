//! Error bodies of RFC 6749 section 5.2. Nothing else knows them.

use axum::response::{IntoResponse, Response};
use countersign_ground::db;
use countersign_ground::problem::{Code, Problem};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// Why a request at an OAuth endpoint was refused.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// Malformed, or a parameter twice.
    #[error("{0}")]
    InvalidRequest(String),
    /// Unknown client or wrong secret: the two never differ.
    #[error("client authentication failed")]
    InvalidClient {
        /// It used HTTP Basic, so it is challenged to do so again.
        basic: bool,
    },
    /// The client may not have tokens now. 403, because existing clients expect it.
    #[error("{0}")]
    UnauthorizedClient(&'static str),
    /// Not client credentials.
    #[error("only `client_credentials` is supported")]
    UnsupportedGrantType,
    /// A scope that the agent does not hold, or that is none.
    #[error("{0}")]
    InvalidScope(String),
    /// An audience that the agent may not ask for (RFC 8707 section 2).
    #[error("{0}")]
    InvalidTarget(String),
    /// Not a refusal: answered by the edge, as this endpoint's errors are.
    #[error("failed")]
    Failed(Problem),
}

impl From<db::Error> for OAuthError {
    fn from(error: db::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let description = self.to_string();
        let (status, error) = match self {
            Self::Failed(problem) => return problem.into_response(),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient { .. } => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::UnauthorizedClient(_) => (StatusCode::FORBIDDEN, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidScope(_) => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::InvalidTarget(_) => (StatusCode::BAD_REQUEST, "invalid_target"),
        };
        let mut response = body(status, error, &description);
        if matches!(self, Self::InvalidClient { basic: true }) {
            let challenge = HeaderValue::from_static("Basic realm=\"countersign\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A problem that the framework or the law found, in this endpoint's words.
#[must_use]
pub fn from_problem(problem: &Problem) -> Response {
    let error = match problem.code() {
        Code::Internal => "server_error",
        Code::Unavailable | Code::RateLimit => "temporarily_unavailable",
        Code::Unauthorized => "invalid_token",
        Code::InsufficientScope | Code::Forbidden => "insufficient_scope",
        _ => "invalid_request",
    };
    let mut response = body(problem.status(), error, problem.detail());
    for name in [header::WWW_AUTHENTICATE, header::RETRY_AFTER] {
        if let Some(value) = problem.response("").headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn body(status: StatusCode, error: &str, description: &str) -> Response {
    // Section 5.2: the description is of printable ASCII without `"` and `\`.
    let plain = |c: char| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '\'' };
    let description: String = description.chars().map(plain).collect();
    let mut response =
        Response::new(json!({"error": error, "error_description": description}).to_string().into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
