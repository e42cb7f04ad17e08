//! `GET /api/v1/config`: what the running server was configured with, secrets as `***`.

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::config::{Effective, SETTINGS, Source};
use countersign_ground::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::ProblemBody;
use crate::app::App;
use crate::features::guards;
use crate::law::action::ReadConfig;
use crate::law::caller::Caller;

/// One variable as it is in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Shown {
    name: &'static str,
    /// `***` for a secret.
    value: Option<String>,
    /// `flag`, `environment`, `secretfile`, `file` or `default`.
    #[schema(value_type = String)]
    source: Source,
    meaning: &'static str,
}

/// Every variable, and what looks like a mistake.
#[derive(Debug, Serialize, ToSchema)]
pub struct Settings {
    data: Vec<Shown>,
    warnings: Vec<String>,
}

/// What the running server was configured with. For operators with the role `infra`.
#[utoipa::path(get, path = "/api/v1/config", tag = "operations",
    responses((status = 200, body = Settings), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller) -> Result<Body<Settings>, Problem> {
    app.law.permit::<ReadConfig>(&caller, "*").await?;
    let meaning = |name| SETTINGS.iter().find(|setting| setting.name == name);
    let shown = |one: &Effective| Shown {
        name: one.name,
        value: one.value.clone(),
        source: one.source,
        meaning: meaning(one.name).map_or("", |setting| setting.meaning),
    };
    let data = app.config.effective.iter().map(shown).collect();
    let mut warnings = app.config.warnings.clone();
    for guard in guards::store::list(&app.db).await? {
        warnings.extend(guard.overrides());
    }
    Ok(Body(Settings { data, warnings }))
}
