//! `/api/v1/tenants`, for operators with the role `infra`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use countersign_ground::db::Tx;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Event;
use http::{HeaderName, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Patch, Plan, Tenant, is_id, store};
use crate::app::App;
use crate::doors::extract::{Json, Name, Page};
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::law::action::{ReadTenants, WriteTenants};
use crate::law::caller::Caller;
use crate::law::change::Changed;
use crate::law::directory::Directory;
use crate::law::permit::Permit;

type Answer<T> = Result<T, Problem>;

/// What makes a tenant.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct NewTenant {
    /// 1 to 63 of `a-z`, `0-9` and `-`; can't be changed.
    #[schema(example = "acme")]
    id: String,
    /// For people; 1 to 128 characters.
    display_name: String,
    /// `unlimited` when absent.
    plan: Option<Plan>,
}

/// Make a tenant. For operators with the role `infra`.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    responses((status = 201, body = Tenant, headers(("location" = String))),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Json(mut fields): Json,
) -> Answer<(StatusCode, [(HeaderName, String); 1], Body<Tenant>)> {
    let permit = app.law.permit::<WriteTenants>(&caller, "*").await?;
    let id = fields.required("id", |value| {
        let wanted = "must be 1 to 63 of `a-z`, `0-9` and `-`, with `-` inside only";
        fields::text(value).and_then(|id| is_id(&id).then_some(id).ok_or(wanted.into()))
    });
    let name = fields.required("displayName", fields::text_up_to(128));
    let plan = fields.optional("plan", fields::parsed).unwrap_or(Plan::Unlimited);
    fields.finish()?;
    let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());

    let location = [(header::LOCATION, format!("/api/v1/tenants/{id}"))];
    let now = app.clock.now();
    let event = app.event("tenant.created", now);
    let input = (permit, id, name, event, Arc::clone(&app.law.directory));
    let made = app
        .db
        .write(input, move |tx, (permit, id, name, event, directory)| {
            Box::pin(async move {
                let tenant = store::create(tx, permit, (id, name, plan), now).await?;
                changed(tx, permit, event.clone(), &tenant, directory);
                Ok::<_, Problem>(tenant)
            })
        })
        .await?;
    Ok((StatusCode::CREATED, location, Body(made)))
}

/// A page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantPage {
    data: Vec<Tenant>,
    page: i64,
    limit: i64,
    total: i64,
}

/// List tenants by id. For operators with the role `infra`.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(Page),
    responses((status = 200, body = TenantPage), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn list(State(app): State<App>, caller: Caller, page: Page) -> Answer<Body<TenantPage>> {
    let permit = app.law.permit::<ReadTenants>(&caller, "*").await?;
    let (data, total) = store::list(&app.db, &permit, page.limit, page.offset()).await?;
    Ok(Body(TenantPage { data, page: page.page, limit: page.limit, total }))
}

/// Show a tenant. For operators with the role `infra`.
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path)),
    responses((status = 200, body = Tenant), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub async fn show(State(app): State<App>, caller: Caller, Name(id): Name) -> Answer<Body<Tenant>> {
    let permit = app.law.permit::<ReadTenants>(&caller, &id).await?;
    Ok(Body(store::find(&app.db, &permit, &id).await?))
}

/// What changes a tenant: only the fields that are given.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes a body to readers of the API")]
pub struct TenantPatch {
    display_name: Option<String>,
    plan: Option<Plan>,
}

/// Change a tenant's name or plan. For operators with the role `infra`.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "tenants", request_body = TenantPatch,
    params(("id" = String, Path)),
    responses((status = 200, body = Tenant), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn update(
    State(app): State<App>,
    caller: Caller,
    Name(id): Name,
    Json(mut fields): Json,
) -> Answer<Body<Tenant>> {
    let permit = app.law.permit::<WriteTenants>(&caller, &id).await?;
    let patch = Patch {
        display_name: fields.optional("displayName", fields::text_up_to(128)),
        plan: fields.optional("plan", fields::parsed),
    };
    fields.finish()?;
    if patch == Patch::default() {
        let detail = "the body changes nothing: give at least one field";
        return Err(Problem::new(Code::Validation, detail));
    }
    let now = app.clock.now();
    let event = app.event("tenant.updated", now);
    let known = (Arc::clone(&app.law.directory), AssertUnwindSafe(app.clone()));
    let input = (permit, id, patch, event, known);
    let tenant = app
        .db
        .write(input, move |tx, (permit, id, patch, event, (directory, app))| {
            Box::pin(async move {
                let tenant = store::change(tx, permit, id, patch, now).await?;
                changed(tx, permit, event.clone(), &tenant, directory);
                let app = App::clone(app);
                tx.after_commit(move || app.quotas.clear());
                Ok::<_, Problem>(tenant)
            })
        })
        .await?;
    Ok(Body(tenant))
}

/// What every change of a tenant ends with: its event, in that tenant's own record, and memory that
/// follows the commit.
fn changed(
    tx: &mut Tx,
    permit: &Permit<WriteTenants>,
    mut event: Event,
    tenant: &Tenant,
    directory: &Arc<Directory>,
) {
    event.resource = Some(format!("tenants/{}", tenant.id));
    event.meta("displayName", tenant.display_name.clone());
    event.meta("plan", tenant.plan.as_str());
    let mut event = permit.sign(event);
    event.tenant = tenant.id.as_str().into();
    tx.record(event.leaf());
    Changed::Tenant(tenant.id.clone()).announce(tx);
    let (directory, facts) = (Arc::clone(directory), tenant.facts());
    tx.after_commit(move || directory.put_tenant(facts));
}
