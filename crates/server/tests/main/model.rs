//! Identity against a model: random sequences of every call of the chapter, by callers of all kinds
//! from two tenants, while the clock steps both ways.
//!
//! The model is plain data. It says of each call what the answer is and what changes; after each
//! call the server is asked whether it agrees, and at the end of a sequence about everything.

mod agents;
mod backwards;
mod callers;
mod calls;
mod checks;
mod credentials;
mod house;
mod opening;
mod operators;
mod roles;
mod run;
mod sequences;
mod state;
mod storm;
mod tokens;

use std::cell::RefCell;
use std::sync::Mutex;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;

use crate::support::TestApp;
use calls::Step;
use opening::{Start, first_calls};
use run::{Figures, Run};
use sequences::sequences;

/// Sequences from each seed, beside each other.
const SEQUENCES: u32 = 30;
/// The most calls of a sequence, besides those that it begins with.
const CALLS: usize = 100;
/// Sequences that one server sees, unless one of them fails.
const ON_ONE_SERVER: usize = 6;
const SEEDS: [[u8; 32]; 2] =
    [*b"every call of the identity model", *b"and every call of it, once again"];

/// Answers that a run must have seen: a generator that misses them proves little.
const RARE: [&str; 13] = [
    "CreateAgent 403 FREE_TIER_LIMIT_EXCEEDED",
    "CreateCredential 403 INSUFFICIENT_SCOPE",
    "CreateOperator 403 FORBIDDEN",
    "DeleteOperator 409 CONFLICT",
    "Insist 429",
    "Introspect 403 insufficient_scope",
    "PatchAgent 403 INSUFFICIENT_SCOPE",
    "PatchAgent 412 PRECONDITION_FAILED",
    "Quarantine 200 ",
    "Reinstate 200 ",
    "RevokeKey 200 ",
    "RotateKeys 409 CONFLICT",
    "Token 403 unauthorized_client",
];

/// A server, and how many sequences it has seen.
struct Shared {
    app: TestApp,
    seen: usize,
}

async fn sequence(shared: &mut Shared, start: Start, steps: &[Step], all: &Mutex<Figures>) {
    shared.seen += 1;
    let mut figures = Figures { sequences: 1, ..Figures::default() };
    let (mut run, before) = Run::open(&shared.app, shared.seen, start, &mut figures).await;
    let steps = first_calls().into_iter().chain(steps.iter().copied());
    for (number, step) in steps.enumerate() {
        run.step(number, step).await;
    }
    run.check_all(&before).await;
    all.lock().unwrap().add(figures);
}

/// Takes sequences from this seed through servers of their own.
fn lane(seed: [u8; 32], figures: &Mutex<Figures>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let kept = RefCell::new(None);
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 300,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let start = (prop::bool::weighted(0.3), prop::bool::weighted(0.08))
        .prop_map(|(free, crowded)| Start { free, crowded });
    let outcome = runner.run(&(start, sequences(CALLS)), |(start, steps)| {
        runtime.block_on(async {
            let former = kept.take().filter(|shared: &Shared| shared.seen < ON_ONE_SERVER);
            let mut shared = match former {
                Some(shared) => shared,
                None => Shared { app: TestApp::start().await, seen: 0 },
            };
            sequence(&mut shared, start, &steps, figures).await;
            // A server that saw a failure is not asked again.
            kept.replace(Some(shared));
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn random_sequences_of_calls_go_as_the_model_says() {
    let figures = Mutex::new(Figures::default());
    std::thread::scope(|threads| {
        for seed in SEEDS {
            let figures = &figures;
            // Futures of unoptimised code are large.
            let builder = std::thread::Builder::new().stack_size(64 << 20);
            builder.spawn_scoped(threads, move || lane(seed, figures)).unwrap();
        }
    });
    let Figures { sequences, calls, answers, kinds, states, token_checks } =
        figures.into_inner().unwrap();
    println!(
        "{sequences} sequences, {calls} calls, answers by hundreds {answers:?}, {} kinds of answers, \
         {} states, {token_checks} token checks",
        kinds.len(),
        states.len(),
    );
    for kind in RARE {
        assert!(kinds.contains(kind), "never reached: {kind}");
    }
}
