//! Every route.

use axum::Router;
use axum::routing::{get, post};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::doors::{docs, edge, health, metrics, openapi};
use crate::features::oauth::{INTROSPECT, REVOKE, TOKEN, discovery, introspect, revoke, token};
use crate::features::{agents, audit, credentials, keys};

/// The routes that `/openapi.json` describes.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(agents::http::create, agents::http::list))
        .routes(routes!(agents::http::show, agents::http::update, agents::http::decommission))
        .routes(routes!(credentials::http::create, credentials::http::list))
        .routes(routes!(credentials::http::rotate))
        .routes(routes!(credentials::http::revoke))
        .routes(routes!(token::issue))
        .routes(routes!(introspect::introspect))
        .routes(routes!(revoke::revoke))
        .routes(routes!(keys::http::list))
        .routes(routes!(audit::http::search))
        .routes(routes!(audit::http::show))
        .routes(routes!(discovery::authorization_server))
        .routes(routes!(discovery::openid_configuration))
        .routes(routes!(discovery::protected_resource))
        .routes(routes!(discovery::jwks))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// The API.
pub fn router(app: &App) -> Router {
    let (router, _) = documented().split_for_parts();
    let metrics_here = app.config.metrics_port.is_none();
    let router = router
        .route(TOKEN[1], post(token::issue))
        .route(INTROSPECT[1], post(introspect::introspect))
        .route(REVOKE[1], post(revoke::revoke))
        .route("/livez", get(health::live))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(docs::serve));
    let router = if metrics_here { router.route("/metrics", get(metrics::serve)) } else { router };
    finished(router, app)
}

/// `/metrics` alone, for a listener of its own.
pub fn metrics_router(app: &App) -> Router {
    finished(Router::new().route("/metrics", get(metrics::serve)), app)
}

fn finished(router: Router<App>, app: &App) -> Router {
    router
        .fallback(edge::not_found)
        .method_not_allowed_fallback(edge::method_not_allowed)
        .layer(axum::middleware::from_fn_with_state(app.clone(), edge::edge))
        .with_state(app.clone())
}
