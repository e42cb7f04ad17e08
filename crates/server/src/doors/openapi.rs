//! `/openapi.json`: made from the handlers, and checked in so that a change shows in review.

use std::sync::LazyLock;

use axum::extract::State;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;
use utoipa::{OpenApi, ToSchema};

use crate::app::App;

/// What every problem's body holds (RFC 9457).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct ProblemBody {
    /// `urn:countersign:error:…`.
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Decide by this one.
    #[schema(example = "VALIDATION_ERROR")]
    code: String,
    /// The same as `detail`.
    message: String,
    /// Each field at fault, by name.
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
    request_id: String,
}

/// What every error of an OAuth endpoint holds (RFC 6749 section 5.2).
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct OAuthErrorBody {
    #[schema(example = "invalid_client")]
    error: String,
    error_description: String,
}

/// One event of the record. Members that do not apply are absent.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct EventBody {
    event_id: String,
    #[schema(example = "token.issued")]
    action: String,
    #[schema(example = "success")]
    outcome: String,
    actor_type: String,
    actor_id: String,
    agent_id: Option<String>,
    decision_id: Option<String>,
    ip_address: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    resource: Option<String>,
    tenant: String,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    #[schema(format = "date-time")]
    timestamp: String,
}

/// A page of the record.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct EventPage {
    data: Vec<EventBody>,
    next_cursor: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Identity, decisions, countersignatures and a record for AI agents and services.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody, OAuthErrorBody, EventBody)),
    modifiers(&Security),
    security(("bearer" = []), ("machine" = []))
)]
pub(crate) struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{
            ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme,
        };
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let machine = ApiKey::Header(ApiKeyValue::new("X-Machine-Token"));
        components.add_security_scheme("machine", SecurityScheme::ApiKey(machine));
    }
}

/// The document, as pretty JSON. Made once: it takes a while.
#[must_use]
pub fn document() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (_, document) = crate::router::documented().split_for_parts();
        // The document is made of strings and maps.
        document.to_pretty_json().unwrap_or_default() + "\n"
    });
    &TEXT
}

/// `GET /openapi.json`.
pub async fn serve(State(_): State<App>) -> ([(HeaderName, HeaderValue); 1], &'static str) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document())
}
