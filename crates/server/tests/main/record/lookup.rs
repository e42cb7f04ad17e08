//! What is looked up by an agent, a decision or a request, against a plain list of what was recorded.

use std::sync::Arc;
use std::time::Duration;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Leaf};
use countersign_ground::ids::AgentId;
use countersign_ground::params;
use countersign_ground::record::{Event, Expiry, Filter};
use proptest::prelude::RngExt as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::support::TestApp;

const NAMES: [&str; 4] = ["r", "r\"\\", "é\u{1}", "rare"];
const ACTIONS: [&str; 2] = ["test.happened", "test.other"];

/// What was recorded, oldest first as it was written.
struct Known {
    app: TestApp,
    rng: TestRng,
    agents: Vec<AgentId>,
    events: Vec<Event>,
}

impl Known {
    async fn start() -> Self {
        let app = TestApp::start().await;
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let agent = |_| AgentId::new(app.clock.now(), &app.server.app.entropy);
        let agents = (0..5).map(agent).collect();
        Self { app, rng, agents, events: Vec::new() }
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.rng.random_range(0..of.len() * 2)).cloned()
    }

    fn event(&mut self) -> Event {
        // Clocks go back a little at times.
        let time = Time(self.app.clock.now().0 - self.rng.random_range(0..3) * 400);
        let action = ACTIONS[usize::from(self.rng.random_bool(0.1))];
        let mut event = self.app.server.app.event(action, time);
        if self.rng.random_bool(0.2) {
            event.tenant = Arc::from("elsewhere");
        }
        event.agent = self.some(&self.agents.clone());
        event.decision = self.some(&NAMES).map(Arc::from);
        event.origin.request_id = self.some(&NAMES).map(Arc::from);
        event
    }

    async fn record(&mut self, events: Vec<Event>) {
        let leaves: Vec<Leaf> = events.iter().map(Event::leaf).collect();
        self.events.extend(events);
        let write = self.app.server.app.db.write(leaves, |tx, leaves| {
            Box::pin(async move {
                leaves.iter().cloned().for_each(|leaf| tx.record(leaf));
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
        self.app.pass(Duration::from_micros(700));
    }

    async fn round(&mut self) {
        let count = self.rng.random_range(1..8);
        let events = (0..count).map(|_| self.event()).collect();
        self.record(events).await;
    }

    async fn seal(&self) {
        self.app.server.seal().await.unwrap();
    }

    /// What there is to find, newest first.
    fn expected(&self, filter: &Filter) -> Vec<String> {
        let is = |wanted: &Option<String>, found: &Option<Arc<str>>| {
            wanted.is_none() || wanted.as_deref() == found.as_deref()
        };
        let mut found: Vec<(Time, usize)> = Vec::new();
        for (n, event) in self.events.iter().enumerate() {
            let time = event.leaf().time;
            if *event.tenant == *filter.tenant
                && (filter.agent.is_none() || filter.agent == event.agent)
                && filter.action.as_deref().is_none_or(|action| action == event.action)
                && is(&filter.decision, &event.decision)
                && is(&filter.request, &event.origin.request_id)
                && filter.since.is_none_or(|since| since <= time)
                && filter.until.is_none_or(|until| time <= until)
            {
                found.push((time, n));
            }
        }
        found.sort_unstable();
        found.into_iter().rev().map(|(_, n)| self.events[n].body()).collect()
    }

    async fn found(&self, filter: &Filter) -> Vec<String> {
        let (mut all, mut filter) = (Vec::new(), filter.clone());
        loop {
            let page = self.app.server.app.record.search(&filter).await.unwrap();
            assert!(page.bodies.len() <= filter.limit);
            // The server's own are not in the list.
            let ours = |body: &String| body.starts_with(r#"{"action":"test."#);
            all.extend(page.bodies.into_iter().filter(ours));
            filter.cursor = page.next;
            if filter.cursor.is_none() {
                return all;
            }
        }
    }

    /// Asks whatever can be asked.
    async fn check(&mut self, times: usize) {
        let (first, last) = (self.events[0].time.0, self.app.clock.now().0);
        for _ in 0..times {
            let time = |rng: &mut TestRng| Some(Time(rng.random_range(first..last)));
            let mut filter = Filter::all("");
            filter.tenant = (*self.events[0].tenant).to_owned();
            filter.limit = [1, 3, 50, 1_000][self.rng.random_range(0..4)];
            match self.rng.random_range(0..4) {
                0 => filter.agent = self.some(&self.agents.clone()),
                1 => filter.decision = self.some(&NAMES).map(String::from),
                2 => filter.request = self.some(&NAMES).map(String::from),
                _ => {
                    filter.agent = self.some(&self.agents.clone());
                    filter.request = Some(NAMES[3].into());
                }
            }
            filter.action = self.some(&ACTIONS).map(String::from);
            filter.since = time(&mut self.rng).filter(|_| self.rng.random_bool(0.3));
            filter.until = time(&mut self.rng).filter(|_| self.rng.random_bool(0.3));
            assert_eq!(self.found(&filter).await, self.expected(&filter), "{filter:?}");
        }
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let row = self.app.server.app.db.query_opt(sql, &[]).await.unwrap();
        row.unwrap().take().unwrap()
    }
}

#[tokio::test]
async fn whatever_is_asked_all_pages_together_are_what_was_recorded() {
    let mut known = Known::start().await;
    for round in 0..300 {
        known.round().await;
        if round % 60 == 7 {
            known.check(10).await;
        }
        known.seal().await;
    }
    known.round().await;
    known.check(100).await;
    let runs = known.count("SELECT COUNT(*) FROM event_runs").await;
    assert!((2..=46).contains(&runs), "{runs} runs of 300 seals");
    let gone = known
        .count("SELECT COUNT(*) FROM event_keys WHERE run NOT IN (SELECT run FROM event_runs)");
    assert_eq!(gone.await, 0);
}

/// More runs than one look takes, most of which hold nothing of what is wanted.
#[tokio::test]
async fn many_runs_are_looked_into_piece_by_piece() {
    let mut known = Known::start().await;
    for round in 0..40_i64 {
        known.round().await;
        known.seal().await;
        let (last, db) = (known.events.last().unwrap().time, &known.app.server.app.db);
        let write = db.write(last, move |tx, last| {
            Box::pin(async move {
                for n in round * 60..round * 60 + 60 {
                    let sql = "INSERT INTO event_runs (run, level, begins, ends, entries)
                               VALUES ($1, 9, $2, $2, 1)";
                    tx.execute(sql, params![-1 - n, *last]).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        write.await.unwrap();
    }
    known.check(60).await;
}

/// An agent that is in every event, and one that is in a few of them.
#[tokio::test]
async fn what_is_everywhere_is_found_as_well_as_what_is_rare() {
    let mut known = Known::start().await;
    for _ in 0..3 {
        let (often, seldom) = (known.agents[0], known.agents[1]);
        let mut events: Vec<_> = (0..1_500).map(|_| known.event()).collect();
        for (n, event) in events.iter_mut().enumerate() {
            event.agent = Some(if n % 300 == 3 { seldom } else { often });
        }
        known.record(events).await;
        known.seal().await;
    }
    known.check(60).await;
}

#[tokio::test]
async fn keys_go_with_the_last_of_their_events() {
    let mut known = Known::start().await;
    known.round().await;
    known.seal().await;
    assert_eq!(known.count("SELECT COUNT(*) FROM event_runs").await, 1);
    known.app.pass(Duration::from_secs(60));
    let app = &known.app.server.app;
    for tenant in [&*known.events[0].tenant, "elsewhere"] {
        let before = known.app.clock.now();
        let expiry = Expiry { tenant: tenant.to_owned(), action: None, before };
        let tell = || app.event("audit.expired", app.clock.now());
        app.record.expire(&app.keys, &expiry, tell).await.unwrap();
    }
    assert_eq!(known.count("SELECT COUNT(*) FROM event_runs").await, 0);
    assert_eq!(known.count("SELECT COUNT(*) FROM event_keys").await, 0);
}
