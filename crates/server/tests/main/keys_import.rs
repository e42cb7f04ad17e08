//! Token keys that are given (contract 1.4), and another master key.

use countersign_ground::config::{Config, Sources};
use insta::assert_snapshot;
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};

use crate::support::TestApp;

const OLD: &str = "0707070707070707070707070707070707070707070707070707070707070707";
const NEW: &str = "0808080808080808080808080808080808080808080808080808080808080808";

fn pair(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String) {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    (pair.serialize_pem(), pair.public_key_pem())
}

async fn keys(app: &TestApp) -> Vec<Value> {
    let page = app.operator().get("/api/v1/keys").await.expect(200);
    page["data"].as_array().unwrap().clone()
}

async fn active(app: &TestApp) -> Value {
    keys(app).await.into_iter().find(|key| key["state"] == "active").unwrap()
}

fn faults(settings: &[(&str, &str)]) -> String {
    let flags = settings.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    let faults = Config::load(&Sources { flags, ..Sources::default() }).unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_given_pair_signs_from_the_first_start_on_whatever_its_algorithm() {
    for (algorithm, alg) in
        [(&PKCS_RSA_SHA256, "RS256"), (&PKCS_ECDSA_P256_SHA256, "ES256"), (&PKCS_ED25519, "EdDSA")]
    {
        let (private, public) = pair(algorithm);
        // As it stands in an environment variable of one line.
        let private = private.replace('\n', "\\n");
        let app =
            TestApp::with(&[("JWT_PRIVATE_KEY", &private), ("JWT_PUBLIC_KEY", &public)]).await;
        let key = active(&app).await;
        assert_eq!((&key["alg"], &key["origin"]), (&json!(alg), &json!("imported")));
        let agent = app.agent("screener", &["agents:read"]).await;
        let token = app.token(&agent).await;
        assert!(app.is_live(&token).await, "{alg}");
        assert_eq!(app.events("key.imported").await.len(), 1);
    }
}

#[tokio::test]
async fn a_pair_new_to_the_ring_becomes_active_the_former_retires_and_a_known_one_changes_nothing()
{
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let (generated, token) = (active(&app).await, app.token(&agent).await);
    let (private, public) = pair(&PKCS_ECDSA_P256_SHA256);
    let app = app.restart_with(&[("JWT_PRIVATE_KEY", &private), ("JWT_PUBLIC_KEY", &public)]).await;
    let imported = active(&app).await;
    assert_ne!(imported["kid"], generated["kid"]);
    let former = keys(&app).await.into_iter().find(|key| key["kid"] == generated["kid"]).unwrap();
    assert_eq!(former["state"], "retiring");
    assert!(app.is_live(&token).await, "no live token breaks");

    let app = app.restart().await;
    assert_eq!(active(&app).await["kid"], imported["kid"]);
    let kid = imported["kid"].as_str().unwrap();
    app.operator().post(&format!("/api/v1/keys/{kid}/revoke"), json!({})).await.expect(200);
    let app = app.restart().await;
    assert_ne!(active(&app).await["kid"], imported["kid"], "a revoked pair stays revoked");
    assert_eq!(app.events("key.imported").await.len(), 1);
}

#[test]
fn a_pair_that_can_not_be_used_is_named_before_anything_begins() {
    let (private, public) = pair(&PKCS_ECDSA_P256_SHA256);
    let (_, other) = pair(&PKCS_ECDSA_P256_SHA256);
    let (unsupported, its_public) = pair(&PKCS_ECDSA_P384_SHA384);
    let faults = [
        faults(&[("JWT_PRIVATE_KEY", &private)]),
        faults(&[("JWT_PUBLIC_KEY", &public)]),
        faults(&[("JWT_PRIVATE_KEY", &private), ("JWT_PUBLIC_KEY", &other)]),
        faults(&[("JWT_PRIVATE_KEY", &unsupported), ("JWT_PUBLIC_KEY", &its_public)]),
        faults(&[("JWT_PRIVATE_KEY", &public), ("JWT_PUBLIC_KEY", &public)]),
        faults(&[("JWT_PRIVATE_KEY", "hunter2"), ("JWT_PUBLIC_KEY", &private)]),
    ];
    assert_snapshot!(faults.join("\n"), @r"
    JWT_PUBLIC_KEY: must be given together with JWT_PRIVATE_KEY
    JWT_PRIVATE_KEY: must be given together with JWT_PUBLIC_KEY
    JWT_PUBLIC_KEY: must be the public key of JWT_PRIVATE_KEY
    JWT_PRIVATE_KEY: must be RSA of 2048 to 8192 bits, P-256 or Ed25519 (from the flag)
    JWT_PRIVATE_KEY: must be a private key in PEM (PKCS#8, PKCS#1 or SEC1) (from the flag)
    JWT_PRIVATE_KEY: must be a private key in PEM (PKCS#8, PKCS#1 or SEC1) (from the flag)
    JWT_PUBLIC_KEY: must be a public key in PEM (from the flag)
    ");
}

#[tokio::test]
async fn what_a_former_master_key_sealed_is_sealed_anew() {
    let app = TestApp::with(&[("MASTER_KEY", OLD)]).await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    countersign_server::jobs::ensure_next_key(&app.server.app).await.unwrap();
    app.server.seal().await.unwrap();
    let app = app.restart_with(&[("MASTER_KEY", NEW), ("MASTER_KEY_PREVIOUS", OLD)]).await;
    assert!(app.is_live(&token).await);
    let path = "/api/v1/keys/reseal";
    let resealed = app.operator().post(path, json!({})).await.expect(200);
    assert_eq!(
        resealed,
        json!({"resealed": 4, "total": 4}),
        "two token keys, a digest key, one of seals"
    );
    let again = app.operator().post(path, json!({})).await.expect(200);
    assert_eq!(again, json!({"resealed": 0, "total": 4}));
    let app = app.restart_with(&[("MASTER_KEY", NEW)]).await;
    assert!(app.is_live(&token).await);
    app.token(&agent).await;
}
