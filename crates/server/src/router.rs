//! Every route.

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::doors::edge::Edge;
use crate::doors::templates::Templates;
use crate::doors::{
    authzen, check, decisions, docs, forward, health, metrics, openapi, replay, settings, whoami,
};
use crate::features::oauth::{INTROSPECT, REVOKE, TOKEN, discovery, introspect, revoke, token};
use crate::features::{
    agents, audit, credentials, guards, keys, operators, policy, quarantine, rbac, registry,
    routes, tenants,
};

/// The routes that `/openapi.json` describes.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(agents::http::create, agents::http::list))
        .routes(routes!(agents::http::show, agents::http::update, agents::http::decommission))
        .routes(routes!(quarantine::http::quarantine))
        .routes(routes!(quarantine::http::reinstate))
        .routes(routes!(credentials::http::create, credentials::http::list))
        .routes(routes!(credentials::http::rotate))
        .routes(routes!(credentials::http::revoke))
        .routes(routes!(token::issue))
        .routes(routes!(introspect::introspect))
        .routes(routes!(revoke::revoke))
        .routes(routes!(operators::http::create, operators::http::list))
        .routes(routes!(operators::http::show, operators::http::update, operators::http::remove))
        .routes(routes!(operators::http::tokens::create, operators::http::tokens::list))
        .routes(routes!(operators::http::tokens::revoke))
        .routes(routes!(tenants::http::create, tenants::http::list))
        .routes(routes!(tenants::http::show, tenants::http::update))
        .routes(routes!(keys::http::list))
        .routes(routes!(keys::http::rotate))
        .routes(routes!(keys::http::reseal))
        .routes(routes!(keys::http::revoke))
        .routes(routes!(rbac::http::info))
        .routes(routes!(rbac::http::matrix, rbac::http::upload))
        .routes(routes!(rbac::http::reload))
        .routes(routes!(rbac::http::audit::search))
        .routes(routes!(rbac::http::audit::cleanup))
        .routes(routes!(registry::http::show, registry::http::upload))
        .routes(routes!(policy::http::show))
        .routes(routes!(policy::http::reload))
        .routes(routes!(replay::diff))
        .routes(routes!(guards::http::list))
        .routes(routes!(guards::http::show, guards::http::set))
        .routes(routes!(guards::http::report))
        .routes(routes!(guards::http::accept))
        .routes(routes!(routes::http::show, routes::http::upload))
        .routes(routes!(routes::http::test))
        .routes(routes!(forward::forward_auth))
        .routes(routes!(check::check))
        .routes(routes!(check::batch))
        .routes(routes!(decisions::list))
        .routes(routes!(authzen::evaluation))
        .routes(routes!(authzen::evaluations))
        .routes(routes!(authzen::subjects))
        .routes(routes!(authzen::resources))
        .routes(routes!(authzen::actions))
        .routes(routes!(authzen::configuration))
        .routes(routes!(decisions::show))
        .routes(routes!(whoami::show))
        .routes(routes!(settings::show))
        .routes(routes!(audit::http::search))
        .routes(routes!(audit::http::export::export))
        .routes(routes!(audit::http::seals::list))
        .routes(routes!(audit::http::seals::keys))
        .routes(routes!(audit::http::show))
        .routes(routes!(audit::http::seals::prove))
        .routes(routes!(audit::http::stream::follow))
        .routes(routes!(discovery::authorization_server))
        .routes(routes!(discovery::openid_configuration))
        .routes(routes!(discovery::protected_resource))
        .routes(routes!(discovery::jwks))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// The API.
#[must_use]
pub fn edge(app: &App) -> Edge {
    let (router, document) = documented().split_for_parts();
    let mut templates: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
    let mut router = router;
    let undocumented = [
        (TOKEN[1], post(token::issue)),
        (INTROSPECT[1], post(introspect::introspect)),
        (REVOKE[1], post(revoke::revoke)),
        ("/livez", get(health::live)),
        ("/openapi.json", get(openapi::serve)),
        ("/docs", get(docs::serve)),
    ];
    let metrics = app.config.metrics_port.is_none().then(|| (METRICS, get(metrics::serve)));
    for (template, handler) in undocumented.into_iter().chain(metrics) {
        router = router.route(template, handler);
        templates.push(template);
    }
    Edge::new(app, router, Templates::new(templates))
}

/// `/metrics` alone, for a listener of its own.
#[must_use]
pub fn metrics_edge(app: &App) -> Edge {
    let router = Router::new().route(METRICS, get(metrics::serve));
    Edge::new(app, router, Templates::new([METRICS]))
}

/// What Envoy asks, for a listener of its own.
#[cfg(feature = "ext-authz")]
#[must_use]
pub fn envoy_edge(app: &App) -> Edge {
    use crate::doors::envoy;
    let router = Router::new().route(envoy::PATH, post(envoy::check));
    Edge::new(app, router, Templates::new([envoy::PATH]))
}

const METRICS: &str = "/metrics";
