//! Envoy's external authorization, asked by a client made from Envoy's own definitions.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::address::Address as Of;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::forward::routes;
use crate::support::{MACHINE, TestApp};

struct Envoy(AuthorizationClient<Channel>);

/// A server that Envoy may ask, and an Envoy.
async fn started(settings: &[(&str, &str)]) -> (TestApp, Envoy) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = port.to_string();
    let app = TestApp::with(&[settings, &[("EXT_AUTHZ_PORT", &port)]].concat()).await;
    let address = format!("http://{}", app.server.ext_authz_address.unwrap());
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    (app, Envoy(AuthorizationClient::new(channel)))
}

/// A request as Envoy tells of it, from this address.
fn request(what: &str, headers: &[(&str, &str)]) -> CheckRequest {
    let (method, path) = what.split_once(' ').unwrap();
    let mut all: HashMap<String, String> = HashMap::new();
    for (name, value) in
        [(":method", method), (":path", path), (":authority", "npu.example")].iter().chain(headers)
    {
        all.entry((*name).into())
            .and_modify(|known| *known += &format!(",{value}"))
            .or_insert((*value).into());
    }
    let http = HttpRequest {
        method: method.into(),
        path: path.into(),
        host: "npu.example".into(),
        scheme: "https".into(),
        protocol: "HTTP/2".into(),
        headers: all,
        ..HttpRequest::default()
    };
    let socket = SocketAddress { address: "203.0.113.7".into(), ..SocketAddress::default() };
    let source = Peer {
        address: Some(Address { address: Some(Of::SocketAddress(socket)) }),
        ..Peer::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(source),
            request: Some(Request { http: Some(http), ..Request::default() }),
            ..AttributeContext::default()
        }),
    }
}

impl Envoy {
    async fn asks(&self, request: CheckRequest) -> CheckResponse {
        self.0.clone().check(request).await.unwrap().into_inner()
    }
}

/// The headers that the service gets, each overwritten, also by nothing.
#[track_caller]
fn passed(answer: CheckResponse) -> HashMap<String, String> {
    assert_eq!(answer.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("not allowed") };
    for name in ["x_caller_id", "x_caller_type", "x_caller_roles", "x_decision_id"] {
        assert!(ok.headers_to_remove.contains(&name.to_owned()), "{name}");
    }
    let headers = ok.headers.into_iter().map(|one| {
        assert_eq!(one.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        assert!(one.keep_empty_value);
        let header = one.header.unwrap();
        (header.key, header.value)
    });
    headers.collect()
}

/// Status, body and headers of a denial.
#[track_caller]
fn refused(answer: CheckResponse) -> (i32, Value, HashMap<String, String>) {
    let code = answer.status.unwrap().code;
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else {
        panic!("allowed")
    };
    let status = denied.status.unwrap().code;
    let expected = match status {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        _ => Code::Unavailable,
    };
    assert_eq!(code, i32::from(expected));
    let headers = denied.headers.into_iter().filter_map(|one| one.header);
    let headers = headers.map(|header| (header.key, header.value)).collect();
    (status, serde_json::from_str(&denied.body).unwrap(), headers)
}

async fn table(app: &TestApp) {
    routes(
        app,
        json!([
            {"path": "/npu/*", "methods": ["POST"], "permission": "npu:write"},
            {"path": "/npu/*", "methods": ["GET"], "callers": ["machine"]},
            {"path": "/open", "public": true},
        ]),
    )
    .await;
}

#[tokio::test]
async fn whoever_may_passes_with_the_headers_that_tell_who_it_is() {
    let (app, envoy) = started(&[]).await;
    table(&app).await;
    let agent = app.agent("writer", &["npu:write"]).await;
    let bearer = format!("Bearer {}", app.token(&agent).await);
    let forged = [("x-caller-id", "root"), ("x-caller-roles", "infra"), ("x_caller_id", "root")];
    let credential = ("authorization", &*bearer);
    let headers = [&[credential][..], &forged].concat();
    let told = passed(envoy.asks(request("POST /npu/1?x=1", &headers)).await);
    assert_eq!((&*told["x-caller-type"], &told["x-caller-id"]), ("agent", &agent.id));
    assert_eq!(told["x-caller-roles"], "");
    let decided = app.events("decision.made").await;
    assert_eq!(decided[0]["decisionId"], told["x-decision-id"]);
    assert_eq!(decided[0]["ipAddress"], "203.0.113.7");
    let told = passed(envoy.asks(request("GET /npu/1", &[("x-machine-token", MACHINE)])).await);
    assert_eq!((&*told["x-caller-type"], &*told["x-caller-roles"]), ("machine", "machine"));
    let told = passed(envoy.asks(request("GET /open", &forged)).await);
    assert!(told.len() == 4 && told.values().all(String::is_empty), "{told:?}");
}

#[tokio::test]
async fn whoever_may_not_gets_the_same_answer_as_at_the_other_doors() {
    let (app, envoy) = started(&[]).await;
    table(&app).await;
    let agent = app.agent("reader", &["npu:read"]).await;
    let bearer = format!("Bearer {}", app.token(&agent).await);
    let credential = ("authorization", &*bearer);
    for (headers, what, status, reason) in [
        (vec![], "POST /npu/1", 401, "no-credentials"),
        (vec![("authorization", "Bearer nonsense")], "POST /npu/1", 401, "invalid-token"),
        (vec![credential], "POST /npu/1", 403, "insufficient-permissions"),
        (vec![credential, credential], "POST /npu/1", 401, "invalid-token"),
        (vec![credential], "GET /npu/1", 403, "caller_not_listed"),
        (vec![credential], "PUT /npu/1", 403, "method_not_listed"),
        (vec![], "GET /elsewhere", 403, "no_matching_rule"),
        (vec![], "GET /open/..;/npu/1", 403, "ambiguous_path"),
        (vec![], "OPTIONS *", 403, "ambiguous_path"),
        (vec![("x-http-method-override", "DELETE")], "GET /open", 403, "method_override"),
    ] {
        let (code, problem, headers) = refused(envoy.asks(request(what, &headers)).await);
        assert_eq!((code, &problem["reason"]), (status, &json!(reason)), "{what}");
        assert_eq!(headers["x-decision-id"], problem["decision_id"]);
        assert_eq!(
            headers.contains_key("www-authenticate"),
            status == 401 || reason == "insufficient-permissions"
        );
    }
}

#[tokio::test]
async fn headers_as_they_were_sent_count_where_envoy_tells_them_so() {
    let (app, envoy) = started(&[]).await;
    table(&app).await;
    let raw = |name: &str, value: &[u8]| HeaderValue {
        key: name.into(),
        raw_value: value.into(),
        ..HeaderValue::default()
    };
    let with = |headers: Vec<HeaderValue>| {
        let mut request = request("GET /npu/1", &[("x-machine-token", "not this one")]);
        let http =
            request.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
        http.header_map = Some(HeaderMap { headers });
        request
    };
    let token = || raw("X-Machine-Token", MACHINE.as_bytes());
    passed(envoy.asks(with(vec![raw(":path", b"/npu/1"), token()])).await);
    let (status, problem, _) = refused(envoy.asks(with(vec![token(), token()])).await);
    assert_eq!((status, &problem["reason"]), (401, &json!("repeated-header")));
    // Envoy says `/npu/!!../admin` of it.
    let (status, problem, _) =
        refused(envoy.asks(with(vec![raw(":path", b"/npu/\xc0\xaf../admin"), token()])).await);
    assert_eq!((status, &problem["reason"]), (403, &json!("ambiguous_path")));
    for broken in [raw("a b", b""), raw("", b""), raw("x", b"a\nb")] {
        assert_eq!(refused(envoy.asks(with(vec![token(), broken])).await).0, 403);
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused() {
    let (app, envoy) = started(&[]).await;
    routes(&app, json!([{"path": "/*", "public": true}])).await;
    for attributes in [
        None,
        Some(AttributeContext::default()),
        Some(AttributeContext { request: Some(Request::default()), ..AttributeContext::default() }),
    ] {
        assert_eq!(refused(envoy.asks(CheckRequest { attributes }).await).0, 403);
    }
    let long = format!("GET /{}", "a".repeat(2 << 20));
    let error = envoy.0.clone().check(request(&long, &[])).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    passed(envoy.asks(request("GET /still/here", &[])).await);

    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let url = format!("http://{}", app.server.ext_authz_address.unwrap());
    let path = "/envoy.service.auth.v3.Authorization/Check";
    let post = |path: &str, body: &'static [u8]| {
        client.post(format!("{url}{path}")).header("content-type", "application/grpc").body(body)
    };
    for (body, code) in [
        (&b""[..], "13"),
        (b"\0\0\0\0\x05abc", "13"),
        (b"\x01\0\0\0\0", "13"),
        (b"\0\0\0\0\x02\xff\xff", "13"),
    ] {
        let answer = post(path, body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["grpc-status"], code, "{body:?}");
    }
    assert_eq!(post("/v1/check", b"").send().await.unwrap().status(), 404);
    assert_eq!(client.get(format!("{url}{path}")).send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn only_a_trusted_proxy_may_ask() {
    let (_app, envoy) = started(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    let error = envoy.0.clone().check(request("GET /", &[])).await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
    assert!(error.message().contains("TRUSTED_PROXIES"), "{error}");
}

#[tokio::test]
async fn many_at_once_on_one_connection_are_all_answered() {
    let (app, envoy) = started(&[]).await;
    table(&app).await;
    let asking = (0..500).map(|n| {
        let token = if n % 2 == 0 { MACHINE } else { "nonsense" };
        let asked = request("GET /npu/1", &[("x-machine-token", token)]);
        let envoy = &envoy;
        async move { (n, envoy.asks(asked).await) }
    });
    for (n, answer) in futures_util::future::join_all(asking).await {
        match n % 2 {
            0 => drop(passed(answer)),
            _ => assert_eq!(refused(answer).0, 401),
        }
    }
}
