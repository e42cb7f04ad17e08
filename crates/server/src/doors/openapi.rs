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

/// A seal: a signed Merkle root (RFC 6962) over a run of events, chained to the seal before.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct SealBody {
    /// How many events.
    count: i64,
    /// Which key signed it: RFC 7638 thumbprint.
    kid: String,
    /// SHA-256 of the signed text of the seal before, hex; 64 zeros in the first.
    previous: String,
    /// Hex.
    root: String,
    /// From 1.
    seal: i64,
    /// Ed25519 over the RFC 8785 form of the other members, base64url.
    signature: String,
    #[schema(format = "date-time")]
    time: String,
}

/// A page of seals.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct SealPage {
    data: Vec<SealBody>,
    next_cursor: Option<String>,
}

/// That an event is under a seal.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct ProofBody {
    event: EventBody,
    /// The event's RFC 8785 text, which is what was hashed.
    leaf: String,
    /// Hex.
    leaf_hash: String,
    /// From 0.
    index: i64,
    tree_size: i64,
    /// Hex, from the bottom up.
    path: Vec<String>,
    seal: SealBody,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Identity, decisions, countersignatures and a record for AI agents and services.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody, OAuthErrorBody, EventBody, SealBody)),
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
