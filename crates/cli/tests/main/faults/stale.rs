//! A node that has lost the database for a while, and what it knew before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;

use super::proxy::Proxy;
use crate::database::{Database, Engine};
use crate::http::Answer;
use crate::server::{Agent, Server, ask_token, change_status, introspect, within};

/// Memory is good for a second without a look at what others changed; and a bit.
const STALE: Duration = Duration::from_millis(1_500);
const RECOVERED: Duration = Duration::from_secs(10);

/// A node that can be cut off from the database, and one that can't. `None` on SQLite.
fn two() -> Option<(Database, Proxy, Server, Server)> {
    if Engine::current() == Engine::Sqlite {
        println!(
            "skipped: SQLite has one process, and so one node; TEST_DATABASE=postgres has two"
        );
        return None;
    }
    let database = Database::create();
    let proxy = Proxy::to(&database.url);
    let settings = [("DATABASE_URL", &*proxy.url), ("DATABASE_TIMEOUT_MS", "1000")];
    let cut_off = Server::start(&database, &settings);
    let other = Server::start(&database, &[]);
    Some((database, proxy, cut_off, other))
}

/// Agents with tokens, all in this node's memory.
fn known(server: &Server) -> Vec<(Agent, String)> {
    let agents = (0..5).map(|n| server.agent(&format!("suspended{n}")));
    let known: Vec<_> = agents.map(|agent| (agent.clone(), server.token(&agent))).collect();
    assert!(known.iter().all(|(_, token)| server.is_live(token)));
    known
}

/// Its memory is older than it may be until it has looked at what others changed meanwhile: that the
/// database takes events again does not make it any newer.
#[test]
fn what_a_node_knew_before_it_lost_the_database_it_does_not_answer_from_afterwards() {
    let Some((_database, proxy, cut_off, other)) = two() else { return };
    for (agent, token) in known(&cut_off) {
        proxy.cut();
        other.ask(&change_status(&agent.id, "suspended")).expect(200);
        let cut = Stopwatch::start();
        while cut.elapsed() < STALE {
            cut_off.ask(&introspect(&token)).oauth(503, "temporarily_unavailable");
            cut_off.ask(&ask_token(&agent)).oauth(503, "temporarily_unavailable");
        }
        proxy.restore();
        let answers = || [introspect(&token), ask_token(&agent)].map(|one| cut_off.ask(&one));
        let refused = || answers().iter().all(|answer| is_refusal(answer));
        assert!(within(RECOVERED, refused), "{:?}", answers());
    }
}

/// True when it is refused, false when nobody can say yet.
#[track_caller]
fn is_refusal(answer: &Answer) -> bool {
    let json = answer.json();
    assert!(json["active"] != true && json["access_token"].is_null(), "{answer:?}");
    answer.status != 503
}

/// Awake again, it finds that its last look took too long. That is no outage.
#[test]
fn a_node_that_stood_still_in_the_middle_of_a_look_does_not_answer_from_before() {
    let Some((_database, _proxy, one, other)) = two() else { return };
    for (agent, token) in known(&one) {
        // For a credential that it does not know, it looks at what others changed.
        let unknown = Agent { secret: format!("sk_live_{}", "0".repeat(64)), ..agent.clone() };
        let enough = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !enough.load(Ordering::Relaxed) {
                        one.ask(&ask_token(&unknown));
                    }
                });
            }
            one.process.signal("STOP");
            let still = Stopwatch::start();
            other.ask(&change_status(&agent.id, "suspended")).expect(200);
            while still.elapsed() < STALE {
                assert!(!other.is_live(&token));
            }
            let mut asked = [introspect(&token), ask_token(&agent)].map(|request| {
                let mut connection = one.connect();
                connection.send(request.text().as_bytes()).unwrap();
                connection
            });
            one.process.signal("CONT");
            enough.store(true, Ordering::Relaxed);
            for connection in &mut asked {
                is_refusal(&connection.hear().unwrap());
            }
        });
    }
}

/// What it took before it was asked to end may take a while to come.
#[test]
fn a_node_that_drains_goes_on_hearing_what_is_ended() {
    let Some((_database, _proxy, one, other)) = two() else { return };
    let (agent, token) = known(&one).remove(0);
    let halves = [introspect(&token), ask_token(&agent)].map(|request| {
        let whole = request.text();
        let (first, rest) = whole.split_at(whole.len() - 5);
        let mut connection = one.connect();
        connection.send(first.as_bytes()).unwrap();
        (connection, rest.to_owned())
    });
    // Until the server has read the heads; it tells nobody.
    thread::sleep(Duration::from_millis(300));
    one.process.signal("TERM");
    other.ask(&change_status(&agent.id, "suspended")).expect(200);
    let ended = Stopwatch::start();
    while ended.elapsed() < STALE {
        assert!(!other.is_live(&token));
    }
    for (mut connection, rest) in halves {
        connection.send(rest.as_bytes()).unwrap();
        is_refusal(&connection.hear().unwrap());
    }
}

/// `invalid_client` says that it is pointless to try again.
#[test]
fn what_a_cut_off_node_cannot_know_it_does_not_call_wrong() {
    let Some((_database, proxy, cut_off, other)) = two() else { return };
    proxy.cut();
    let agent: Agent = other.agent("unheard");
    let token = other.token(&agent);
    // Of the first ten strangers a minute each is recorded by itself, which fails; then they are counted.
    for _ in 0..30 {
        cut_off.ask(&ask_token(&agent)).oauth(503, "temporarily_unavailable");
        cut_off.ask(&introspect(&token)).oauth(503, "temporarily_unavailable");
        let whoami = crate::http::get("/api/v1/whoami").bearer(&token);
        cut_off.ask(&whoami).problem(503, "DEPENDENCY_UNAVAILABLE");
    }
    proxy.restore();
    assert!(within(RECOVERED, || cut_off.ask(&ask_token(&agent)).status == 200));
    assert!(cut_off.is_live(&token));
}
