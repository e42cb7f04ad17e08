//! Many writers at once, of which some fail, panic, wait or go away: what was answered is there,
//! what is there was recorded, and nobody disturbs anybody.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use countersign_ground::entropy::Entropy;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::job::{Fate, Jobs, recorded, run};
use super::{Gate, app_with_table, first_step, held, ids};
use crate::record::streams_are_gapless;

const WRITERS: u64 = 64;
const JOBS: u64 = 200;

/// What the writers saw.
#[derive(Default)]
struct Seen {
    answered: BTreeSet<String>,
    given_up: BTreeSet<String>,
    must_not_be_there: BTreeSet<String>,
}

impl Seen {
    fn and(mut self, mut other: Self) -> Self {
        self.answered.append(&mut other.answered);
        self.given_up.append(&mut other.given_up);
        self.must_not_be_there.append(&mut other.must_not_be_there);
        self
    }
}

/// Waits for an answer for so many turns of the runtime, then goes away.
async fn patiently<T>(write: impl Future<Output = T>, turns: u32) -> Option<T> {
    let mut write = pin!(write);
    for _ in 0..turns {
        if let Poll::Ready(answer) = first_step(write.as_mut()).await {
            return Some(answer);
        }
        tokio::task::yield_now().await;
    }
    None
}

async fn writer(jobs: Jobs, number: u64) -> Seen {
    let dice = Entropy::seeded(number);
    let mut seen = Seen::default();
    for n in 0..JOBS {
        let [fate, leaves, patience] = dice.bytes();
        let (id, fate) = (format!("{number}-{n}"), Fate::of(fate));
        let write = jobs.app.server.app.db.write(jobs.job(&id, fate), run);
        let answer = if leaves % 5 == 0 {
            patiently(write, u32::from(patience / 16)).await
        } else {
            Some(write.await)
        };
        if !fate.commits() {
            seen.must_not_be_there.insert(id.clone());
        }
        match answer {
            None => _ = seen.given_up.insert(id),
            Some(Ok(answered)) => {
                assert_eq!(answered, id, "somebody else's answer");
                seen.answered.insert(id);
            }
            Some(Err(error)) => assert!(fate.explains(&error), "{fate:?}: {error:?}"),
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_writes_leaves_what_was_answered_and_its_events_and_nothing_else() {
    let settings = [("DATABASE_TIMEOUT_MS", "60000"), ("DATABASE_POOL_SIZE", "20")];
    let (jobs, mut all_over) = Jobs::new(app_with_table(&settings).await);
    let writers = (0..WRITERS).map(|number| tokio::spawn(writer(jobs.clone(), number)));
    let seen = timeout(Duration::from_secs(300), join_all(writers)).await.expect("nobody hangs");
    let seen = seen.into_iter().map(Result::unwrap).fold(Seen::default(), Seen::and);
    let (app, hooks) = (Arc::clone(&jobs.app), jobs.hooks());
    drop(jobs);
    let over = timeout(Duration::from_secs(60), all_over.recv()).await;
    assert_eq!(over, Ok(None), "every write ends, whether or not somebody waits for it");

    let rows = ids(&app.server.app.db).await;
    let there: BTreeSet<_> = rows.iter().cloned().collect();
    let Seen { answered, given_up, must_not_be_there } = seen;
    let unasked = there.difference(&answered).count();
    println!("{} answered, {unasked} of {} given up are there", answered.len(), given_up.len());
    assert!(answered.len() > 5_000 && given_up.len() > 500 && must_not_be_there.len() > 2_000);
    assert!(there.is_superset(&answered), "answered, but not there");
    assert!(there.difference(&answered).all(|id| given_up.contains(id)), "there without a cause");
    assert!(there.is_disjoint(&must_not_be_there), "left by a write that failed");
    assert_eq!(recorded(&app).await, rows, "an event for each row, a row for each event");
    assert_eq!(hooks(), rows, "a hook for each row");
    assert_eq!(streams_are_gapless(&app).await, FIRST + rows.len());
}

/// The event of the first operator.
const FIRST: usize = 1;

/// On SQLite they are sure to share one transaction: they wait for the one writer.
#[tokio::test]
async fn writes_of_one_batch_fail_alone() {
    static GATE: Gate = Gate::new();
    let (jobs, _) = Jobs::new(app_with_table(&[]).await);
    let db = &jobs.app.server.app.db;
    let mut holding = pin!(db.write(&GATE, held));
    assert!(first_step(holding.as_mut()).await.is_pending());
    GATE.begun().await;
    let fates = [Fate::Fails, Fate::Commits, Fate::Panics, Fate::FailsInTheDatabase, Fate::Waits];
    let mut waiting = Vec::new();
    for (n, fate) in fates.into_iter().cycle().take(20).enumerate() {
        let mut write = Box::pin(db.write(jobs.job(&format!("{n:02}"), fate), run));
        assert!(first_step(write.as_mut()).await.is_pending());
        waiting.push((fate, write));
    }
    GATE.open();
    holding.await.unwrap();
    let mut expected = Vec::new();
    for (fate, write) in waiting {
        match write.await {
            Ok(id) if fate.commits() => expected.push(id),
            Err(error) if fate.explains(&error) => {}
            other => panic!("{fate:?} was answered {other:?}"),
        }
    }
    assert_eq!(recorded(&jobs.app).await, expected);
    assert_eq!(jobs.hooks()(), expected);
    assert_eq!(streams_are_gapless(&jobs.app).await, FIRST + expected.len());
    expected.extend(["after".into(), "before".into()]);
    assert_eq!(ids(db).await, expected);
}
