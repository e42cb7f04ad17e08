//! What keeps a server from starting is said in one line that names the setting to change.

use std::fs;
use std::net::TcpListener;

use crate::countersign;
use crate::database::Database;
use crate::http::get;
use crate::server::{OPERATOR, Server, ran_within, refused, serve};

#[test]
fn a_second_server_on_the_same_file_is_refused_while_the_first_runs() {
    let database = Database::sqlite();
    let first = Server::start(&database, &[]);
    let agent = first.agent("steady");
    for _ in 0..3 {
        let reason = refused(&mut serve(&database, &[]));
        assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
        assert!(reason.contains("another process has"), "{reason}");
        assert!(reason.contains(database.file().to_str().unwrap()), "{reason}");
    }
    first.token(&agent);
    first.terminate();
    Server::start(&database, &[]).token(&agent);
}

#[test]
fn the_quickstart_is_refused_on_the_folder_of_a_running_server() {
    let database = Database::sqlite();
    let first = Server::start(&database, &[]);
    let mut quickstart = countersign(&["quickstart", "--once", "--dir"]);
    let reason = refused(quickstart.arg(database.data()).env_clear());
    assert!(reason.contains("another process has"), "{reason}");
    first.agent("steady");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    let database = Database::create();
    let reason = refused(&mut serve(&database, &[("PORT", &port)]));
    assert!(reason.starts_with("error: HOST, PORT: "), "{reason}");
    assert!(reason.contains(&address), "{reason}");

    let reason = refused(&mut serve(&database, &[("METRICS_PORT", &port)]));
    assert!(reason.contains("METRICS_PORT"), "{reason}");
    let reason = refused(&mut serve(&database, &[("HOST", "192.0.2.1")]));
    assert!(reason.starts_with("error: HOST, PORT: "), "{reason}");
}

#[test]
fn secrets_come_from_files() {
    let database = Database::create();
    let file = |name: &str, text: &str| {
        let path = database.folder.path().join(name);
        fs::write(&path, format!("{text}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let machine = "machine-token-of-the-tests-0123456789";
    let settings = [
        ("MASTER_KEY_FILE", file("master", &"0a".repeat(32))),
        ("MACHINE_SECRET_TOKEN_FILE", file("machine", machine)),
        ("BOOTSTRAP_ADMIN_TOKEN_FILE", file("bootstrap", OPERATOR)),
        ("DATABASE_URL_FILE", file("url", &database.url)),
        ("DATABASE_MIGRATE_URL_FILE", file("migrate", &database.direct_url)),
    ];
    let mut command = serve(&database, &[]);
    for (name, path) in &settings {
        command.env_remove(name.strip_suffix("_FILE").unwrap()).env(name, path);
    }
    let server = Server::spawn(&mut command);
    server.agent("steady");
    // Known, though it may not.
    let by_machine =
        |token: &str| server.ask(&get("/api/v1/agents").header("X-Machine-Token", token));
    by_machine(machine).problem(403, "FORBIDDEN");
    by_machine("another").problem(401, "UNAUTHORIZED");
    for (name, _) in &settings {
        let name = name.strip_suffix("_FILE").unwrap();
        let shown = server.log().into_iter().find(|line| line.contains(&format!("\"{name}\"")));
        let shown = shown.unwrap();
        assert!(shown.contains(r#""source":"secret file""#), "{shown}");
    }

    let mut both = serve(&database, &[("MASTER_KEY_FILE", &settings[0].1)]);
    let reason = refused(both.env("MASTER_KEY", "0b".repeat(32)));
    assert!(reason.contains("MASTER_KEY: is set together with `MASTER_KEY_FILE`"), "{reason}");
    let mut missing = serve(&database, &[("MACHINE_SECRET_TOKEN_FILE", "no-such-file")]);
    let reason = refused(&mut missing);
    assert!(reason.contains("MACHINE_SECRET_TOKEN_FILE: `no-such-file`: "), "{reason}");
}

#[test]
fn production_is_refused_with_what_is_fine_on_a_desk() {
    let database = Database::sqlite();
    let reason = refused(&mut serve(&database, &[("COUNTERSIGN_ENV", "production")]));
    for name in ["MASTER_KEY: ", "CORS_ORIGIN: ", "ISSUER_URL: "] {
        assert!(reason.contains(name), "{reason}");
    }
    assert!(!database.data().exists(), "nothing was begun");
}

#[test]
fn a_typing_error_is_told_together_with_what_was_meant() {
    let database = Database::sqlite();
    let server = Server::start(&database, &[("JWT_ALGO", "ES256"), ("COUNTERSIGN_NO", "x")]);
    let warned = |what: &str| server.log().iter().any(|line| line.contains(what));
    assert!(warned("`JWT_ALGO` is not known; did you mean `JWT_ALG`?"));
    assert!(warned("`COUNTERSIGN_NO` is not known and has no effect"));

    let mut command = countersign(&["serve", "--set", "PROT=1"]);
    let ran = ran_within(std::time::Duration::from_secs(10), command.env_clear());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("PROT: is not a setting; did you mean `PORT`?"), "{}", ran.stderr);
}
