//! `/api/v1/policy`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::clock::Time;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::{Event, Meta};
use countersign_policy::canonical;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::super::documents::Origin;
use super::super::documents::http::{Governing, again};
use super::PolicyDirectory;
use crate::app::App;
use crate::doors::extract::Json;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadPackages, ReloadPackages};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// The policy directory in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct InForce {
    /// `sha256:` and the hex digest over the digests of all texts.
    pub digest: String,
    #[schema(value_type = String, format = "date-time")]
    loaded_at: Time,
    packages: Vec<Told>,
    /// What is asked at every door besides; null where nothing is.
    authz: Option<AtDoors>,
}

/// What is asked at every door.
#[derive(Debug, Serialize, ToSchema)]
struct AtDoors {
    /// `rego` or `scopes`.
    form: &'static str,
    /// Of its files: `sha256:` and 64 hex digits.
    digest: String,
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
    let (_, loaded_at) = app.policy.told();
    let directory = <PolicyDirectory as Governing>::in_force(&app).ok_or_else(none)?;
    Ok(Body(in_force(&directory, loaded_at)))
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
    reread(&app, permit).await.map(Body)
}

impl Governing for PolicyDirectory {
    const EVENT: &'static str = "policy.reloaded";
    const RESOURCE: &'static str = "policy";

    fn changed() -> Option<Changed> {
        None
    }

    fn origin(app: &App) -> &Origin {
        &app.policy
    }

    fn in_force(app: &App) -> Option<Arc<Self>> {
        let policies = app.law.policies();
        let packages = Arc::clone(policies.packages.as_ref()?);
        Some(Arc::new(Self { packages, authz: policies.authz.clone() }))
    }

    fn set(app: &App, next: Arc<Self>) {
        app.law.set_policy(&next.packages, next.authz.as_ref());
    }

    fn tell(&self, former: Option<&Self>, event: &mut Event) {
        event.meta("digest", self.packages.digest().to_owned());
        let at_doors = |directory: &Self| {
            let authz = directory.authz.as_ref();
            authz.map_or_else(|| "none".to_owned(), |authz| authz.digest().to_owned())
        };
        event.meta("authzDigest", at_doors(self));
        if let Some(former) = former {
            event.meta("previousAuthzDigest", at_doors(former));
            if self.authz.is_none() && former.authz.is_some() {
                tracing::warn!("nothing is asked at the doors any more besides permissions");
            }
            event.meta("previousDigest", former.packages.digest().to_owned());
        }
        let texts = self.packages.iter().map(|package| {
            let text = json!({"digest": package.digest.to_string(), "version": &*package.version});
            (package.id.to_string(), text)
        });
        event.meta("packages", Meta::Json(canonical(&Value::Object(texts.collect()))));
    }
}

/// The packages of a server that has a directory for them; without one there is nothing to be read.
async fn reread(app: &App, permit: Permit<ReloadPackages>) -> Answer<InForce> {
    if app.policy.file.is_none() {
        return Err(none());
    }
    let directory = again::<PolicyDirectory, _>(app, permit).await?.ok_or_else(none)?;
    let (_, loaded_at) = app.policy.told();
    Ok(in_force(&directory, loaded_at))
}

fn in_force(directory: &PolicyDirectory, loaded_at: Time) -> InForce {
    let packages = &directory.packages;
    let names = |names: &[Arc<str>]| names.iter().map(|name| name.to_string()).collect();
    let told = packages.iter().map(|package| Told {
        id: package.id.to_string(),
        version: package.version.to_string(),
        digest: package.digest.to_string(),
        file: package.file.to_string(),
        systems: names(&package.systems),
        resource_types: names(&package.resource_types),
    });
    let authz = directory
        .authz
        .as_ref()
        .map(|authz| AtDoors { form: authz.form(), digest: authz.digest().to_owned() });
    InForce { digest: packages.digest().to_owned(), loaded_at, packages: told.collect(), authz }
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "there is no policy directory: set POLICY_DIR, and start again")
}
