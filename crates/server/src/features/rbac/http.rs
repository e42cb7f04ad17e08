//! `/api/v1/rbac`.

pub mod audit;

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::db::Tx;
use countersign_ground::problem::Problem;
use countersign_ground::record::Event;
use countersign_policy::Matrix;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::documents::http::{self as documents, Admitted, Governing};
use super::super::documents::{Loaded, Origin, Source, load};
use super::leaves_somebody;
use crate::app::App;
use crate::doors::extract::{Json, LargeText};
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadMatrix, ReloadMatrix, UploadMatrix};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// What is in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Info {
    version: String,
    /// First 16 hex digits of SHA-256 over the RFC 8785 form.
    hash: String,
    #[schema(value_type = String, format = "date-time")]
    loaded_at: Time,
    /// `built-in`, `file` or `uploaded`.
    #[schema(value_type = String)]
    source: Source,
    roles: Vec<String>,
    resources: Vec<String>,
    enforce_mode: &'static str,
    fail_open: bool,
}

/// What the matrix in force is: its hash, its roles and resources, and where it came from.
#[utoipa::path(get, path = "/api/v1/rbac/info", tag = "rbac",
    responses((status = 200, body = Info), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn info(State(app): State<App>, caller: Caller) -> Answer<Body<Info>> {
    app.law.permit::<ReadMatrix>(&caller, "*").await?;
    let matrix = app.law.matrix();
    let (source, loaded_at) = app.rbac.told();
    Ok(Body(Info {
        version: matrix.version().to_owned(),
        hash: matrix.hash().to_owned(),
        loaded_at,
        source,
        roles: matrix.roles().map(str::to_owned).collect(),
        resources: matrix.resources().into_iter().map(str::to_owned).collect(),
        // Of what is behind the guard; the identity endpoints always enforce.
        enforce_mode: app.law.guards.named("rbac").map_or("enforce", |guard| guard.mode.as_str()),
        fail_open: app.config.guards.rbac_fails_open,
    }))
}

/// The matrix in force, as it was read.
#[utoipa::path(get, path = "/api/v1/rbac/matrix", tag = "rbac",
    responses((status = 200, body = Object), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub async fn matrix(
    State(app): State<App>,
    caller: Caller,
) -> Answer<([(HeaderName, HeaderValue); 1], String)> {
    app.law.permit::<ReadMatrix>(&caller, "*").await?;
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([json], app.law.matrix().text().to_owned()))
}

/// What became of the matrix.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    success: bool,
    /// For people.
    pub message: String,
    previous_hash: String,
    /// Of what is in force now.
    pub new_hash: String,
    #[schema(value_type = String, format = "date-time")]
    timestamp: Time,
}

/// Put an uploaded matrix in force, on every node, unless a file governs. For operators with the role
/// `infra`: whoever can do this can give any role any permission.
#[utoipa::path(put, path = "/api/v1/rbac/matrix", tag = "rbac",
    request_body(content = Object, description = "at most 256 MiB"),
    responses((status = 200, body = Reloaded), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 413, body = ProblemBody)))]
pub async fn upload(
    State(app): State<App>,
    caller: Caller,
    body: LargeText,
) -> Answer<Body<Reloaded>> {
    let permit = app.law.permit::<UploadMatrix>(&caller, "*").await?;
    app.rbac.may_be_uploaded::<Matrix>()?;
    let text = body.read().await?;
    reloaded(&app, documents::upload(&app, permit, text)).await.map(Body)
}

/// Read the matrix again: from its file, or as it was uploaded last.
#[utoipa::path(post, path = "/api/v1/rbac/reload", tag = "rbac",
    request_body(content = Object, description = "may be empty"),
    responses((status = 200, body = Reloaded), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub async fn reload(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json,
) -> Answer<Body<Reloaded>> {
    let permit = app.law.permit::<ReloadMatrix>(&caller, "*").await?;
    fields.finish()?;
    again(&app, permit).await.map(Body)
}

impl Governing for Matrix {
    const EVENT: &'static str = "rbac.reloaded";
    const RESOURCE: &'static str = "rbac";

    fn changed() -> Option<Changed> {
        Some(Changed::Matrix)
    }

    fn origin(app: &App) -> &Origin {
        &app.rbac
    }

    fn in_force(app: &App) -> Option<Arc<Self>> {
        Some(app.law.matrix())
    }

    fn set(app: &App, next: Arc<Self>) {
        app.metrics.matrix(&next);
        app.law.set_matrix(next);
    }

    fn tell(&self, former: Option<&Self>, event: &mut Event) {
        event.meta("newHash", self.hash().to_owned());
        if let Some(former) = former {
            event.meta("previousHash", former.hash().to_owned());
        }
    }

    fn admit<'t>(&'t self, tx: &'t mut Tx, source: Source, now: Time) -> Admitted<'t> {
        Box::pin(async move { Ok(leaves_somebody(tx, self, source, now).await?) })
    }
}

/// Reads the matrix again, for whoever `permit` is.
///
/// # Errors
/// When it can't be read, is none, or would lock everybody out: the old one stays in force.
pub async fn again(app: &App, permit: Permit<ReloadMatrix>) -> Answer<Reloaded> {
    let read = async {
        let loaded = load(app.rbac.file.as_deref(), &app.db).await?;
        let built_in = || {
            let document = Arc::new(Matrix::built_in());
            Loaded { document, source: Source::BuiltIn, version: 0 }
        };
        documents::put(app, permit, loaded.unwrap_or_else(built_in), None).await
    };
    reloaded(app, read).await
}

/// Tells what became of the matrix, for better or worse.
async fn reloaded(app: &App, read: impl Future<Output = Answer<Arc<Matrix>>>) -> Answer<Reloaded> {
    let previous_hash = app.law.matrix().hash().to_owned();
    let read = read.await;
    app.metrics.matrix_loaded(read.is_ok());
    let new_hash = read?.hash().to_owned();
    let message = if previous_hash == new_hash {
        "the matrix is the same as before".to_owned()
    } else {
        "another matrix is in force".to_owned()
    };
    let timestamp = app.clock.now();
    Ok(Reloaded { success: true, message, previous_hash, new_hash, timestamp })
}
