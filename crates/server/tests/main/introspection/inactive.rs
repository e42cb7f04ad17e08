//! Tokens of which nothing is told but that they are not good (RFC 7662 section 2.2).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_ground::keyring::{Algorithm, TokenKey};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::NAMES;
use crate::support::{TestAgent, TestApp};
use crate::tokens::{part, set};

async fn app_with_token() -> (TestApp, TestAgent, String) {
    let app = TestApp::start().await;
    let agent = app.agent("screener", &["agents:read"]).await;
    let token = app.token(&agent).await;
    assert!(app.is_live(&token).await);
    (app, agent, token)
}

#[track_caller]
fn same(told: &Value, what: &str) {
    assert_eq!(told, &json!({"active": false}), "{what}");
}

async fn must_be_inactive(app: &TestApp, token: &str) {
    let answer = app.operator().form(NAMES[0], &[("token", token)]).await;
    let shown: String = token.chars().take(100).collect();
    same(&answer.expect(200), &shown);
}

fn encoded(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

#[tokio::test]
async fn of_a_token_that_has_ended_nothing_is_told() {
    let (app, agent, revoked) = app_with_token().await;
    app.operator().form("/api/v1/token/revoke", &[("token", &revoked)]).await.expect(200);
    must_be_inactive(&app, &revoked).await;

    let expired = app.token(&agent).await;
    app.pass(std::time::Duration::from_secs(3600));
    must_be_inactive(&app, &expired).await;

    let suspended = app.token(&agent).await;
    set(&app, &agent, json!({"status": "suspended"})).await;
    must_be_inactive(&app, &suspended).await;
    set(&app, &agent, json!({"status": "active"})).await;
    must_be_inactive(&app, &suspended).await;

    let of_credential = app.token(&agent).await;
    let path = format!("/api/v1/agents/{}/credentials/{}", agent.id, agent.credential);
    app.operator().delete(&path).await.expect(204);
    must_be_inactive(&app, &of_credential).await;

    let agent = app.agent("other", &["agents:read"]).await;
    let decommissioned = app.token(&agent).await;
    app.operator().delete(&format!("/api/v1/agents/{}", agent.id)).await.expect(204);
    must_be_inactive(&app, &decommissioned).await;
}

#[tokio::test]
async fn of_what_is_no_token_nothing_is_told() {
    let (app, _, token) = app_with_token().await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    for malformed in [
        "x".to_owned(),
        ".".into(),
        "..".into(),
        "...".into(),
        "é.ü.ß".into(),
        format!("{token}."),
        format!("{token}.."),
        format!(".{token}"),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("{token}="),
        format!("{token}.{signature}"),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{claims}=.{signature}"),
        format!("{header}.{claims}.{signature}").to_uppercase(),
    ] {
        must_be_inactive(&app, &malformed).await;
    }
}

#[tokio::test]
async fn no_part_of_a_token_is_good_by_itself() {
    let (app, _, token) = app_with_token().await;
    for length in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let now = app.clock.now();
        assert!(app.server.app.law.tokens.live(&token[..length], now).is_none(), "{length}");
    }
    must_be_inactive(&app, &token[..token.len() - 1]).await;
}

#[tokio::test]
async fn no_bit_of_a_token_may_change() {
    let (app, _, token) = app_with_token().await;
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            let now = app.clock.now();
            assert!(app.server.app.law.tokens.live(&changed, now).is_none(), "{at}, {bit}");
        }
    }
    must_be_inactive(&app, &token.replacen("eyJ", "eyK", 1)).await;
}

/// Signed well, by a key that is not in the ring, under the header that the ring's key writes.
#[tokio::test]
async fn another_key_signs_nothing_that_is_good() {
    let (app, _, token) = app_with_token().await;
    let (message, _) = token.rsplit_once('.').unwrap();
    let der = TokenKey::generate(Algorithm::Es256).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
    must_be_inactive(&app, &format!("{message}.{signature}")).await;

    let other = TokenKey::from_pkcs8(Algorithm::Es256, &der).unwrap();
    let claims = part(&token, 1).to_string();
    must_be_inactive(&app, &other.sign(claims.as_bytes()).unwrap()).await;
}

#[tokio::test]
async fn a_header_chooses_nothing() {
    let (app, _, token) = app_with_token().await;
    let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let header = part(&token, 0);
    for (member, values) in [
        ("alg", vec![json!("none"), json!("None"), json!("RS256"), json!("HS256"), json!(null)]),
        ("typ", vec![json!("JWT"), json!("application/at+jwt"), json!(null)]),
        ("kid", vec![json!(""), json!("other"), json!("../../etc/passwd"), json!(null)]),
        ("crit", vec![json!(["exp"])]),
        ("b64", vec![json!(false)]),
        ("jku", vec![json!("https://attacker.example/jwks.json")]),
    ] {
        for value in values {
            let mut changed = header.clone();
            changed[member] = value;
            let changed = encoded(&changed);
            for signature in [signature, ""] {
                must_be_inactive(&app, &format!("{changed}.{claims}.{signature}")).await;
            }
        }
    }
}

/// The classic confusion: the published key as the secret of an HMAC.
#[tokio::test]
async fn the_public_key_is_no_secret_to_sign_with() {
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let (app, _, token) = app_with_token().await;
    let kid = part(&token, 0)["kid"].as_str().unwrap().to_owned();
    let key = app.server.app.keys.verifying(&kid).unwrap();
    let jwk = serde_json::to_string(key.key.jwk()).unwrap();
    for secret in [jwk.as_bytes(), key.key.jwk().x.as_ref().unwrap().as_bytes(), b""] {
        let header = Header {
            kid: Some(kid.clone()),
            typ: Some("at+jwt".into()),
            ..Header::new(jsonwebtoken::Algorithm::HS256)
        };
        let claims = part(&token, 1);
        let forged = encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
        must_be_inactive(&app, &forged).await;
    }
}

#[tokio::test]
async fn a_huge_token_is_answered_like_any_other() {
    let (app, _, token) = app_with_token().await;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let padding = "A".repeat(900 << 10);
    for huge in [
        padding.clone(),
        format!("{header}.{claims}{padding}.{signature}"),
        format!("{token}{padding}"),
        ".".repeat(200 << 10),
    ] {
        must_be_inactive(&app, &huge).await;
    }
}

/// A token says whose it is; the ring is asked by its issuer's name, too.
#[tokio::test]
async fn a_token_of_another_issuer_with_the_same_keys_is_not_good() {
    let (app, _, token) = app_with_token().await;
    let kid = part(&token, 0)["kid"].as_str().unwrap().to_owned();
    let key = app.server.app.keys.verifying(&kid).unwrap();
    let mut claims = part(&token, 1);
    let signed = |claims: &Value| key.key.sign(claims.to_string().as_bytes()).unwrap();
    assert!(app.is_live(&signed(&claims)).await, "signed again as it was");
    for (member, value) in [
        ("iss", json!("https://other.example")),
        ("tenant", json!("elsewhere")),
        ("gen", json!(0)),
        ("cred", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        ("sub", json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        ("exp", json!(0)),
        ("nbf", json!(i64::MAX)),
        ("scope", json!("")),
        ("jti", json!("short")),
    ] {
        let was = std::mem::replace(&mut claims[member], value);
        must_be_inactive(&app, &signed(&claims)).await;
        claims[member] = was;
    }
}
