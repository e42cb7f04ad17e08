//! `/api/v1/rbac`.

pub mod audit;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::db;
use countersign_ground::problem::Problem;
use countersign_policy::Matrix;
use http::{HeaderName, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::documents::{DocumentError, Kind as _, Source, load, parsed, store};
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
        // Countersign's own endpoints always enforce.
        enforce_mode: "enforce",
        fail_open: false,
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
    let read = match parsed(text).await {
        Ok((matrix, _)) => put(&app, permit, matrix, Source::Uploaded).await,
        Err(error) => Err(error.into()),
    };
    app.metrics.matrix_loaded(read.is_ok());
    read.map(Body)
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

/// Reads the matrix again, for whoever `permit` is.
///
/// # Errors
/// When it can't be read, is none, or would lock everybody out: the old one stays in force.
pub async fn again(app: &App, permit: Permit<ReloadMatrix>) -> Answer<Reloaded> {
    let read = match load(app.rbac.file.as_deref(), &app.db).await {
        Ok(Some(loaded)) => put(app, permit, loaded.document, loaded.source).await,
        Ok(None) => put(app, permit, Arc::new(Matrix::built_in()), Source::BuiltIn).await,
        Err(error) => Err(error.into()),
    };
    app.metrics.matrix_loaded(read.is_ok());
    read
}

/// Takes over what was uploaded meanwhile, without a word.
///
/// # Errors
/// When the database fails.
pub async fn remember(app: &App) -> db::Result<()> {
    if app.rbac.file.is_some() {
        return Ok(());
    }
    match load::<Matrix>(None, &app.db).await {
        Ok(Some(loaded)) => {
            let set = || drop(app.law.set_matrix(loaded.document));
            app.rbac.replace(loaded.source, loaded.version, app.clock.now(), set);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(DocumentError::Database(error)) => Err(error),
        Err(other) => Err(db::Error::Query(other.to_string())),
    }
}

async fn put<A: Send + Sync + 'static>(
    app: &App,
    permit: Permit<A>,
    matrix: Arc<Matrix>,
    source: Source,
) -> Answer<Reloaded> {
    let now = app.clock.now();
    let stored = match source {
        Source::Uploaded => {
            Some(store::store(&app.db, Matrix::NAME, matrix.text().as_bytes()).await?)
        }
        Source::BuiltIn | Source::File => None,
    };
    let previous_hash = app.law.matrix().hash().to_owned();
    let new_hash = matrix.hash().to_owned();
    let mut event = app.event("rbac.reloaded", now);
    event.resource = Some("rbac".into());
    event.meta("newHash", new_hash.clone());
    event.meta("previousHash", previous_hash.clone());
    let input = (permit, matrix, event, AssertUnwindSafe(app.clone()));
    app.db
        .write(input, move |tx, (permit, matrix, event, app)| {
            Box::pin(async move {
                leaves_somebody(tx, matrix, source, now).await?;
                let mut version = 0;
                if let Some(stored) = stored {
                    let (kind, hash) = (Matrix::NAME, matrix.hash());
                    version = store::publish(tx, kind, stored, permit.actor(), hash, now).await?;
                    Changed::Matrix.announce(tx);
                }
                tx.record(permit.sign(event.clone()).leaf());
                let (app, matrix) = (App::clone(app), Arc::clone(matrix));
                tx.after_commit(move || {
                    app.rbac.replace(source, version, now, || {
                        app.metrics.matrix(&matrix);
                        app.law.set_matrix(matrix);
                    });
                });
                Ok::<_, Problem>(())
            })
        })
        .await?;
    let message = if previous_hash == new_hash {
        "the matrix is the same as before".to_owned()
    } else {
        "another matrix is in force".to_owned()
    };
    Ok(Reloaded { success: true, message, previous_hash, new_hash, timestamp: now })
}
