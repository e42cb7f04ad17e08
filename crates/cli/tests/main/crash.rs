//! `kill -9` at random moments under load: what was answered is there, what is there was recorded,
//! and nothing is half-done.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::thread;
use std::time::Duration;

use countersign_ground::clock::Stopwatch;

use crate::database::{Database, Engine};
use crate::http::get;
use crate::ledger::Ledger;
use crate::load::{Fate, Load, Notes};
use crate::server::{OPERATOR, Server};

/// How many tokens of a round are asked about again at the end.
const REMEMBERED: usize = 10;

#[test]
fn what_was_answered_survives_a_kill_and_nothing_is_half_done() {
    let watch = Stopwatch::start();
    let database = Database::create();
    let rounds = match database.engine {
        Engine::PgBouncer => {
            println!("5 rounds behind PgBouncer: its own part is the same in each");
            5
        }
        _ => 50,
    };
    let mut random = Random::seeded();
    let mut ledger = Ledger::default();
    let (mut tokens, mut changes) = (0, 0);
    let (mut live, mut dead) = (Vec::new(), Vec::new());
    let mut server = Server::start(&database, &[]);
    let agent = server.agent("steady");
    let mut last = Notes::default();

    for round in 1..=rounds {
        let load = Load::start(&server, &agent, &format!("r{round}"));
        load.await_answers(16);
        thread::sleep(Duration::from_millis(random.between(20, 200)));
        server.process.kill();
        let notes = load.end();
        assert_eq!(notes.wrong, [""; 0], "round {round}");

        ledger.read_on(&database);
        ledger.agrees_with(&notes.requests);
        server = Server::start(&database, &[]);
        // All of them would take longer than the round.
        assert_tokens(&server, &notes.live[notes.live.len().saturating_sub(3)..], true);
        assert_tokens(&server, &notes.dead[notes.dead.len().saturating_sub(3)..], false);

        tokens += notes.tokens();
        changes += notes.count(Fate::Done) - notes.tokens();
        live.extend(notes.live.iter().rev().take(REMEMBERED).cloned());
        dead.extend(notes.dead.iter().rev().take(REMEMBERED).cloned());
        last = notes;
    }

    assert_tokens(&server, &live, true);
    assert_tokens(&server, &dead, false);
    assert_shown(&server, &last);
    ledger.read_on(&database);
    let seconds = watch.elapsed().as_secs_f32();
    println!(
        "{rounds} rounds on {:?} in {seconds:.1} s: {tokens} tokens and {changes} changes were \
         answered, {} events stand in the record",
        database.engine,
        ledger.events()
    );
    assert!(tokens > rounds && changes > rounds, "too little was answered to say anything");
}

#[track_caller]
fn assert_tokens(server: &Server, tokens: &[String], live: bool) {
    for token in tokens {
        assert_eq!(server.is_live(token), live, "{token}");
    }
}

/// What the last round's clients were answered is what others are shown.
fn assert_shown(server: &Server, notes: &Notes) {
    let mut connection = server.connect();
    let mut show = |path: &str| connection.ask(&get(path).bearer(OPERATOR)).unwrap().expect(200);
    for (agent, status) in &notes.agents {
        let shown = show(&format!("/api/v1/agents/{agent}"));
        assert_eq!(shown["status"], *status, "{shown}");
    }
    for (agent, credential) in &notes.credentials {
        let page = show(&format!("/api/v1/agents/{agent}/credentials?limit=100"));
        let mut ids = page["data"].as_array().unwrap().iter().map(|one| &one["credentialId"]);
        assert!(ids.any(|id| id == credential), "{credential}: {page}");
    }
    for note in notes.with(Fate::Done).take(100) {
        let page = show(&format!("/api/v1/audit?requestId={}", note.request));
        assert_eq!(page["data"][0]["action"], note.action, "{page}");
        assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// With a seed that is shown, so that its moments can be had again.
    fn seeded() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        println!("seed {seed}");
        Self(seed)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        least + (z ^ (z >> 31)) % (most - least + 1)
    }
}
