//! `/api/v1/keys`.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::keyring::State as KeyState;
use countersign_ground::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::doors::openapi::ProblemBody;
use crate::law::action::ReadKeys;
use crate::law::caller::Caller;

/// A signing key, without the key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    kid: String,
    alg: &'static str,
    #[schema(value_type = String, example = "active")]
    state: KeyState,
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
}

/// The signing keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    data: Vec<Shown>,
}

/// List the keys that sign and verify tokens, newest first.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys",
    responses((status = 200, body = Keys), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Body<Keys>, Problem> {
    app.law.permit::<ReadKeys>(&caller, "*").await?;
    let keys = app.keys.token_keys();
    let shown = keys.iter().map(|ring| Shown {
        kid: ring.key.kid().to_owned(),
        alg: ring.key.jwk().alg,
        state: ring.state,
        created_at: ring.created_at,
    });
    Ok(Body(Keys { data: shown.collect() }))
}
