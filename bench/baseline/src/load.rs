//! `baseline load`: tokens at a steady rate and, beside them, one new agent every 20 ms.
//!
//! wrk sends as fast as it is answered; this load does not wait for the server. A request is due
//! at a fixed time, and when its connection is still busy then, the waiting counts as latency.
//! Threads, because an event loop's timer counts in milliseconds: it would send five at a time.
//! The plan comes as JSON on standard input, the report goes as JSON to standard output.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::connection::Connection;

const AGENT_EVERY: Duration = Duration::from_millis(20);
const AGENT_CONNECTIONS: u32 = 8;

#[derive(Deserialize)]
struct Plan {
    port: u16,
    /// Tokens a second.
    rate: u32,
    /// For the tokens.
    connections: u32,
    seconds: u32,
    /// Form bodies, sent in turn.
    bodies: Vec<String>,
    /// The bearer token that may create agents.
    operator: String,
}

#[derive(Serialize)]
struct Report {
    tokens: Latency,
    agents: Latency,
}

#[derive(Serialize)]
struct Latency {
    count: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub(crate) fn run() -> Result<(), Error> {
    let Plan { port, rate, connections, seconds, bodies, operator } =
        serde_json::from_reader(std::io::stdin())?;

    let token = |n: u32| {
        let body = &bodies[n as usize % bodies.len()];
        post("/api/v1/token", "Content-Type: application/x-www-form-urlencoded", body)
    };
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {operator}");
    // Another run against the same server must not meet this one's addresses.
    let run = std::process::id();
    let agent = |n: u32| post("/api/v1/agents", &headers, &agent_body(run, n));

    let every = Duration::from_secs(1) / rate;
    let agent_count = seconds * 1000 / AGENT_EVERY.as_millis() as u32;
    let (tokens, agents) = thread::scope(|scope| {
        let tokens = scope.spawn(|| paced(port, connections, every, rate * seconds, token));
        let agents = paced(port, AGENT_CONNECTIONS, AGENT_EVERY, agent_count, agent);
        let tokens = tokens.join().unwrap_or_else(|_| Err("a thread of the load panicked".into()));
        Ok::<_, Error>((tokens?, agents?))
    })?;
    println!("{}", serde_json::to_string(&Report { tokens, agents })?);
    Ok(())
}

fn agent_body(run: u32, n: u32) -> String {
    format!(
        r#"{{"email":"load-{run}-{n}@bench.example","agentType":"screener","version":"1.0.0","capabilities":["reports:read"],"owner":"bench","deploymentEnv":"development"}}"#
    )
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: bench\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Sends request `n` at `n * every` from now; the connections take turns.
#[expect(clippy::disallowed_methods, reason = "the clock that latencies are measured by")]
fn paced(
    port: u16,
    connections: u32,
    every: Duration,
    count: u32,
    request: impl Fn(u32) -> String + Sync,
) -> Result<Latency, Error> {
    let start = Instant::now();
    let lane = |lane: u32| {
        let mut connection = Connection::open(port)?;
        let mut latencies = Vec::new();
        for n in (lane..count).step_by(connections as usize) {
            let request = request(n);
            let due = start + every * n;
            // What the connection is late counts; what the timer is late does not.
            let begun = match due.checked_duration_since(Instant::now()) {
                Some(early) => {
                    thread::sleep(early);
                    Instant::now()
                }
                None => due,
            };
            connection.send(&request)?;
            latencies.push(begun.elapsed());
        }
        Ok::<_, Error>(latencies)
    };
    let latencies = thread::scope(|scope| {
        let lanes: Vec<_> = (0..connections).map(|n| scope.spawn(move || lane(n))).collect();
        let mut latencies = Vec::new();
        for lane in lanes {
            let seen = lane.join().unwrap_or_else(|_| Err("a thread of the load panicked".into()));
            latencies.extend(seen?);
        }
        Ok::<_, Error>(latencies)
    })?;
    Ok(Latency::of(latencies, start.elapsed()))
}

impl Latency {
    fn of(mut latencies: Vec<Duration>, took: Duration) -> Self {
        latencies.sort_unstable();
        let at = |share: f64| {
            let place = (latencies.len() as f64 * share) as usize;
            latencies.get(place).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
        };
        Self {
            count: latencies.len(),
            per_second: latencies.len() as f64 / took.as_secs_f64(),
            p50_ms: at(0.50),
            p99_ms: at(0.99),
        }
    }
}
