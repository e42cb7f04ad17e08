//! The record in process: what appending, sealing, verifying and proving cost, and what it takes on disk.
//!
//! `baseline record URL EVENTS` fills an empty database and prints JSON.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign_ground::clock::{Clock, Stopwatch};
use countersign_ground::db::{DatabaseUrl, Db, Metrics, Options, migrate};
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, EventId};
use countersign_ground::keyring::{KeyRing, MasterKey, Masters};
use countersign_ground::record::verify::{self, Trust};
use countersign_ground::record::{Actor, Event, Filter, Record};
use countersign_server::migrations::MIGRATIONS;
use futures_util::future::try_join_all;
use serde_json::json;

use crate::Error;

/// Events that wait for the disk together.
const TOGETHER: usize = 256;
/// As many as one seal may hold.
const RUN: usize = 10_000;
const ROUNDS: usize = 15;

struct Bench {
    db: Db,
    record: Record,
    keys: KeyRing,
    agents: Vec<AgentId>,
    last: Mutex<Option<EventId>>,
    /// Requests from all over the record.
    requests: Mutex<Vec<Arc<str>>>,
}

pub(crate) async fn run(url: &str, events: usize) -> Result<(), Error> {
    let url: DatabaseUrl = url.parse()?;
    let (clock, entropy) = (Clock::System, Entropy::System);
    migrate(&url, MIGRATIONS, clock.now()).await?;
    let options = Options { url, pool_size: 8, timeout: Duration::from_secs(60) };
    let db = Db::open(&options, Metrics::default()).await?;
    let current = MasterKey::from_hex(&"07".repeat(32)).ok_or("a master key")?;
    let masters = Masters { current, previous: None };
    let keys = KeyRing::open(&db, masters, &clock, &entropy).await?;
    let record = Record::new(db.clone(), clock.clone(), entropy.clone());
    let agents = (0..1_000).map(|_| AgentId::new(clock.now(), &entropy)).collect();
    let bench =
        Bench { db, record, keys, agents, last: Mutex::default(), requests: Mutex::default() };

    let (alone, beside) = bench.appending().await?;
    let sealing = bench.sealing().await?;
    bench.fill(events).await?;
    let (verified, rate) = bench.verifying().await?;
    let finding = bench.finding().await?;
    let proving = bench.proving().await?;
    let (disk, bodies) = bench.size().await?;
    let ratios: Vec<f64> =
        alone.iter().zip(&beside).map(|(alone, beside)| beside / alone).collect();
    println!(
        "{}",
        json!({
            "events": verified, "append_rate": median(&alone), "append_while_sealing": median(&ratios),
            "seal_cpu_ms": sealing, "verified_per_s": rate, "lookup_ms": finding, "proof_ms": proving,
            "disk_per_body": disk / bodies, "body_bytes": bodies / as_float(verified),
        })
    );
    bench.db.close().await;
    Ok(())
}

impl Bench {
    /// As the event of a token has it.
    fn event(&self, number: usize) -> Event {
        let (clock, entropy) = (Clock::System, Entropy::System);
        let agent = self.agents[number % self.agents.len()];
        let now = clock.now();
        let mut event = Event::new(EventId::new(now, &entropy), now, "token.issued");
        event.agent = Some(agent);
        event.actor = Actor { kind: "agent", id: agent.to_string().into() };
        event.origin.ip = Some([10, 0, 0, 1].into());
        event.origin.user_agent = Some("python-httpx/0.28".into());
        event.origin.request_id = Some(EventId::new(now, &entropy).to_string().into());
        event.meta("credentialId", AgentId::new(now, &entropy).to_string());
        event.meta("expiresAt", now.seconds() + 3_600);
        event.meta("jti", EventId::new(now, &entropy).to_string());
        event.meta("kid", "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        event.meta("scope", "agents:read resumes:read");
        event
    }

    async fn append(&self, count: usize) -> Result<(), Error> {
        for begin in (0..count).step_by(TOGETHER) {
            let here = TOGETHER.min(count - begin);
            let events: Vec<Event> = (begin..begin + here).map(|one| self.event(one)).collect();
            if let Some(last) = events.last() {
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last.id);
                let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
                requests.extend(last.origin.request_id.clone());
            }
            try_join_all(events.into_iter().map(|event| self.record.append(event))).await?;
        }
        Ok(())
    }

    /// Events a second without sealing, and while what was appended before is sealed.
    async fn appending(&self) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        self.append(RUN).await?;
        for _ in 0..ROUNDS {
            let watch = Stopwatch::start();
            self.append(RUN).await?;
            alone.push(as_float(RUN) / watch.elapsed().as_secs_f64());
            let watch = Stopwatch::start();
            let (appended, sealed) = tokio::join!(self.append(RUN), self.record.seal(&self.keys));
            appended?;
            sealed?;
            beside.push(as_float(RUN) / watch.elapsed().as_secs_f64());
        }
        Ok((alone, beside))
    }

    /// CPU milliseconds of sealing ten thousand events.
    async fn sealing(&self) -> Result<f64, Error> {
        self.record.seal(&self.keys).await?;
        let mut spent = 0.0;
        for _ in 0..ROUNDS {
            self.append(RUN).await?;
            let before = cpu_seconds()?;
            self.record.seal(&self.keys).await?;
            spent += cpu_seconds()? - before;
        }
        Ok(spent * 1_000.0 / as_float(ROUNDS))
    }

    async fn fill(&self, events: usize) -> Result<(), Error> {
        let there = RUN * (1 + 3 * ROUNDS);
        let mut left = events.saturating_sub(there);
        while left > 0 {
            let here = left.min(RUN);
            self.append(here).await?;
            self.record.seal(&self.keys).await?;
            left -= here;
        }
        Ok(())
    }

    async fn verifying(&self) -> Result<(usize, f64), Error> {
        let watch = Stopwatch::start();
        let report = verify::database(&self.db, &Trust::default(), |_, _| {}).await?;
        if !report.is_good() {
            return Err(format!("{:?}", report.faults).into());
        }
        let verified = usize::try_from(report.events)?;
        Ok((verified, as_float(verified) / watch.elapsed().as_secs_f64()))
    }

    /// Milliseconds of finding the one event of a request.
    async fn finding(&self) -> Result<f64, Error> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut times = Vec::new();
        for request in requests.iter().step_by((requests.len() / 200).max(1)) {
            let mut filter = Filter { limit: 50, ..Filter::all("default") };
            filter.request = Some(request.to_string());
            let watch = Stopwatch::start();
            loop {
                let page = self.record.search(&filter).await?;
                filter.cursor = page.next;
                if !page.bodies.is_empty() {
                    break;
                }
                filter.cursor.ok_or("a request was not found")?;
            }
            times.push(watch.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(median(&times))
    }

    /// Milliseconds of one proof.
    async fn proving(&self) -> Result<f64, Error> {
        let mut times = Vec::new();
        for _ in 0..200 {
            self.append(1).await?;
            let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let id = last.ok_or("no event")?;
            if times.len() % 50 == 0 {
                self.append(RUN - 1).await?;
            }
            self.record.seal(&self.keys).await?;
            let watch = Stopwatch::start();
            self.record.prove("default", id).await?;
            times.push(watch.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(median(&times))
    }

    /// Bytes on disk, and bytes of events' texts.
    async fn size(&self) -> Result<(f64, f64), Error> {
        let number = async |sql| -> Result<f64, Error> {
            let row = self.db.query_opt(sql, &[]).await?;
            let number: i64 = row.ok_or("no row")?.take()?;
            Ok(as_float(usize::try_from(number)?))
        };
        let bodies = number("SELECT CAST(SUM(LENGTH(body)) AS BIGINT) FROM audit_events").await?;
        let disk = if self.db.engine_name() == "sqlite" {
            let pages = number("SELECT page_count FROM pragma_page_count()").await?;
            pages * number("SELECT page_size FROM pragma_page_size()").await?
        } else {
            number("SELECT pg_database_size(current_database())::BIGINT").await?
        };
        Ok((disk, bodies))
    }
}

/// User and system time of this process, in seconds.
fn cpu_seconds() -> Result<f64, Error> {
    let threads = std::fs::read_dir("/proc/self/task")?;
    let mut nanos = 0.0;
    for thread in threads {
        let spent = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += spent.split(' ').next().ok_or("schedstat")?.parse::<f64>()?;
    }
    Ok(nanos / 1e9)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn as_float(number: usize) -> f64 {
    number as f64
}
