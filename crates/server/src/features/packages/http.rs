//! `/api/v1/policy`, as far as it is about packages.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Meta;
use countersign_policy::{Packages, canonical};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::documents::load;
use crate::app::App;
use crate::doors::extract::Json;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadPackages, ReloadPackages};
use crate::law::caller::Caller;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// The packages in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// `sha256:` and the hex digest over the digests of all texts.
    pub digest: String,
    #[schema(value_type = String, format = "date-time")]
    loaded_at: Time,
    packages: Vec<Told>,
}

/// A package.
#[derive(Debug, Serialize, ToSchema)]
struct Told {
    id: String,
    version: String,
    /// Of its text: `sha256:` and 64 hex digits.
    digest: String,
    file: String,
    systems: Vec<String>,
    resource_types: Vec<String>,
}

/// The packages in force: what they are bound to, and the digests of their texts.
#[utoipa::path(get, path = "/api/v1/policy/packages", tag = "policy",
    responses((status = 200, body = InForce), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller) -> Answer<Body<InForce>> {
    app.law.permit::<ReadPackages>(&caller, "*").await?;
    let (_, loaded_at) = app.packages.told();
    let packages = app.law.policies().packages.clone();
    packages.map(|packages| Body(in_force(&packages, loaded_at))).ok_or_else(none)
}

/// Read the policy directory again, on this node. One that can't be used is refused whole, with the place of each
/// fault, and changes nothing.
#[utoipa::path(post, path = "/api/v1/policy/reload", tag = "policy",
    request_body(content = Object, description = "may be empty"),
    responses((status = 200, body = InForce), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn reload(
    State(app): State<App>,
    caller: Caller,
    Json(fields): Json,
) -> Answer<Body<InForce>> {
    let permit = app.law.permit::<ReloadPackages>(&caller, "*").await?;
    fields.finish()?;
    again(&app, permit).await?.map(Body).ok_or_else(none)
}

/// Reads the directory again, for whoever `permit` is.
///
/// # Errors
/// When it can't be used: those in force stay.
pub async fn again(app: &App, permit: Permit<ReloadPackages>) -> Answer<Option<InForce>> {
    let Some(loaded) = load::<Packages>(app.packages.file.as_deref(), &app.db).await? else {
        return Ok(None);
    };
    let now = app.clock.now();
    let packages = loaded.document;
    let mut event = app.event("policy.reloaded", now);
    event.resource = Some("policy".into());
    event.meta("digest", packages.digest().to_owned());
    if let Some(former) = &app.law.policies().packages {
        event.meta("previousDigest", former.digest().to_owned());
    }
    let texts = packages.iter().map(|package| {
        let text = json!({"digest": package.digest.to_string(), "version": &*package.version});
        (package.id.to_string(), text)
    });
    event.meta("packages", Meta::Json(canonical(&Value::Object(texts.collect()))));
    let told = in_force(&packages, now);
    let input = (permit, AssertUnwindSafe(packages), event, AssertUnwindSafe(app.clone()));
    app.db
        .write(input, move |tx, (permit, packages, event, app)| {
            Box::pin(async move {
                tx.record(permit.sign(event.clone()).leaf());
                let (app, packages) = (App::clone(app), Arc::clone(packages));
                tx.after_commit(move || {
                    let set = || app.law.set_packages(packages);
                    app.packages.replace(loaded.source, 0, now, set);
                });
                Ok::<_, Problem>(())
            })
        })
        .await?;
    Ok(Some(told))
}

fn in_force(packages: &Packages, loaded_at: Time) -> InForce {
    let names = |names: &[Arc<str>]| names.iter().map(|name| name.to_string()).collect();
    let told = packages.iter().map(|package| Told {
        id: package.id.to_string(),
        version: package.version.to_string(),
        digest: package.digest.to_string(),
        file: package.file.to_string(),
        systems: names(&package.systems),
        resource_types: names(&package.resource_types),
    });
    InForce { digest: packages.digest().to_owned(), loaded_at, packages: told.collect() }
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "there is no policy directory: set POLICY_DIR, and start again")
}
