//! Commands that ask no server: `migrate`, `config`, and what `serve` says of its settings.

use std::fs;
use std::process::Command;
use std::time::Duration;

use countersign_ground::config::SETTINGS;
use insta::assert_snapshot;
use serde_json::Value;

use crate::countersign;
use crate::database::Database;
use crate::server::{OPERATOR, Server, ran_within, serve};

const PROMPT: Duration = Duration::from_secs(20);

/// A password that no output may hold; the address is never called.
const DATABASE: &str = "postgres://countersign:hunter2@db.example:5432/countersign?sslmode=require";
const KEY: &str = "0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b0a1b";
const MACHINE: &str = "machine-token-of-the-tests-0123456789";

fn config(args: &[&str]) -> Command {
    let mut command = countersign(&[&["config"], args].concat());
    command.env_clear().envs([
        ("DATABASE_URL", DATABASE),
        ("MASTER_KEY", KEY),
        ("MACHINE_SECRET_TOKEN", MACHINE),
        ("BOOTSTRAP_ADMIN_TOKEN", OPERATOR),
    ]);
    command
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in ["hunter2", KEY, MACHINE, OPERATOR] {
        assert!(!text.contains(secret), "{secret} in:\n{text}");
    }
}

#[test]
fn migrating_twice_applies_every_step_once() {
    let database = Database::create();
    let migrate = || {
        let mut command = countersign(&["migrate"]);
        command.env_clear().envs(database.settings()).current_dir(database.folder.path());
        let ran = ran_within(PROMPT, &mut command);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
        ran.stdout
    };
    let (first, second) = (migrate(), migrate());
    let steps: Vec<&str> = first.lines().filter_map(|line| line.strip_prefix("applied ")).collect();
    assert_eq!(steps[..2], ["0001_record", "0002_identity"]);
    let up_to_date = format!("the schema is up to date, {} steps\n", steps.len());
    assert!(first.ends_with(&up_to_date), "{first}");
    assert_eq!(second, up_to_date);
    let known = database.read(&["SELECT name FROM schema_migrations ORDER BY name"]);
    assert_eq!(known[0].concat(), steps);
    Server::start(&database, &[]).agent("first");
}

#[test]
fn migrations_go_to_their_own_address() {
    let database = Database::sqlite();
    let elsewhere = format!("sqlite://{}", database.folder.path().join("no/such.db").display());
    let mut command = countersign(&["migrate", "--set"]);
    command.arg(format!("DATABASE_URL={elsewhere}")).env_clear();
    command.env("DATABASE_MIGRATE_URL", &database.url);
    assert_eq!(ran_within(PROMPT, &mut command).code, Some(0));
    assert!(database.file().exists());
    assert!(!database.folder.path().join("no").exists());
}

#[test]
fn the_table_of_settings_says_where_each_came_from_and_hides_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    fs::write(&file, "port = 8443\nhost = '127.0.0.2'\ntoken_ttl_seconds = 60\n").unwrap();
    let ran = ran_within(
        PROMPT,
        config(&["--config", file.to_str().unwrap(), "--set", "PORT=9443"])
            .env("HOST", "127.0.0.3"),
    );
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert_no_secret(&ran.stdout);
    let shown = ran.stdout.lines().filter_map(|line| {
        let mut cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let row = [cells.next()?, cells.next()?, cells.next()?];
        let wanted = ["SETTING", "HOST", "PORT", "DATABASE_URL", "MASTER_KEY", "JWT_ALG"];
        let more = ["TOKEN_TTL_SECONDS", "MACHINE_SECRET_TOKEN", "BOOTSTRAP_ADMIN_TOKEN"];
        (wanted.contains(&row[0]) || more.contains(&row[0])).then(|| row.join(" | "))
    });
    assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
    SETTING | VALUE | FROM
    HOST | 127.0.0.3 | environment
    PORT | 9443 | flag
    DATABASE_URL | postgres://countersign:***@db.example:5432/countersign?sslmode=require | environment
    MASTER_KEY | *** | environment
    JWT_ALG | RS256 | default
    TOKEN_TTL_SECONDS | 60 | file
    MACHINE_SECRET_TOKEN | *** | environment
    BOOTSTRAP_ADMIN_TOKEN | *** | environment
    ");
}

#[test]
fn settings_as_json_are_every_setting_in_order_without_secrets() {
    let ran = ran_within(PROMPT, &mut config(&["--output", "json"]));
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    assert_no_secret(&ran.stdout);
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    let shown = shown["data"].as_array().unwrap();
    let names: Vec<&str> = shown.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>());
    for one in shown {
        assert!(one["meaning"].is_string(), "{one}");
        let secret = ["MASTER_KEY", "MACHINE_SECRET_TOKEN", "BOOTSTRAP_ADMIN_TOKEN"];
        if secret.contains(&one["name"].as_str().unwrap()) {
            assert_eq!((&one["value"], &one["source"]), (&"***".into(), &"environment".into()));
        }
    }
}

#[test]
fn serve_prints_every_setting_with_where_it_came_from() {
    let database = Database::create();
    let file = database.folder.path().join("countersign.toml");
    fs::write(&file, "token_ttl_seconds = 60\nlog_format = 'pretty'\n").unwrap();
    let secret = database.folder.path().join("machine");
    fs::write(&secret, MACHINE).unwrap();
    let mut command = serve(&database, &[("LOG_FORMAT", "json")]);
    command.args(["--config", "countersign.toml", "--set", "DATABASE_POOL_SIZE=3"]);
    command.env("MACHINE_SECRET_TOKEN_FILE", &secret);
    let (status, log) = Server::spawn(&mut command).terminate();
    assert_eq!(status.code(), Some(0));
    assert_no_secret(&log.join("\n"));

    let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let settings: Vec<Value> = lines.filter(|line| line["message"] == "setting").collect();
    let names: Vec<&str> = settings.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>());
    for (name, value, source) in [
        ("HOST", "127.0.0.1", "default"),
        ("DATABASE_POOL_SIZE", "3", "flag"),
        ("TOKEN_TTL_SECONDS", "60", "file"),
        ("MACHINE_SECRET_TOKEN", "***", "secret file"),
        ("BOOTSTRAP_ADMIN_TOKEN", "***", "environment"),
        ("METRICS_PORT", "(unset)", "default"),
        ("LOG_FORMAT", "json", "environment"),
    ] {
        let shown = settings.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!((&shown["value"], &shown["source"]), (&value.into(), &source.into()), "{name}");
    }
}
