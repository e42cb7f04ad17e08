//! An unknown client and a wrong secret cost the same, so that nobody learns who exists by
//! measuring (contract 2.3).

use countersign_ground::clock::Stopwatch;
use countersign_ground::ids::AgentId;

use crate::support::TestApp;

const TIMES: usize = 20_000;

async fn medians_are_alike(secret: &str) {
    let app = TestApp::start().await;
    let known: AgentId = app.agent("screener", &["agents:read"]).await.id.parse().unwrap();
    let unknown = AgentId::new(app.clock.now(), &app.server.app.entropy);
    let now = app.clock.now();
    let nanos = |id| {
        let watch = Stopwatch::start();
        let client = app.server.app.law.client(id, secret, now);
        let nanos = watch.elapsed().as_nanos();
        assert!(client.is_none());
        nanos
    };
    // In turn, so that whatever else the machine does slows down both.
    let (mut wrong, mut nobody): (Vec<_>, Vec<_>) =
        (0..TIMES).map(|_| (nanos(known), nanos(unknown))).unzip();
    wrong.sort_unstable();
    nobody.sort_unstable();
    let (wrong, nobody) = (wrong[TIMES / 2] as f64, nobody[TIMES / 2] as f64);
    let ratio = nobody / wrong;
    println!("wrong secret {wrong} ns, unknown client {nobody} ns");
    assert!((0.5..=2.0).contains(&ratio), "unknown : wrong = {ratio}");
}

#[tokio::test]
async fn an_unknown_client_costs_what_a_wrong_secret_costs() {
    medians_are_alike(&format!("sk_live_{}", "0".repeat(64))).await;
}

/// Here the digest is nearly all of the cost: leaving it out would show plainly.
#[tokio::test]
async fn an_unknown_client_costs_what_a_wrong_secret_costs_however_long_it_is() {
    medians_are_alike(&"s".repeat(16 << 10)).await;
}
