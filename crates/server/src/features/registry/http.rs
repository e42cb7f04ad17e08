//! `/api/v1/registry`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Event;
use countersign_policy::{Counts, Registry};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::documents::http::{self as documents, Governing};
use super::super::documents::{Origin, Source};
use crate::app::App;
use crate::doors::extract::LargeText;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{LoadRegistry, ReadRegistry};
use crate::law::caller::Caller;
use crate::law::change::Changed;

type Answer<T> = Result<T, Problem>;

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// `sha256:` and the hex digest of its RFC 8785 form.
    pub digest: String,
    tenant: String,
    #[schema(value_type = String, format = "date-time")]
    loaded_at: Time,
    /// `file` or `uploaded`.
    #[schema(value_type = String)]
    source: Source,
    /// How much of each there is.
    #[schema(value_type = Object)]
    counts: Counts,
}

/// The registry in force: its digest, and how much of each it holds.
#[utoipa::path(get, path = "/api/v1/registry", tag = "registry",
    responses((status = 200, body = InForce), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller) -> Answer<Body<InForce>> {
    app.law.permit::<ReadRegistry>(&caller, "*").await?;
    let (source, loaded_at) = app.registry.told();
    match &app.law.policies_for(&caller).registry {
        Some(registry) => Ok(Body(in_force(registry, source, loaded_at))),
        None => Err(Problem::new(
            Code::NotFound,
            "no registry has been loaded: load one, or set REGISTRY_FILE",
        )),
    }
}

/// Put an uploaded registry in force, on every node, unless a file governs. One that does not load is refused
/// whole, with the place of each fault, and changes nothing.
#[utoipa::path(post, path = "/api/v1/registry", tag = "registry",
    request_body(content = Object, description = "a snapshot, at most 256 MiB"),
    responses((status = 200, body = InForce), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 413, body = ProblemBody)))]
pub async fn upload(
    State(app): State<App>,
    caller: Caller,
    body: LargeText,
) -> Answer<Body<InForce>> {
    let permit = app.law.permit::<LoadRegistry>(&caller, "*").await?;
    app.registry.may_be_uploaded::<Registry>()?;
    let registry = documents::upload::<Registry, _>(&app, permit, body.read().await?).await?;
    let (source, loaded_at) = app.registry.told();
    Ok(Body(in_force(&registry, source, loaded_at)))
}

impl Governing for Registry {
    const EVENT: &'static str = "registry.loaded";
    const RESOURCE: &'static str = "registry";

    fn changed() -> Option<Changed> {
        Some(Changed::Registry)
    }

    fn origin(app: &App) -> &Origin {
        &app.registry
    }

    fn in_force(app: &App) -> Option<Arc<Self>> {
        app.law.policies().registry.clone()
    }

    fn set(app: &App, next: Arc<Self>) {
        app.law.set_registry(next);
    }

    fn tell(&self, former: Option<&Self>, event: &mut Event) {
        event.meta("digest", self.digest().to_string());
        if let Some(former) = former {
            event.meta("previousDigest", former.digest().to_string());
        }
        event.meta("resources", count(self.counts().resources));
        event.meta("subjects", count(self.counts().subjects));
    }
}

fn in_force(registry: &Registry, source: Source, loaded_at: Time) -> InForce {
    InForce {
        digest: registry.digest().to_string(),
        tenant: registry.tenant().to_owned(),
        loaded_at,
        source,
        counts: registry.counts(),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
