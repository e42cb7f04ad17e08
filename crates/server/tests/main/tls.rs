//! HTTPS, and client certificates as a caller's proof (RFC 8705).

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, Identity, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, OPERATOR, TestApp};

/// A certificate with its key.
struct Certified {
    pem: String,
    key: String,
    thumbprint: String,
}

/// An authority, and the files that a server is told of.
struct Pki {
    folder: TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { folder: tempfile::tempdir().unwrap(), authority };
        std::fs::write(pki.file("ca.pem"), pki.authority.pem()).unwrap();
        pki.serve("server");
        pki
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the server's files, of a certificate of its own.
    fn serve(&self, common_name: &str) {
        let server = self.certify(common_name);
        std::fs::write(self.file("server.pem"), server.pem).unwrap();
        std::fs::write(self.file("server.key"), server.key).unwrap();
    }

    fn certify(&self, common_name: &str) -> Certified {
        use base64::Engine as _;
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der().as_ref());
        Certified {
            pem: certificate.pem(),
            key: key.serialize_pem(),
            thumbprint: base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref()),
        }
    }

    async fn app(&self, mutual: bool) -> TestApp {
        let path = |name: &str| self.file(name).to_str().unwrap().to_owned();
        let (certificate, key, authority) =
            (path("server.pem"), path("server.key"), path("ca.pem"));
        let mut settings = vec![("TLS_CERT_FILE", &*certificate), ("TLS_KEY_FILE", &*key)];
        if mutual {
            settings.push(("TLS_CLIENT_CA_FILE", &authority));
        }
        TestApp::with(&settings).await
    }

    fn client(&self, certified: Option<&Certified>) -> Client {
        let root = Certificate::from_pem(self.authority.pem().as_bytes()).unwrap();
        let mut builder = Client::builder().no_proxy().tls_certs_only([root]);
        if let Some(one) = certified {
            let identity = format!("{}{}", one.pem, one.key);
            builder = builder.identity(Identity::from_pem(identity.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }
}

fn url(app: &TestApp, path: &str) -> String {
    format!("https://{}{path}", app.server.address)
}

async fn ask(client: &Client, app: &TestApp, bearer: Option<&str>, path: &str) -> Answer {
    let mut request = client.request(Method::GET, url(app, path));
    if let Some(token) = bearer {
        request = request.bearer_auth(token);
    }
    Answer::to(request).await
}

/// Registers an agent that proves itself by this certificate; gives its id.
async fn agent(pki: &Pki, app: &TestApp, name: &str, certified: &Certified) -> String {
    let operator = pki.client(None);
    let post = |path: String, body: Value| {
        Answer::to(operator.post(url(app, &path)).bearer_auth(OPERATOR).json(&body))
    };
    let mut body = crate::support::new_agent(name);
    body["scopes"] = json!(["agents:read", "tokens:read"]);
    let made = post("/api/v1/agents".into(), body).await.expect(201);
    let id = made["agentId"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/agents/{id}/credentials");
    let credential = json!({"certificateThumbprint": certified.thumbprint});
    let made = post(path, credential).await.expect(201);
    assert!(made.get("clientSecret").is_none(), "{made}");
    id
}

async fn token(client: &Client, app: &TestApp, id: &str) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_id", id)];
    Answer::to(client.post(url(app, "/api/v1/token")).form(&form)).await
}

#[tokio::test]
async fn https_is_served_and_the_issuer_says_so() {
    let pki = Pki::new();
    let app = pki.app(false).await;
    let path = "/.well-known/oauth-authorization-server";
    let metadata = ask(&pki.client(None), &app, None, path).await.expect(200);
    assert_eq!(metadata["issuer"], format!("https://{}", app.server.address));
    assert!(!metadata.to_string().contains("tls_client"), "no certificate is asked for");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(app.url("/healthz")).send().await.is_err(), "plain HTTP is not answered");
}

#[tokio::test]
async fn a_bound_certificate_is_its_agent_with_all_that_it_holds() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let certified = pki.certify("screener");
    let id = agent(&pki, &app, "screener", &certified).await;
    let itself = pki.client(Some(&certified));
    let who = ask(&itself, &app, None, "/api/v1/whoami").await.expect(200);
    assert_eq!((&who["type"], &who["id"]), (&json!("agent"), &json!(id)));
    assert_eq!(who["scopes"], json!(["agents:read", "tokens:read"]));
    ask(&itself, &app, None, "/api/v1/agents").await.expect(200);
    ask(&itself, &app, None, "/api/v1/operators").await.problem(403, "INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn a_certificate_that_is_bound_to_nobody_proves_nobody() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let stranger = pki.client(Some(&pki.certify("stranger")));
    ask(&stranger, &app, None, "/api/v1/whoami").await.problem(401, "UNAUTHORIZED");
    ask(&stranger, &app, Some(OPERATOR), "/api/v1/whoami").await.expect(200);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_let_in() {
    let (pki, other) = (Pki::new(), Pki::new());
    let app = pki.app(true).await;
    let forged = pki.client(Some(&other.certify("screener")));
    assert!(forged.get(url(&app, "/healthz")).send().await.is_err());
}

#[tokio::test]
async fn a_certificate_and_the_token_of_somebody_else_name_two_callers() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let (one, other) = (pki.certify("one"), pki.certify("other"));
    agent(&pki, &app, "one", &one).await;
    let id = agent(&pki, &app, "other", &other).await;
    let issued = token(&pki.client(Some(&other)), &app, &id).await.expect(200);
    let stolen = issued["access_token"].as_str().unwrap();
    let thief = pki.client(Some(&one));
    for token in [stolen, OPERATOR] {
        ask(&thief, &app, Some(token), "/api/v1/whoami").await.problem(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_token_got_by_a_certificate_is_bound_to_it() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let certified = pki.certify("screener");
    let id = agent(&pki, &app, "screener", &certified).await;
    let itself = pki.client(Some(&certified));
    let issued = token(&itself, &app, &id).await.expect(200);
    let bound = issued["access_token"].as_str().unwrap();
    ask(&itself, &app, Some(bound), "/api/v1/whoami").await.expect(200);
    let thief = pki.client(None);
    let refused = ask(&thief, &app, Some(bound), "/api/v1/whoami").await;
    assert_eq!(refused.problem(401, "UNAUTHORIZED")["reason"], "other-certificate");
    let request = thief.post(url(&app, "/api/v1/token/introspect")).bearer_auth(OPERATOR);
    let said = Answer::to(request.form(&[("token", bound)])).await.expect(200);
    assert_eq!(said["cnf"], json!({"x5t#S256": certified.thumbprint}));
}

#[tokio::test]
async fn a_certificate_asks_for_tokens_of_its_own_agent_only() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let (one, other) = (pki.certify("one"), pki.certify("other"));
    agent(&pki, &app, "one", &one).await;
    let id = agent(&pki, &app, "other", &other).await;
    token(&pki.client(Some(&one)), &app, &id).await.oauth(401, "invalid_client");
    token(&pki.client(None), &app, &id).await.oauth(401, "invalid_client");
    token(&pki.client(Some(&pki.certify("x"))), &app, &id).await.oauth(401, "invalid_client");
}

#[tokio::test]
async fn a_stopped_agents_certificate_proves_nothing() {
    let pki = Pki::new();
    let app = pki.app(true).await;
    let certified = pki.certify("screener");
    let id = agent(&pki, &app, "screener", &certified).await;
    let (operator, itself) = (pki.client(None), pki.client(Some(&certified)));
    let issued = token(&itself, &app, &id).await.expect(200);
    let before = issued["access_token"].as_str().unwrap();
    let patch = operator.patch(url(&app, &format!("/api/v1/agents/{id}"))).bearer_auth(OPERATOR);
    Answer::to(patch.json(&json!({"status": "suspended"}))).await.expect(200);
    ask(&itself, &app, None, "/api/v1/whoami").await.problem(401, "UNAUTHORIZED");
    ask(&itself, &app, Some(before), "/api/v1/whoami").await.problem(401, "UNAUTHORIZED");
    token(&itself, &app, &id).await.oauth(403, "unauthorized_client");
}

#[tokio::test]
async fn other_certificates_are_served_without_a_restart_and_unusable_ones_are_not() {
    let pki = Pki::new();
    let app = pki.app(false).await;
    let tls = app.server.app.tls.as_ref().unwrap();
    let serve = |pem: &Path, text: &str| {
        std::fs::write(pem, text).unwrap();
        // Two writes within the file system's resolution of time look like none.
        let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1);
        std::fs::File::options().write(true).open(pem).unwrap().set_modified(later).unwrap();
    };
    assert!(!tls.refresh().unwrap(), "nothing has changed");
    let other = Pki::new();
    let pem = std::fs::read_to_string(other.file("server.pem")).unwrap();
    serve(&pki.file("server.pem"), "no certificate");
    assert!(tls.refresh().is_err());
    pki.client(None).get(url(&app, "/healthz")).send().await.unwrap();
    std::fs::copy(other.file("server.key"), pki.file("server.key")).unwrap();
    serve(&pki.file("server.pem"), &pem);
    assert!(tls.refresh().unwrap());
    assert!(pki.client(None).get(url(&app, "/healthz")).send().await.is_err());
    other.client(None).get(url(&app, "/healthz")).send().await.unwrap();
}
