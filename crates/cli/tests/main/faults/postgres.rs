//! A PostgreSQL that goes away: the connection is cut, or nothing comes out of it any more.

use std::time::Duration;

use countersign_ground::clock::Stopwatch;
use serde_json::json;

use super::proxy::Proxy;
use crate::database::{Database, Engine};
use crate::http::{Answer, Request, delete, form, get, post};
use crate::ledger::Ledger;
use crate::load::{Fate, Load};
use crate::server::{
    Agent, OPERATOR, Server, ask_token, change_status, introspect, new_agent, refused, serve,
    within,
};

/// `DATABASE_TIMEOUT_MS`, and when an answer must be there on a busy machine.
const TIMEOUT: &str = "1000";
const ANSWERED: Duration = Duration::from_millis(2500);
/// PgBouncer tries again a second after it was refused.
const RECOVERED: Duration = Duration::from_secs(10);

/// `DATABASE_GRACE_SECONDS`: longer than all of the requests of a test need to be refused.
const GRACE: Duration = Duration::from_secs(15);

/// Within a second, says the contract; and a busy machine.
const HEARD: Duration = Duration::from_secs(3);

/// A server whose way to its database can be cut.
struct Site {
    database: Database,
    proxy: Proxy,
    server: Server,
    agent: Agent,
    token: String,
}

impl Site {
    /// `None` on SQLite, which is not at the end of a network.
    fn start() -> Option<Self> {
        Self::with(&[])
    }

    fn with(more: &[(&str, &str)]) -> Option<Self> {
        if Engine::current() == Engine::Sqlite {
            println!("skipped: SQLite can't be cut off; run with TEST_DATABASE=postgres");
            return None;
        }
        let database = Database::create();
        let proxy = Proxy::to(&database.url);
        let settings = [("DATABASE_URL", &*proxy.url), ("DATABASE_TIMEOUT_MS", TIMEOUT)];
        let server = Server::start(&database, &[&settings, more].concat());
        let agent = server.agent("steady");
        let token = server.token(&agent);
        // Until every connection of the pool is there.
        let load = Load::start(&server, &agent, "first");
        load.await_answers(200);
        assert_eq!(load.stop().wrong, [""; 0]);
        Some(Self { database, proxy, server, agent, token })
    }

    fn create(&self, name: &str) -> Answer {
        self.in_time(&post("/api/v1/agents", &new_agent(name)).bearer(OPERATOR))
    }

    fn in_time(&self, request: &Request) -> Answer {
        let watch = Stopwatch::start();
        let answer = self.server.ask(request);
        let elapsed = watch.elapsed();
        assert!(elapsed < ANSWERED, "after {elapsed:?}: {answer:?}");
        answer
    }

    /// Everything that needs the database is refused in time, and everybody is told.
    fn assert_out(&self) {
        self.in_time(&ask_token(&self.agent)).oauth(503, "temporarily_unavailable");
        self.in_time(&introspect(&self.token)).oauth(503, "temporarily_unavailable");
        self.create("out").problem(503, "DEPENDENCY_UNAVAILABLE");
        let list = get("/api/v1/agents").bearer(OPERATOR);
        self.in_time(&list).problem(503, "DEPENDENCY_UNAVAILABLE");
        let health = self.in_time(&get("/health")).expect(503);
        let words = ["status", "database", "postgres"].map(|name| health[name].clone());
        assert_eq!(words, ["error"; 3], "{health}");
        self.in_time(&get("/livez")).expect(200);
    }

    /// Ready it is for as long as the loss is bearable, and says what it does without.
    fn assert_ready_for_a_while(&self) {
        let ready = self.in_time(&get("/readyz")).expect(200);
        assert_eq!((&ready["degraded"], &ready["failed"]), (&json!(["database_lost"]), &json!([])));
        let over = || self.in_time(&get("/readyz")).status == 503;
        assert!(within(GRACE + ANSWERED, over), "the loss is bearable for ever");
        let ready = self.in_time(&get("/readyz")).expect(503);
        assert_eq!(ready["failed"], json!(["database"]), "{ready}");
    }

    /// Everything works again without anybody's help.
    fn assert_recovers(&self) {
        let works = |request: &Request| within(RECOVERED, || self.server.ask(request).status < 300);
        assert!(works(&get("/health")), "{:?}", self.server.ask(&get("/health")));
        let whole = || self.server.ask(&get("/readyz")).expect(200)["degraded"] == json!([]);
        assert!(within(RECOVERED, whole), "{:?}", self.server.ask(&get("/readyz")));
        assert!(works(&ask_token(&self.agent)), "{:?}", self.server.ask(&ask_token(&self.agent)));
        let live = || self.server.ask(&introspect(&self.token)).json()["active"] == true;
        assert!(within(RECOVERED, live), "{:?}", self.server.ask(&introspect(&self.token)));
        let create = post("/api/v1/agents", &new_agent("recovered")).bearer(OPERATOR);
        assert!(works(&create), "{:?}", self.server.ask(&create));
        assert!(works(&get("/api/v1/agents").bearer(OPERATOR)));
    }

    /// Nothing is half-done.
    fn assert_whole(&self) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.read_on(&self.database);
        ledger
    }
}

#[test]
fn a_cut_connection_to_postgres_refuses_in_time_and_all_comes_back_by_itself() {
    let Some(site) = Site::with(&[("DATABASE_GRACE_SECONDS", "15")]) else { return };
    let load = Load::start(&site.server, &site.agent, "cut");
    load.await_answers(50);
    site.proxy.cut();
    site.assert_out();
    site.assert_ready_for_a_while();
    site.proxy.restore();
    site.assert_recovers();
    load.await_answers(50);
    let notes = load.stop();

    assert_eq!(notes.wrong, [""; 0]);
    assert!(notes.count(Fate::Refused) > 0);
    site.assert_whole().agrees_with(&notes.requests);
    for token in &notes.dead {
        assert!(!site.server.is_live(token), "{token}");
    }
}

#[test]
fn a_postgres_that_never_answers_refuses_in_time_and_says_that_the_outcome_is_unknown() {
    let Some(site) = Site::start() else { return };
    site.proxy.swallow();
    // An event is recorded by one statement, which may have arrived.
    let refusal = site.in_time(&ask_token(&site.agent)).oauth(503, "temporarily_unavailable");
    assert!(refusal["error_description"].as_str().unwrap().contains("unknown"), "{refusal}");
    // A change ends with a commit; before that, nothing can have been changed.
    site.create("unheard").problem(503, "DEPENDENCY_UNAVAILABLE");
    site.assert_out();
    site.proxy.restore();
    site.assert_recovers();
    site.assert_whole();
}

#[test]
fn connections_on_which_nothing_comes_any_more_are_given_up() {
    let Some(site) = Site::start() else { return };
    site.proxy.swallow();
    // More of each than there are connections.
    for n in 0..5 {
        site.create(&format!("silent-{n}")).problem(503, "DEPENDENCY_UNAVAILABLE");
        site.in_time(&ask_token(&site.agent)).oauth(503, "temporarily_unavailable");
    }
    site.assert_out();
    site.proxy.restore_for_new_connections();
    site.assert_recovers();
    let load = Load::start(&site.server, &site.agent, "again");
    load.await_answers(50);
    let notes = load.stop();
    assert_eq!(notes.wrong, [""; 0]);
    site.assert_whole().agrees_with(&notes.requests);
}

#[test]
fn a_server_that_is_cut_off_from_postgres_still_ends_when_it_is_asked_to() {
    for silent in [false, true] {
        let Some(mut site) = Site::start() else { return };
        if silent {
            site.proxy.swallow()
        } else {
            site.proxy.cut()
        }
        site.in_time(&ask_token(&site.agent)).oauth(503, "temporarily_unavailable");
        site.create("last").problem(503, "DEPENDENCY_UNAVAILABLE");
        site.server.process.signal("TERM");
        // What waits for the database is given up after `DATABASE_TIMEOUT_MS`, one after another.
        let ended = site.server.process.end_within(4 * ANSWERED);
        assert_eq!(ended.map(|status| status.code()), Some(Some(0)), "silent: {silent}");
    }
}

#[test]
fn a_change_whose_commit_was_cut_off_is_in_force() {
    assert_commits_without_answer_are_in_force(false);
}

#[test]
fn a_change_whose_commit_was_never_answered_is_in_force() {
    assert_commits_without_answer_are_in_force(true);
}

/// The change is in the database, and the client was told to look: nothing that the server has in
/// memory may say otherwise for longer than another node would need to hear of it.
fn assert_commits_without_answer_are_in_force(dumb: bool) {
    // Enough for some to be left.
    let Some(site) = Site::with(&[("DATABASE_POOL_SIZE", "12")]) else { return };
    let Site { database, proxy, server, .. } = &site;
    let (suspended, owner) = (server.agent("suspended"), server.agent("owner"));
    let (suspended_token, revoked_token) = (server.token(&suspended), server.token(&site.agent));
    let in_doubt = |request: &Request, member: &str| {
        let refusal = site.in_time(request).expect(503);
        assert!(refusal[member].as_str().unwrap().contains("unknown"), "{refusal}");
    };
    let credential = format!("/api/v1/agents/{}/credentials/{}", owner.id, owner.credential);

    proxy.lose_commits(dumb);
    in_doubt(&change_status(&suspended.id, "suspended"), "detail");
    let revoke = form("/api/v1/token/revoke", &[("token", &revoked_token)]).bearer(OPERATOR);
    in_doubt(&revoke, "error_description");
    in_doubt(&delete(&credential).bearer(OPERATOR), "detail");
    in_doubt(&post("/api/v1/agents", &new_agent("doubtful")).bearer(OPERATOR), "detail");
    proxy.restore_for_new_connections();

    site.assert_whole();
    let doubtful = "SELECT id FROM agents WHERE email = 'doubtful@agents.example'";
    let read = database.read(&[
        &format!("SELECT status FROM agents WHERE id = '{}'", suspended.id),
        "SELECT COUNT(*) FROM token_revocations",
        &format!("SELECT revoked_at FROM credentials WHERE id = '{}'", owner.credential),
        doubtful,
    ]);
    assert_eq!(read[0][0][0], "suspended", "the commit has arrived");
    let dead = |token: &str| within(HEARD, || !server.is_live(token));
    assert!(dead(&suspended_token), "the token of a suspended agent lives on");
    server.ask(&ask_token(&suspended)).oauth(403, "unauthorized_client");
    assert!(dead(&revoked_token), "a revoked token lives on");
    assert!(!read[2][0][0].is_empty());
    let refused = || server.ask(&ask_token(&owner)).status == 401;
    assert!(within(HEARD, refused), "a revoked credential gets tokens");
    let credentials = format!("/api/v1/agents/{}/credentials", read[3][0][0]);
    let create = post(&credentials, &json!({})).bearer(OPERATOR);
    assert!(within(HEARD, || server.ask(&create).status == 201), "an agent is not known");
}

#[test]
fn a_server_whose_postgres_is_not_there_says_so_and_does_not_start() {
    let database = Database::sqlite();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://countersign:hunter2@{free}/countersign");
    let key = crate::database::MASTER_KEY;
    let settings = [("DATABASE_URL", &*url), ("DATABASE_MIGRATE_URL", &url), ("MASTER_KEY", key)];
    let mut command = serve(&database, &settings);
    let reason = refused(&mut command);
    assert!(reason.starts_with("error: DATABASE_URL: the database is unavailable"), "{reason}");
    assert!(!reason.contains("hunter2") && !reason.contains(key), "{reason}");
}
