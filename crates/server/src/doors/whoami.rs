//! `GET /api/v1/whoami`: who the server takes the caller for.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::ProblemBody;
use crate::app::App;
use crate::law::caller::{Caller, Who};

/// Who is calling, and what they hold.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhoAmI {
    /// `agent`, `operator` or `machine`.
    r#type: &'static str,
    id: String,
    /// The tenant that is acted in.
    tenant: String,
    /// Of operators and the machine token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
    /// Of an agent's token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    /// Up to which level an operator may countersign.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_level: Option<u8>,
    /// When the token that was presented expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    expires_at: Option<Time>,
}

/// Learn who the server takes you for. Needs credentials, and no permission.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "callers",
    responses((status = 200, body = WhoAmI), (status = 401, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller) -> Result<Body<WhoAmI>, Problem> {
    let actor = caller.who.actor();
    let mut who = WhoAmI {
        r#type: actor.kind,
        id: actor.id.to_string(),
        tenant: caller.tenant.to_string(),
        roles: Vec::new(),
        scopes: Vec::new(),
        approval_level: None,
        expires_at: None,
    };
    match &caller.who {
        Who::Anonymous => {
            return Err(app.law.needs_credentials());
        }
        Who::Machine => who.roles = vec!["machine".into()],
        Who::Operator(operator, token) => {
            who.roles.clone_from(&operator.roles);
            who.approval_level = Some(operator.level);
            who.expires_at = token.expires_at;
        }
        Who::Agent(token) => {
            who.scopes = token.scopes.iter().map(ToString::to_string).collect();
            // A certificate does not say when its agent's leave ends.
            let expires = token.claims.exp;
            who.expires_at = (expires != i64::MAX).then(|| Time::from_seconds(expires));
        }
    }
    Ok(Body(who))
}
