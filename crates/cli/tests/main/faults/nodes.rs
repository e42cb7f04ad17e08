//! Two nodes on one PostgreSQL: one stands still, drains or dies, and the other goes on.

use std::time::Duration;

use countersign_ground::clock::Stopwatch;

use crate::database::{Database, Engine};
use crate::http::{Connection, Request, post};
use crate::ledger::Ledger;
use crate::load::{Fate, Load, Notes};
use crate::server::{Agent, OPERATOR, Server, ask_token, change_status, introspect, within};
use crate::{Ran, countersign, ran};

/// How long a node's memory is good without a look at what others changed; and a bit.
const STALE: Duration = Duration::from_millis(1_200);
/// The lease of whoever seals runs for 4 s; and a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(15);
const PROMPT: Duration = Duration::from_secs(10);

/// Two nodes, the first of which had the database to itself for a while. `None` on SQLite.
fn two() -> Option<(Database, Server, Server)> {
    if Engine::current() == Engine::Sqlite {
        println!(
            "skipped: SQLite has one process, and so one node; TEST_DATABASE=postgres has two"
        );
        return None;
    }
    let database = Database::create();
    let one = Server::start(&database, &[]);
    one.agent("first");
    let sealed = || database.count("SELECT seal FROM seal_head") > 0;
    assert!(within(PROMPT, sealed), "nothing is sealed");
    let other = Server::start(&database, &[]);
    Some((database, one, other))
}

/// Sends now what is answered later.
fn sent(server: &Server, request: &Request) -> Connection {
    let mut connection = server.connect();
    connection.send(request.text().as_bytes()).unwrap();
    connection
}

/// A process may stand still: a paused container, a migrated machine, a long swap. What it knew before,
/// it must not answer from afterwards, not even the first question.
#[test]
fn a_node_that_stood_still_knows_at_once_what_was_ended_meanwhile() {
    let Some((_database, one, other)) = two() else { return };
    let agents: Vec<Agent> = (0..3).map(|n| one.agent(&format!("ended{n}"))).collect();
    let tokens: Vec<String> = agents.iter().map(|agent| one.token(agent)).collect();
    assert!(tokens.iter().all(|token| one.is_live(token)));

    one.process.signal("STOP");
    let still = Stopwatch::start();
    let ask = |request: &Request| other.ask(request);
    ask(&change_status(&agents[0].id, "suspended")).expect(200);
    let token = [("token", &*tokens[1])];
    ask(&crate::http::form("/api/v1/token/revoke", &token).bearer(OPERATOR)).expect(200);
    let quarantine = format!("/api/v1/agents/{}/quarantine", agents[2].id);
    let reason = serde_json::json!({"reason": "it stood still"});
    ask(&post(&quarantine, &reason).bearer(OPERATOR)).expect(200);

    let steady = other.agent("steady");
    while still.elapsed() < STALE {
        assert!(other.is_live(&other.token(&steady)), "the other one goes on");
    }
    let looks = tokens.iter().map(|token| sent(&one, &introspect(token)));
    let looks: Vec<Connection> = looks.collect();
    let suspended = sent(&one, &ask_token(&agents[0]));
    let quarantined = sent(&one, &ask_token(&agents[2]));
    one.process.signal("CONT");

    for mut look in looks {
        assert_eq!(look.hear().unwrap().expect(200)["active"], false);
    }
    for mut asked in [suspended, quarantined] {
        let answer = asked.hear().unwrap();
        assert!([401, 403].contains(&answer.status), "{answer:?}");
    }
    assert!(one.is_live(&one.token(&steady)), "and it goes on itself");
}

#[test]
fn a_node_that_drains_answers_what_it_took_and_the_other_notices_nothing() {
    let Some((database, one, other)) = two() else { return };
    let (mine, theirs) = (one.agent("mine"), other.agent("theirs"));
    let leaving = Load::start(&one, &mine, "leaving");
    let staying = Load::start(&other, &theirs, "staying");
    leaving.await_answers(100);
    let (status, log) = one.terminate();
    let left = leaving.end();
    staying.await_answers(100);
    let stayed = staying.stop();

    assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
    assert_undisturbed(&stayed);
    assert_eq!((&left.wrong, left.count(Fate::Refused)), (&vec![], 0));
    let mut ledger = Ledger::default();
    ledger.read_on(&database);
    ledger.agrees_with(&left.requests);
    ledger.agrees_with(&stayed.requests);
    for note in left.with(Fate::Unknown) {
        assert!(!ledger.knows(&note.request), "done and never answered: {note:?}");
    }
    assert_known(&other, &left);
    assert_sealed(&database);
}

/// The first node seals, so its lease has to run out.
#[test]
fn a_node_that_is_killed_leaves_nothing_unsealed_and_the_other_goes_on() {
    let Some((database, mut one, other)) = two() else { return };
    let (mine, theirs) = (one.agent("mine"), other.agent("theirs"));
    let sealer = database.count("SELECT holder FROM seal_head");
    let killed = Load::start(&one, &mine, "killed");
    let staying = Load::start(&other, &theirs, "staying");
    killed.await_answers(100);
    staying.await_answers(100);
    one.process.kill();
    let lost = killed.end();

    let watch = Stopwatch::start();
    let taken_over = || database.count("SELECT holder FROM seal_head") != sealer;
    assert!(within(TAKEN_OVER, taken_over), "nobody seals");
    println!("another node seals {:.1?} after the sealer was killed", watch.elapsed());
    staying.await_answers(100);
    let stayed = staying.stop();
    assert_undisturbed(&stayed);
    let mut ledger = Ledger::default();
    ledger.read_on(&database);
    ledger.agrees_with(&lost.requests);
    ledger.agrees_with(&stayed.requests);
    assert_known(&other, &lost);
    assert_sealed(&database);
}

#[track_caller]
fn assert_undisturbed(notes: &Notes) {
    assert_eq!(notes.wrong, [""; 0]);
    assert_eq!(notes.count(Fate::Done), notes.requests.len(), "something was refused");
}

/// What another node answered is so on this one, too.
#[track_caller]
fn assert_known(server: &Server, notes: &Notes) {
    for token in notes.live.iter().rev().take(10) {
        assert!(server.is_live(token), "{token}");
    }
    for token in notes.dead.iter().rev().take(10) {
        assert!(!server.is_live(token), "{token}");
    }
}

/// All that was recorded gets its seal, and every seal is good.
#[track_caller]
fn assert_sealed(database: &Database) {
    let waiting = "SELECT COUNT(*) FROM event_streams e
                     LEFT JOIN sealed_streams s ON s.stream = e.stream
                    WHERE e.n > COALESCE(s.n, 0)";
    assert!(within(TAKEN_OVER, || database.count(waiting) == 0), "events wait for a seal");
    let Ran { code, stdout, stderr } =
        ran(countersign(&["audit", "verify"]).envs(database.settings()));
    assert_eq!(code, Some(0), "{stdout}{stderr}");
}
