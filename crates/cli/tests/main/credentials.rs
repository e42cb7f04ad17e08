use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use insta::assert_snapshot;
use serde_json::json;

use crate::double::{Double, answer, text};
use crate::run;

fn made() -> serde_json::Value {
    json!({
        "credentialId": "c1", "clientId": "a1", "clientSecret": "sk_live_00", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "expiresAt": null,
    })
}

#[test]
fn a_secret_is_shown_with_a_warning() {
    let double = Double::answering([answer(201, made()), answer(201, made())]);
    let ran = run(&double, &["credentials", "create", "a1"]);
    assert_eq!(ran.code, Some(0));
    assert_snapshot!(ran.stdout, @r"
    credentialId  c1
    clientId      a1
    clientSecret  sk_live_00
    status        active
    createdAt     2026-01-31T12:00:00.000Z
    expiresAt     -
    ");
    assert_snapshot!(ran.stderr, @"the client secret is shown only this once: store it now");

    let when = "2027-01-01T00:00:00Z";
    run(&double, &["credentials", "create", "a1", "--expires-at", when]);
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/agents/a1/credentials {}
    POST /api/v1/agents/a1/credentials {"expiresAt":"2027-01-01T00:00:00Z"}
    "#);
}

#[test]
fn a_rotation_may_leave_the_old_secret_some_time() {
    let double = Double::answering([answer(200, made()), answer(200, made())]);
    let ran = run(&double, &["credentials", "rotate", "a1", "c1", "--output", "json"]);
    assert!(ran.stdout.contains(r#""clientSecret": "sk_live_00""#), "{}", ran.stdout);
    assert!(ran.stderr.contains("only this once"), "{}", ran.stderr);
    run(&double, &["credentials", "rotate", "a1", "c1", "--grace-seconds", "60"]);
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/agents/a1/credentials/c1/rotate {}
    POST /api/v1/agents/a1/credentials/c1/rotate {"graceSeconds":60}
    "#);
}

#[test]
fn credentials_are_listed_and_revoked() {
    let listed = json!({"data": [{
        "credentialId": "c1", "clientId": "a1", "status": "active",
        "createdAt": "2026-01-31T12:00:00.000Z", "lastUsedAt": null, "lastUsedFrom": null,
    }], "page": 1, "limit": 20, "total": 1});
    let double = Double::answering([answer(200, listed), text(204, "")]);
    assert_snapshot!(run(&double, &["credentials", "list", "a1"]).stdout, @r"
    CREDENTIAL  STATUS  CREATED                   EXPIRES  LAST USED  FROM  CERTIFICATE
    c1          active  2026-01-31T12:00:00.000Z  -        -          -     -
    ");
    assert_snapshot!(run(&double, &["credentials", "revoke", "a1", "c1"]).stdout, @"credential c1 is revoked");
    assert_snapshot!(double.lines(), @r"
    GET /api/v1/agents/a1/credentials
    DELETE /api/v1/agents/a1/credentials/c1
    ");
}

/// Of a key that was thrown away.
const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUdrtCHyRHHuw7jYYTKvscpHOZXkMwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRY3ZAYWdlbnRzLmV4YW1wbGUwIBcNMjYxMTIyMDgwODU3WhgP
MjEyNjEwMjkwODA4NTdaMBwxGjAYBgNVBAMMEWN2QGFnZW50cy5leGFtcGxlMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnui1iSjSX8Il36ER4iwxtUJUWgWXvGeK
fcxLMPEfZl0XGXRoe4nc24c4ihl/d1vqKPKY6KInKza0Hg79DgtyC6NTMFEwHQYD
VR0OBBYEFN8AvYnTSEey0AB2anIZ16DhcmlnMB8GA1UdIwQYMBaAFN8AvYnTSEey
0AB2anIZ16DhcmlnMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIh
AIVvqF02Zc06N/P7kXigKqv6KSsNW54oKpSCvLdehJR7AiAzxUlY5XAnzd7MkQ8l
6PO349fmnxxJjRCipzHtS+vpyQ==
-----END CERTIFICATE-----
";

#[test]
fn a_certificate_stands_for_a_secret() {
    let made = json!({
        "credentialId": "c1", "clientId": "a1", "status": "active",
        "certificateThumbprint": "4BoOiWd49PlmUPF_LgdNhT4Sdck8oL7hvE8frU-Ocn8",
        "createdAt": "2026-01-31T12:00:00.000Z",
    });
    let double = Double::answering([answer(201, made.clone()), answer(201, made)]);
    let folder = tempfile::tempdir().unwrap();
    let base64: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).unwrap();
    let chain = format!("the agent's own first\n{CERTIFICATE}{}", "-----BEGIN JUNK-----\n");
    let create = |bytes: &[u8]| {
        let file = folder.path().join("certificate");
        fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        run(&double, &["credentials", "create", "a1", "--certificate", file])
    };
    let (from_pem, from_der) = (create(chain.as_bytes()), create(&der));
    assert_eq!((from_pem.code, &from_pem.stdout), (Some(0), &from_der.stdout));
    assert_snapshot!(from_pem.stdout, @r"
    credentialId           c1
    clientId               a1
    certificateThumbprint  4BoOiWd49PlmUPF_LgdNhT4Sdck8oL7hvE8frU-Ocn8
    status                 active
    createdAt              2026-01-31T12:00:00.000Z
    ");
    assert_snapshot!(from_pem.stderr, @"no secret is needed: the agent proves itself with this certificate");
    // The thumbprint is what `openssl x509 -outform DER | openssl dgst -sha256` says.
    assert_snapshot!(double.lines(), @r#"
    POST /api/v1/agents/a1/credentials {"certificateThumbprint":"4BoOiWd49PlmUPF_LgdNhT4Sdck8oL7hvE8frU-Ocn8"}
    POST /api/v1/agents/a1/credentials {"certificateThumbprint":"4BoOiWd49PlmUPF_LgdNhT4Sdck8oL7hvE8frU-Ocn8"}
    "#);
}

#[test]
fn what_is_no_certificate_is_not_sent() {
    let double = Double::answering([]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c");
    let path = file.to_str().unwrap();
    let create = ["credentials", "create", "a1", "--certificate", path];
    let mut said = run(&double, &create).stderr;
    for bytes in
        ["", "hello", &CERTIFICATE[..400], concat!("-----BEGIN", " PRIVATE KEY-----\nAAAA\n")]
    {
        fs::write(&file, bytes).unwrap();
        let ran = run(&double, &create);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
        said += &ran.stderr;
    }
    assert_snapshot!(said.replace(path, "FILE"), @r"
    error: cannot read `FILE`: No such file or directory (os error 2)
    error: `FILE` holds no certificate, neither as PEM nor as DER
    error: `FILE` holds no certificate, neither as PEM nor as DER
    error: `FILE` holds no certificate, neither as PEM nor as DER
    error: `FILE` holds no certificate, neither as PEM nor as DER
    ");
}
