//! `countersign token decode`: what a JWT (RFC 7519) says, read without a server and without trust.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::output::{self, Output, record};

const UNCHECKED: &str = "the signature was NOT checked: anyone could have written this";

pub(super) fn run(token: &SecretString, output: Output) -> anyhow::Result<()> {
    let decoded = decode(token.expose_secret())?;
    output.print(&decoded, for_people)?;
    output::note(UNCHECKED);
    Ok(())
}

fn decode(token: &str) -> anyhow::Result<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _signature] = parts[..] else {
        anyhow::bail!("not a JWT: expected three parts with `.` between them");
    };
    Ok(json!({
        "header": part(header).context("the header is not readable")?,
        "claims": part(claims).context("the claims are not readable")?,
    }))
}

fn part(part: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}

fn for_people(decoded: &Value) -> String {
    let mut claims = decoded["claims"].clone();
    for name in ["iat", "nbf", "exp"] {
        if let Some(time) = claims.get_mut(name) {
            readable(time);
        }
    }
    let header = record(&decoded["header"], &["alg", "typ", "kid"]);
    let claims = record(&claims, &["iss", "sub", "client_id", "aud", "scope", "iat", "nbf", "exp"]);
    format!("header\n{}\n\nclaims\n{}", indented(&header), indented(&claims))
}

/// A NumericDate (RFC 7519 section 2), with the time it means.
fn readable(time: &mut Value) {
    let seconds = time.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok());
    if let Some(moment) = seconds {
        *time = format!("{time} ({moment})").into();
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn times_are_shown_readable() {
        let token = jwt(
            r#"{"alg":"RS256","typ":"at+jwt","kid":"k1"}"#,
            r#"{"iss":"https://id.example","sub":"a1","scope":"agents:read","exp":1767225600,
                "nbf":"soon","iat":99999999999999999,"gen":0}"#,
        );
        assert_snapshot!(for_people(&decode(&token).unwrap()), @r"
        header
          alg  RS256
          typ  at+jwt
          kid  k1

        claims
          iss    https://id.example
          sub    a1
          scope  agents:read
          iat    99999999999999999
          nbf    soon
          exp    1767225600 (2026-01-01T00:00:00Z)
          gen    0
        ");
    }

    #[test]
    fn what_is_no_jwt_is_refused() {
        for (token, reason) in [
            ("op_live_00", "not a JWT: expected three parts with `.` between them"),
            ("a.b", "not a JWT: expected three parts with `.` between them"),
            ("a.b.c.d", "not a JWT: expected three parts with `.` between them"),
            ("!.e30.c2ln", "the header is not readable"),
            ("e30.bm8.c2ln", "the claims are not readable"),
        ] {
            assert_eq!(decode(token).unwrap_err().to_string(), reason);
        }
    }
}
