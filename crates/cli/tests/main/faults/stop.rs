//! The end of a process that was asked to end.

use std::net::TcpListener;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;

use crate::database::{Database, MASTER_KEY};
use crate::http::{Connection, get, post};
use crate::ledger::Ledger;
use crate::load::{Fate, Load};
use crate::server::{OPERATOR, Process, Server, new_agent, serve, within};

/// Requests under way take milliseconds; nobody wants to wait for more.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn every_request_that_was_accepted_before_sigterm_is_answered() {
    let database = Database::create();
    let server = Server::start(&database, &[]);
    let agent = server.agent("steady");
    let load = Load::start(&server, &agent, "term");
    load.await_answers(100);
    let watch = Stopwatch::start();
    let (status, log) = server.terminate();
    let elapsed = watch.elapsed();
    let notes = load.end();

    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert!(elapsed < PROMPT, "{elapsed:?}");
    assert_eq!(notes.wrong, [""; 0]);
    assert_eq!(notes.count(Fate::Refused), 0);
    let mut ledger = Ledger::default();
    ledger.read_on(&database);
    ledger.agrees_with(&notes.requests);
    for note in notes.with(Fate::Unknown) {
        assert!(!ledger.knows(&note.request), "done and never answered: {note:?}");
    }
    let said = |what: &str| log.iter().any(|line| line.contains(what));
    assert!(said("stopping") && said(r#""message":"stopped""#), "{}", log.join("\n"));
}

#[test]
fn a_request_whose_body_is_still_coming_at_sigterm_is_answered() {
    let database = Database::create();
    let mut server = Server::start(&database, &[]);
    let whole = post("/api/v1/agents", &new_agent("late")).bearer(OPERATOR).text();
    let (first, rest) = whole.split_at(whole.len() - 10);
    let mut connection = server.connect();
    connection.send(first.as_bytes()).unwrap();
    // Until the server has read the head; it tells nobody.
    thread::sleep(Duration::from_millis(300));

    server.process.signal("TERM");
    assert!(within(PROMPT, || Connection::to(server.address).is_err()), "it still takes more");
    connection.send(rest.as_bytes()).unwrap();
    let answer = connection.hear().unwrap();
    answer.expect(201);
    assert!(answer.headers.contains("connection: close"), "{}", answer.headers);
    assert_eq!(server.process.end_within(PROMPT).unwrap().code(), Some(0));
    Ledger::default().read_on(&database);
    assert_eq!(database.count("SELECT COUNT(*) FROM agents"), 1);
}

/// What is no request yet is waited for no longer than any head is.
#[test]
fn half_a_head_does_not_hold_up_the_end_for_long() {
    let database = Database::create();
    let mut server = Server::start(&database, &[]);
    let (mut fresh, mut used) = (server.connect(), server.connect());
    used.ask(&get("/livez")).unwrap().expect(200);
    for connection in [&mut fresh, &mut used] {
        connection.send(b"GET /livez HTTP/1.1\r\nHost: coun").unwrap();
    }
    // Until the server has read it; it tells nobody.
    thread::sleep(Duration::from_millis(300));
    server.process.signal("TERM");
    let ended = server.process.end_within(Duration::from_secs(15));
    assert_eq!(ended.map(|status| status.code()), Some(Some(0)));
}

/// While it waits for a database that does not answer, it is not ready, and still it listens.
#[test]
fn a_server_that_is_still_starting_ends_when_it_is_asked_to() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://countersign@{}/countersign", silent.local_addr().unwrap());
    let database = Database::sqlite();
    let settings =
        [("DATABASE_URL", &*url), ("DATABASE_MIGRATE_URL", &url), ("MASTER_KEY", MASTER_KEY)];
    for signal in ["TERM", "INT"] {
        let mut process = Process::spawn(serve(&database, &settings).stderr(Stdio::null()));
        // From now on it waits.
        let _waiting = silent.accept().unwrap();
        process.signal(signal);
        assert!(process.end_within(PROMPT).is_some(), "{signal} was not heard");
    }
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    for signal in ["TERM", "INT"] {
        let database = Database::create();
        let mut server = Server::start(&database, &[]);
        let agent = server.agent("steady");
        server.token(&agent);
        let mut used = server.connect();
        used.ask(&get("/livez")).unwrap().expect(200);
        let _silent = server.connect();
        server.process.signal(signal);
        let ended = server.process.end_within(PROMPT);
        assert_eq!(ended.unwrap().code(), Some(0), "{signal}");
        assert!(used.is_closed_within(PROMPT));
        // What is gathered in memory is written before the end.
        let seen = "SELECT COUNT(*) FROM credentials WHERE last_used_at IS NOT NULL";
        assert_eq!(database.count(seen), 1);
    }
}
