//! Settings that can't be used: each is named, all at once, before anything is begun.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use countersign_ground::config::SETTINGS;

use crate::database::{Database, MASTER_KEY};
use crate::server::{ran_within, refused, serve};
use crate::{Ran, countersign};

/// Values that no server can use. A setting that is not here takes any text.
const WRONG: &[(&str, &[&str])] = &[
    ("HOST", &["nowhere.example", "127.0.0.1:3000", "256.0.0.1"]),
    ("PORT", &["http", "-1", "65536", "3000.0"]),
    (
        "DATABASE_URL",
        &[
            "countersign.db",
            "sqlite://",
            "sqlite://data/",
            "mysql://u:hunter2@h/d",
            "postgres://",
            "postgres://u:hunter2@h/d?sslmode=bogus",
            "postgres://u:hunter2@h/d?sslmode=verify-full",
        ],
    ),
    ("DATABASE_MIGRATE_URL", &["hunter2", "postgres://u:hunter2@h/d"]),
    ("DATABASE_POOL_SIZE", &["0", "1001", "-5", "many"]),
    ("DATABASE_TIMEOUT_MS", &["9", "60001", "2s"]),
    ("DATABASE_GRACE_SECONDS", &["-1", "3601", "1m"]),
    ("REDIS_URL", &["redis", "http://u:hunter2@h", "redis://", "redis://u:hunter2@h:port"]),
    (
        "ISSUER_URL",
        &[
            "issuer.example",
            "ftp://issuer.example",
            "https://issuer.example/?tenant=1",
            "https://issuer.example/#x",
            "https://user@issuer.example",
        ],
    ),
    ("COUNTERSIGN_ENV", &["prod", "Production"]),
    (
        "MASTER_KEY",
        &["hunter2", "0b0b", "zz0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"],
    ),
    ("MASTER_KEY_PREVIOUS", &["hunter2", "0b0b"]),
    ("JWT_PRIVATE_KEY", &["hunter2", concat!("-----BEGIN", " PRIVATE KEY-----\nhunter2")]),
    ("JWT_PUBLIC_KEY", &["hunter2", "-----BEGIN RSA PUBLIC KEY-----\nhunter2\n"]),
    ("JWT_ALG", &["none", "HS256", "rs256"]),
    ("JWT_ROTATE_DAYS", &["0", "often", "3651"]),
    ("TOKEN_TTL_SECONDS", &["0", "86401", "1h"]),
    ("CORS_ORIGIN", &["app.example", "https://app.example/"]),
    ("MACHINE_SECRET_TOKEN", &["hunter2", "hunter2-hunter2-hunter2-hunter2"]),
    ("BOOTSTRAP_ADMIN_TOKEN", &["hunter2", "op_live_hunter2", "sk_live_0123"]),
    ("TRUSTED_PROXIES", &["everybody", "10.0.0.0/33", "10.0.0.1;10.0.0.2"]),
    ("CLIENT_CERT_HEADER", &["X Client Cert", "X_Client_Cert", "Authorization", "X-Caller-Cert"]),
    ("RBAC_POLICY_FILE", &["no/such/file.json"]),
    ("REGISTRY_FILE", &["no/such/file.json"]),
    ("ROUTES_FILE", &["no/such/file.json"]),
    ("POLICY_DIR", &["no/such/directory"]),
    ("RBAC_ENFORCE", &["no", "observe"]),
    ("RBAC_FAIL_OPEN", &["yes", "1"]),
    ("SSH_SIGN_ENFORCE", &["yes", "on"]),
    ("SERVICE_AUTH_ENFORCEMENT_MODE", &["1", "enforce"]),
    ("SERVICE_AUTH_CIRCUIT_BREAKER_PERCENTAGE", &["101", "-1", "half"]),
    ("PDP_REQUIRE_AUTH", &["no", "0", "False"]),
    ("DECISION_LOG_ALLOW_PERCENT", &["101", "-1", "all"]),
    ("AUDIT_SEAL_SINK", &["seals.jsonl", "file:", "http://seals.example", "ftp://127.0.0.1"]),
    ("AUDIT_RETENTION_DAYS", &["0", "90d", "36501"]),
    (
        "VAULT_ADDR",
        &["vault.example:8200", "ftp://vault.example", "https://u:hunter2@vault.example"],
    ),
    ("VAULT_TOKEN", &["two hunter2", "hunter2\n", "hünter2"]),
    ("VAULT_MOUNT", &["..", "secret//agents", "/secret", "secret agents"]),
    ("VAULT_NAMESPACE", &["team//agents", "../team"]),
    ("TLS_CERT_FILE", &["no/such/file.pem"]),
    ("TLS_KEY_FILE", &["no/such/file.pem"]),
    ("TLS_CLIENT_CA_FILE", &["no/such/file.pem"]),
    ("METRICS_PORT", &["metrics", "65536", "-1", "0"]),
    ("EXT_AUTHZ_PORT", &["grpc", "65536", "-1", "0"]),
    ("LOG_LEVEL", &["countersign=loud", "[", "info,countersign=9"]),
    ("LOG_FORMAT", &["xml", "JSON"]),
];

fn config(args: &[&str]) -> Command {
    let mut command = countersign(&[&["config"], args].concat());
    command.env_clear();
    command
}

fn check(command: &mut Command) -> Ran {
    ran_within(Duration::from_secs(10), command)
}

#[test]
fn each_wrong_value_is_named_with_what_would_be_right_and_no_secret_is_repeated() {
    let mut missed = Vec::new();
    for (name, values) in WRONG {
        for value in *values {
            // With PostgreSQL its absence would be a fault of its own.
            let settings = [("MASTER_KEY", MASTER_KEY), (name, value)];
            let database = Database::sqlite();
            for mut command in [config(&["check"]), serve(&database, &[])] {
                let ran = check(command.env_remove("DATABASE_MIGRATE_URL").envs(settings));
                let named = ran.stderr.contains(&format!("{name}: "));
                let told = (ran.stderr + &ran.stdout).contains("hunter2");
                let begun = database.data().exists();
                if ran.code != Some(1) || !named || told || begun {
                    let (command, code) = (command.get_args().next().unwrap(), ran.code);
                    missed.push(format!(
                        "{command:?} with {name}={value}: exit {code:?}, named {named}, \
                         told {told}, begun {begun}"
                    ));
                }
            }
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

#[test]
fn every_setting_has_a_wrong_value_here() {
    let tried: Vec<&str> = WRONG.iter().map(|(name, _)| *name).collect();
    let known: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(tried, known);
}

#[test]
fn serve_names_every_fault_at_once_and_begins_nothing() {
    let database = Database::sqlite();
    let mut command = serve(&database, &[]);
    for (name, values) in WRONG {
        command.env(name, values[0]);
    }
    let reason = refused(&mut command);
    let mut lines = reason.lines();
    assert_eq!(lines.next(), Some("error: the configuration can't be used:"));
    let named: Vec<&str> =
        lines.map(|line| line.trim().split(": must be ").next().unwrap()).collect();
    assert_eq!(named, WRONG.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert!(!database.data().exists() && !database.folder.path().join("countersign.db").exists());
}

#[test]
fn values_that_are_fine_apart_but_not_together_are_named() {
    let key = ("MASTER_KEY", MASTER_KEY);
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("DATABASE_URL", "postgres://u@h/d")], "MASTER_KEY"),
        (
            &[key, ("DATABASE_URL", "postgres://u@h/d"), ("DATABASE_MIGRATE_URL", "sqlite://x.db")],
            "DATABASE_MIGRATE_URL",
        ),
        (&[("PORT", "3000"), ("METRICS_PORT", "3000")], "METRICS_PORT"),
        (&[("PORT", "3000"), ("EXT_AUTHZ_PORT", "3000")], "EXT_AUTHZ_PORT"),
        (&[("METRICS_PORT", "3001"), ("EXT_AUTHZ_PORT", "3001")], "EXT_AUTHZ_PORT"),
        (&[key, ("COUNTERSIGN_ENV", "production")], "CORS_ORIGIN"),
    ];
    for (settings, name) in cases {
        let ran = check(config(&["check"]).envs(settings.iter().copied()));
        assert_eq!(ran.code, Some(1), "{settings:?}");
        assert!(ran.stderr.contains(&format!("\n  {name}: ")), "{settings:?}: {}", ran.stderr);
    }
}

#[test]
fn files_that_the_settings_name_are_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nothing.pem");
    fs::write(&file, "{}").unwrap();
    fs::create_dir(folder.path().join("packages")).unwrap();
    fs::write(folder.path().join("packages/one.rego"), "package one").unwrap();
    let names = ["RBAC_POLICY_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE"];
    let mut config = config(&["check"]);
    config.envs(names.map(|name| (name, &file))).env("POLICY_DIR", folder.path());
    let ran = check(&mut config);
    assert_eq!(ran.code, Some(1));
    for fault in [
        "RBAC_POLICY_FILE: not a usable matrix; /roles",
        "POLICY_DIR: not a usable policy directory; one.rego: no metadata",
        "TLS_CERT_FILE: `",
    ] {
        assert!(ran.stderr.contains(&format!("\n  {fault}")), "{}", ran.stderr);
    }
}

#[test]
fn a_configuration_that_can_be_used_passes_the_check_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = check(config(&["check"]).current_dir(folder.path()).env("PORT", "0"));
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert_eq!(ran.stdout, "the configuration can be used\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Taken for the text that is nearest to it, a file would be another file, a secret another secret.
#[test]
fn a_value_that_is_no_text_is_not_overlooked() {
    for setting in SETTINGS {
        let start = if setting.name.starts_with("DATABASE") { "sqlite://" } else { "" };
        let value = [start.as_bytes(), &[b'm'; 40], b"\xff"].concat();
        let ran = check(config(&["check"]).env(setting.name, OsStr::from_bytes(&value)));
        assert_eq!(ran.code, Some(1), "{}: {}", setting.name, ran.stdout);
        let named = format!("\n  {}: ", setting.name);
        assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    }
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let empty = SETTINGS.iter().map(|setting| (setting.name, ""));
    let ran = check(config(&["--output", "json"]).envs(empty).env("RUST_LOG", ""));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for one in shown["data"].as_array().unwrap() {
        assert_eq!(one["source"], "default", "{one}");
    }
}

#[test]
fn a_file_of_settings_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join("countersign.toml");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let missing = folder.path().join("none.toml");
    let cases = [
        (missing.to_str().unwrap().to_owned(), "none.toml: "),
        (file("port 3000"), "countersign.toml: "),
    ];
    for (path, named) in cases {
        let ran = check(&mut config(&["check", "--config", &path]));
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
    for (text, named) in [
        ("port = 'http'", "PORT: must be a port, 0 to 65535 (from the file)"),
        ("prot = 1", "PROT: is not a setting; did you mean `PORT`?"),
        ("port = [1]", "PORT: must be a string, a number or a boolean"),
    ] {
        let ran = check(&mut config(&["check", "--config", &file(text)]));
        assert_eq!(ran.code, Some(1), "{text}");
        assert!(ran.stderr.contains(named), "{text}: {}", ran.stderr);
    }
}

#[test]
fn questions_need_no_caller_on_this_machine_alone() {
    let open = ("PDP_REQUIRE_AUTH", "false");
    let ran = check(config(&["check"]).envs([open]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for other in [
        ("HOST", "0.0.0.0"),
        ("ISSUER_URL", "https://countersign.example"),
        ("TRUSTED_PROXIES", "127.0.0.0/8,10.0.0.0/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ] {
        let ran = check(config(&["check"]).envs([open, other]));
        assert_eq!(ran.code, Some(1), "{other:?}");
        assert!(ran.stderr.contains("PDP_REQUIRE_AUTH: must be `true` unless"), "{}", ran.stderr);
    }
}
