//! One signed access token per request (RFC 9068), and nothing else.

use std::sync::Arc;
use std::time::{SystemTime, SystemTimeError, UNIX_EPOCH};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Form, Json};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::Error;

const ISSUER: &str = "http://127.0.0.1:3000";
const KEY_ID: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const LIFETIME: u64 = 3600;

/// A key parsed once, and the encoded header that it puts before every token.
pub(crate) struct Signer {
    header: String,
    key: Key,
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn es256() -> Result<Arc<Self>, Error> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self::new("ES256", Key::Es256(key)))
    }

    pub(crate) fn rs256() -> Result<Arc<Self>, Error> {
        Ok(Self::new("RS256", Key::Rs256(RsaKeyPair::generate(KeySize::Rsa2048)?)))
    }

    pub(crate) fn eddsa() -> Result<Arc<Self>, Error> {
        Ok(Self::new("EdDSA", Key::EdDsa(Ed25519KeyPair::generate()?)))
    }

    fn new(alg: &str, key: Key) -> Arc<Self> {
        let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KEY_ID}"}}"#);
        Arc::new(Self { header: BASE64_URL_SAFE_NO_PAD.encode(header), key })
    }

    fn compact(&self, claims: &[u8]) -> Result<String, Unspecified> {
        let mut token = format!("{}.", self.header);
        BASE64_URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let message = token.as_bytes();
        let signature = match &self.key {
            Key::Es256(key) => key.sign(&SystemRandom::new(), message)?.as_ref().to_vec(),
            Key::EdDsa(key) => key.sign(message).as_ref().to_vec(),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
                signature
            }
        };
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

#[derive(Deserialize)]
pub(crate) struct Request {
    #[expect(dead_code, reason = "parsed as in the product, and not checked")]
    grant_type: String,
    client_id: String,
    #[expect(dead_code, reason = "parsed as in the product, and not checked")]
    client_secret: String,
    scope: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    client_id: &'a str,
    aud: &'a str,
    scope: &'a str,
    jti: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    tenant: &'a str,
    cred: &'a str,
    r#gen: u64,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    scope: String,
}

pub(crate) async fn token(
    State(signer): State<Arc<Signer>>,
    Form(request): Form<Request>,
) -> Result<Json<Answer>, StatusCode> {
    let access_token = issue(&signer, &request).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(Answer {
        access_token,
        token_type: "Bearer",
        expires_in: LIFETIME,
        scope: request.scope,
    }))
}

fn issue(signer: &Signer, request: &Request) -> Result<String, Error> {
    let mut jti = [0; 16];
    rand::fill(&mut jti)?;
    let now = now()?;
    let claims = Claims {
        iss: ISSUER,
        sub: &request.client_id,
        client_id: &request.client_id,
        aud: ISSUER,
        scope: &request.scope,
        jti: &format!("{:032x}", u128::from_be_bytes(jti)),
        iat: now,
        nbf: now,
        exp: now + LIFETIME,
        tenant: "default",
        cred: "019aa5c1-7f0e-7cc3-98c4-dc0c0c07398f",
        r#gen: 1,
    };
    Ok(signer.compact(&serde_json::to_vec(&claims)?)?)
}

#[expect(clippy::disallowed_methods, reason = "the product's clock is part of what is measured")]
fn now() -> Result<u64, SystemTimeError> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
