//! A full disk, played by a limit on the size of files: SQLite meets both at the same calls.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::database::Database;
use crate::http::{Request, form, get, post};
use crate::ledger::Ledger;
use crate::load::{Fate, Load};
use crate::server::{OPERATOR, Server, ask_token, introspect, new_agent, refused, serve, within};

/// The log of a fresh database reaches it after some hundred commits.
const FULL: &str = "1048576";

#[test]
fn a_full_disk_refuses_what_it_cannot_hold_and_recovers_without_a_restart() {
    if !can_limit() {
        return;
    }
    let database = Database::sqlite();
    let server = Server::spawn(&mut limited(&serve(&database, &[]), FULL));
    let agent = server.agent("steady");
    let token = server.token(&agent);
    let create = |name: &str| post("/api/v1/agents", &new_agent(name)).bearer(OPERATOR);

    let load = Load::start(&server, &agent, "filling");
    let mut fillers = 0;
    let full = within(Duration::from_secs(60), || {
        fillers += 1;
        server.ask(&create(&format!("filler-{fillers}"))).status == 503
    });
    assert!(full, "{fillers} more agents did not fill the disk");
    // Some of the clients' requests meet it, too.
    thread::sleep(Duration::from_millis(200));
    let notes = load.stop();
    assert_eq!(notes.wrong, [""; 0]);
    assert!(notes.count(Fate::Done) > 0 && notes.count(Fate::Refused) > 0);

    // Something smaller may still have found room.
    let refused = |request: &Request| server.ask(request).status == 503;
    let token_request = ask_token(&agent);
    assert!(within(Duration::from_secs(60), || (0..5).all(|_| refused(&token_request))));

    let refusal = server.ask(&create("late"));
    refusal.problem(503, "DEPENDENCY_UNAVAILABLE");
    assert!(refusal.headers.contains("retry-after: "), "{}", refusal.headers);
    let credentials = format!("/api/v1/agents/{}/credentials", agent.id);
    let refusal = server.ask(&post(&credentials, &json!({})).bearer(OPERATOR));
    refusal.problem(503, "DEPENDENCY_UNAVAILABLE");
    server.ask(&ask_token(&agent)).oauth(503, "temporarily_unavailable");
    // Whoever asks about a token is recorded, and that is not possible now.
    server.ask(&introspect(&token)).oauth(503, "temporarily_unavailable");
    let revoke = form("/api/v1/token/revoke", &[("token", &token)]).bearer(OPERATOR);
    server.ask(&revoke).oauth(503, "temporarily_unavailable");
    // Refusals are recorded, too.
    server.ask(&get("/api/v1/agents").bearer("nonsense")).problem(503, "DEPENDENCY_UNAVAILABLE");
    for path in ["/api/v1/agents", &credentials, "/api/v1/audit", "/.well-known/jwks.json"] {
        server.ask(&get(path).bearer(OPERATOR)).expect(200);
    }
    assert_eq!(server.health("/livez"), 200);

    let mut ledger = Ledger::default();
    ledger.read_on(&database);
    ledger.agrees_with(&notes.requests);
    assert_eq!(database.count("SELECT COUNT(*) FROM agents WHERE email LIKE 'late@%'"), 0);
    let filled = "SELECT COUNT(*) FROM agents WHERE email LIKE 'filler-%'";
    assert_eq!(database.count(filled), i64::from(fillers - 1), "all but the last were answered");

    unlimit(&server);
    server.ask(&create("late")).expect(201);
    assert!(server.is_live(&token), "what was refused left it as it was");
    server.token(&agent);
    let load = Load::start(&server, &agent, "after");
    load.await_answers(200);
    let after = load.stop();
    assert_eq!(after.wrong, [""; 0]);
    assert_eq!(after.count(Fate::Done), after.requests.len(), "nothing is refused any more");
    ledger.read_on(&database);
    ledger.agrees_with(&notes.requests);
    ledger.agrees_with(&after.requests);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named_and_leaves_nothing_in_the_way() {
    if !can_limit() {
        return;
    }
    let database = Database::sqlite();
    let reason = refused(&mut limited(&serve(&database, &[]), "20480"));
    assert!(reason.starts_with("error: DATABASE_URL: "), "{reason}");
    Server::start(&database, &[]).agent("first");
}

/// The same command with files that end at `bytes`; the limit can be lifted later.
fn limited(command: &Command, bytes: &str) -> Command {
    let mut limited = Command::new("bash");
    // Only an ignored signal lets the write itself fail.
    limited.args(["-c", r#"trap "" XFSZ; exec prlimit --fsize="$0": "$@""#, bytes]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().unwrap());
    limited
}

fn unlimit(server: &Server) {
    let pid = server.process.id().to_string();
    let status =
        Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &pid]).status().unwrap();
    assert!(status.success());
}

fn can_limit() -> bool {
    let mut prlimit = Command::new("prlimit");
    let found = prlimit.arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: `prlimit` (util-linux) is not here");
    }
    found
}
