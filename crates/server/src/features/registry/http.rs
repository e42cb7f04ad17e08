//! `/api/v1/registry`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::db;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::text::Text;
use countersign_policy::{Counts, Registry};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::documents::{DocumentError, Kind as _, Loaded, Source, load, parsed, store};
use crate::app::App;
use crate::doors::extract::LargeText;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{LoadRegistry, ReadRegistry};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::permit::Permit;

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
    let (document, text) = parsed::<Registry>(body.read().await?).await?;
    let loaded = Loaded { document, source: Source::Uploaded, version: 0 };
    put(&app, permit, loaded, Some(text)).await.map(Body)
}

/// Reads the file again that governs, for whoever `permit` is.
///
/// # Errors
/// When it can't be read or is none: the old one stays in force.
pub async fn again(app: &App, permit: Permit<LoadRegistry>) -> Answer<Option<InForce>> {
    match load::<Registry>(app.registry.file.as_deref(), &app.db).await? {
        Some(loaded) => put(app, permit, loaded, None).await.map(Some),
        None => Ok(None),
    }
}

/// Takes over what was uploaded meanwhile, without a word.
///
/// # Errors
/// When the database fails.
pub async fn remember(app: &App) -> db::Result<()> {
    if app.registry.file.is_some() {
        return Ok(());
    }
    // A node is told of its own uploads, too.
    if store::newest_version(&app.db, Registry::NAME).await? <= app.registry.version() {
        return Ok(());
    }
    match load::<Registry>(None, &app.db).await {
        Ok(Some(loaded)) => {
            let set = || app.law.set_registry(loaded.document);
            app.registry.replace(loaded.source, loaded.version, app.clock.now(), set);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(DocumentError::Database(error)) => Err(error),
        Err(other) => Err(db::Error::Query(other.to_string())),
    }
}

async fn put(
    app: &App,
    permit: Permit<LoadRegistry>,
    loaded: Loaded<Registry>,
    text: Option<Text>,
) -> Answer<InForce> {
    let now = app.clock.now();
    let Loaded { document, source, .. } = loaded;
    let stored = match text {
        Some(text) => Some(store::store(&app.db, Registry::NAME, text.bytes()).await?),
        None => None,
    };
    let mut event = app.event("registry.loaded", now);
    event.resource = Some("registry".into());
    event.meta("digest", document.digest().to_string());
    if let Some(former) = &app.law.policies().registry {
        event.meta("previousDigest", former.digest().to_string());
    }
    event.meta("resources", count(document.counts().resources));
    event.meta("subjects", count(document.counts().subjects));
    let told = in_force(&document, source, now);
    let input = (permit, AssertUnwindSafe(document), event, AssertUnwindSafe(app.clone()));
    app.db
        .write(input, move |tx, (permit, document, event, app)| {
            Box::pin(async move {
                let mut version = 0;
                if let Some(stored) = stored {
                    let (kind, hash) = (Registry::NAME, document.digest());
                    version = store::publish(tx, kind, stored, permit.actor(), hash, now).await?;
                    Changed::Registry.announce(tx);
                }
                tx.record(permit.sign(event.clone()).leaf());
                let (app, document) = (App::clone(app), Arc::clone(document));
                tx.after_commit(move || {
                    let set = || app.law.set_registry(document);
                    app.registry.replace(source, version, now, set);
                });
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(told)
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
