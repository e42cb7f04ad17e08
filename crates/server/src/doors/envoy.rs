//! `envoy.service.auth.v3.Authorization/Check`: may this request pass? For Envoy's external authorization over gRPC,
//! with the same answers as `/v1/forward-auth`.

mod messages;

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use countersign_ground::problem::Problem;
use countersign_ground::record::Origin;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use self::messages::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption, HttpRequest, HttpResponse,
    HttpStatus, OkHttpResponse, RpcStatus,
};
use super::extract::{Arrival, client_address, user_agent};
use super::forward::{noted, refused, told};
use super::tls::certificate_handed_on;
use crate::app::App;
use crate::law::passage::{Asked, Passage};

/// Where it is asked.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The largest question: Envoy's limit of a request's headers, and some more.
const LARGEST: usize = 128 << 10;
/// How long a question may take to arrive.
const TIME: Duration = Duration::from_secs(10);
/// What some services take for the same as the headers that tell who asks.
const LOOKALIKES: [&str; 4] = ["x_caller_id", "x_caller_type", "x_caller_roles", "x_decision_id"];

/// Answers Envoy.
pub async fn check(State(app): State<App>, request: Request) -> Response {
    let arrival = request.extensions().get::<Arrival>().cloned();
    let gateway = arrival.as_ref().map(|arrival| arrival.peer.address.ip());
    // Before anything of it is read.
    if !gateway.is_some_and(|gateway| app.trusts(gateway)) {
        let what = "only a trusted proxy may ask: add its address to TRUSTED_PROXIES";
        return Status::permission_denied(what).into_http::<Body>().into_response();
    }
    let mut grpc = Grpc::new(ProstCodec::default()).max_decoding_message_size(LARGEST);
    let answering = grpc.unary(Door { app, arrival }, request);
    match tokio::time::timeout(TIME, answering).await {
        Ok(response) => response.map(Body::new),
        Err(_) => Status::deadline_exceeded("the question took too long").into_http::<Body>(),
    }
    .into_response()
}

struct Door {
    app: App,
    arrival: Option<Arrival>,
}

impl UnaryService<CheckRequest> for Door {
    type Response = CheckResponse;
    type Future = BoxFuture<'static, Result<tonic::Response<CheckResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let (app, arrival) = (self.app.clone(), self.arrival.clone());
        Box::pin(async move {
            let request = request.into_inner();
            let answer = asked(&app, arrival.as_ref(), &request).await;
            Ok(tonic::Response::new(answer.unwrap_or_else(|problem| {
                denied(&problem, arrival.as_ref().map_or("", |arrival| &arrival.request_id))
            })))
        })
    }
}

async fn asked(
    app: &App,
    arrival: Option<&Arrival>,
    request: &CheckRequest,
) -> Result<CheckResponse, Problem> {
    let attributes = request.attributes.as_ref();
    let http = attributes.and_then(|it| it.request.as_ref()?.http.as_ref());
    let http = http.ok_or_else(|| refused("the gateway must send the request"))?;
    let headers = headers(http)?;
    let source = attributes.and_then(|it| it.source.as_ref());
    let ip = source.and_then(|source| source.ip()).and_then(|text| text.parse::<IpAddr>().ok());
    let origin = Origin {
        request_id: arrival.map(|arrival| arrival.request_id.clone()),
        ip: ip.map(|ip| client_address(ip.to_canonical(), &headers, |ip| app.trusts(*ip))),
        user_agent: user_agent(&headers),
        asked: None,
    };
    // Envoy has the query behind the path.
    let (method, host) =
        (sent(http, ":method", &http.method), sent(http, ":authority", &http.host));
    let target = sent(http, ":path", &http.path);
    let asked = Asked { method: &method, host: &host, target: &target };
    let certificate = source.and_then(|source| certificate_handed_on(&source.certificate));
    let ruled = app.law.pass(&asked, &headers, certificate.as_ref(), origin).await?;
    let passage = ruled.recorded().await?;
    noted(app, &passage);
    Ok(allowed(&passage))
}

/// What was sent, where Envoy tells it: what it says beside that has other characters in the place of what is not UTF-8.
fn sent<'h>(http: &'h HttpRequest, name: &str, said: &'h str) -> Cow<'h, str> {
    let mut raw = http.header_map.iter().flat_map(|map| &map.headers);
    match raw.find(|header| header.key == name && !header.raw_value.is_empty()) {
        Some(header) => String::from_utf8_lossy(&header.raw_value),
        None => Cow::Borrowed(said),
    }
}

/// The request's headers: as they were sent, where Envoy is set to say so, else with repeated ones joined.
fn headers(http: &HttpRequest) -> Result<HeaderMap, Problem> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let raw = raw.map(|header| {
        let value =
            if header.raw_value.is_empty() { header.value.as_bytes() } else { &header.raw_value };
        (&header.key, value)
    });
    let joined = http.headers.iter().map(|(name, value)| (name, value.as_bytes()));
    let mut headers = HeaderMap::new();
    for (name, value) in
        raw.chain(joined.take(if http.header_map.is_some() { 0 } else { usize::MAX }))
    {
        // Envoy's own: method, path and host stand beside them.
        if name.starts_with(':') {
            continue;
        }
        let unusable = || refused("a header is none");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
        headers.append(name, HeaderValue::from_bytes(value).map_err(|_| unusable())?);
    }
    Ok(headers)
}

fn allowed(passage: &Passage) -> CheckResponse {
    let headers = told(passage).into_iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default().to_owned();
        // A client's own is overwritten also by nothing.
        HeaderValueOption::overwriting(name.as_str(), value)
    });
    let ok = OkHttpResponse {
        headers: headers.collect(),
        headers_to_remove: LOOKALIKES.map(str::to_owned).to_vec(),
    };
    CheckResponse {
        status: Some(RpcStatus::of(Code::Ok)),
        http_response: Some(HttpResponse::Ok(ok)),
    }
}

fn denied(problem: &Problem, request_id: &str) -> CheckResponse {
    let response = problem.response(request_id);
    let status = response.status();
    let code = match status.as_u16() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        503 => Code::Unavailable,
        _ => Code::Internal,
    };
    let headers = response.headers().iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default().to_owned();
        HeaderValueOption::overwriting(name.as_str(), value)
    });
    let answer = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::from(status.as_u16()) }),
        headers: headers.collect(),
        body: problem.body(request_id),
    };
    CheckResponse {
        status: Some(RpcStatus::of(code)),
        http_response: Some(HttpResponse::Denied(answer)),
    }
}
