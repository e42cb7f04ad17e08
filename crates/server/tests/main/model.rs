//! Identity against a model: random sequences of every call of the chapter, by callers of all kinds
//! from two tenants, while the clock steps both ways.
//!
//! The model is plain data. It says of each call what the answer is and what changes; after each
//! call the server is asked whether it agrees, and at the end of a sequence about everything.

mod agents;
mod callers;
mod calls;
mod checks;
mod credentials;
mod house;
mod opening;
mod operators;
mod roles;
mod run;
mod state;
mod tokens;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;

use crate::support::TestApp;
use calls::{Step, sequences};
use opening::{Start, first_calls};
use run::{Figures, Run};

const SEQUENCES: u32 = 60;
/// Calls of a sequence, besides those that it begins with.
const CALLS: usize = 60;
/// Sequences that one server sees, unless one of them fails.
const ON_ONE_SERVER: usize = 6;
const SEED: [u8; 32] = *b"every call of the identity model";

/// A server, and how many sequences it has seen.
struct Shared {
    app: TestApp,
    seen: usize,
}

async fn sequence(shared: &mut Shared, start: Start, steps: &[Step], figures: &mut Figures) {
    shared.seen += 1;
    let (mut run, before) = Run::open(&shared.app, shared.seen, start, figures).await;
    let steps = first_calls().into_iter().chain(steps.iter().copied());
    for (number, step) in steps.enumerate() {
        run.step(number, step).await;
    }
    run.check_all(&before).await;
    run.figures.sequences += 1;
}

#[test]
fn random_sequences_of_calls_go_as_the_model_says() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (figures, kept) = (RefCell::new(Figures::default()), RefCell::new(None));
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let start = (prop::bool::weighted(0.3), prop::bool::weighted(0.05))
        .prop_map(|(free, crowded)| Start { free, crowded });
    let outcome = runner.run(&(start, sequences(CALLS)), |(start, steps)| {
        runtime.block_on(async {
            let former = kept.take().filter(|shared: &Shared| shared.seen < ON_ONE_SERVER);
            let mut shared = match former {
                Some(shared) => shared,
                None => Shared { app: TestApp::start().await, seen: 0 },
            };
            sequence(&mut shared, start, &steps, &mut figures.borrow_mut()).await;
            // A server that saw a failure is not asked again.
            kept.replace(Some(shared));
        });
        Ok(())
    });
    let Figures { sequences, calls, answers, kinds, states, token_checks } = figures.into_inner();
    println!(
        "{sequences} sequences, {calls} calls, answers by hundreds {answers:?}, {} kinds of answers, \
         {} states, {token_checks} token checks",
        kinds.len(),
        states.len(),
    );
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
