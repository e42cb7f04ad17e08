//! One connection of the pool, and the transaction on it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::{Object, Pool};
use futures_util::TryFutureExt;
use futures_util::future::{join, maybe_done, try_join, try_join_all};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use tokio_postgres::types::{ToSql, Type};

use super::super::{Change, Error, Leaf, Metrics, Result, Row, STREAM_LENGTH, Value};
use crate::clock::Stopwatch;

/// How long a stream stays with the node that claimed it, unless the node says it again.
const STREAM_LEASE: Duration = Duration::from_secs(30);

pub(in super::super) struct Session {
    // `None` only while it is being dropped.
    client: Option<Object>,
    open: bool,
    // The transaction's BEGIN goes out with its first statement.
    begun: bool,
    // A question was sent and its answer has not come yet.
    asking: bool,
    timeout: Duration,
    in_use: Gauge,
    commit: Histogram,
}

impl Session {
    pub(super) async fn get(pool: &Pool, timeout: Duration, metrics: &Metrics) -> Result<Self> {
        let client = pool.get().await?;
        let (in_use, commit) = (metrics.in_use.clone(), metrics.commit.clone());
        in_use.inc();
        Ok(Self {
            client: Some(client),
            open: false,
            begun: true,
            asking: false,
            timeout,
            in_use,
            commit,
        })
    }

    /// Asks and waits for as long as a request would. A connection on which nothing comes is given
    /// up: when a machine is gone nothing says so, and whoever waits would wait for ever.
    async fn ask<T, W>(&mut self, work: W) -> Result<Result<T, tokio_postgres::Error>>
    where
        W: AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    {
        let client = self.client.as_ref().ok_or(Error::Closed)?;
        self.asking = true;
        match tokio::time::timeout(self.timeout, work(client)).await {
            Ok(answer) => {
                self.asking = false;
                Ok(answer)
            }
            Err(_) => {
                self.discard();
                Err(Error::Unavailable("it did not answer in time".into()))
            }
        }
    }

    /// A transaction from the next statement on.
    pub(super) fn begin(&mut self) {
        self.open = true;
        self.begun = false;
    }

    /// Asks with what was not said yet before it, all on its way at once.
    async fn ask_within<T, W>(&mut self, work: W) -> Result<T>
    where
        W: AsyncFnOnce(&Object) -> Result<T, tokio_postgres::Error>,
    {
        let begin = !std::mem::replace(&mut self.begun, true);
        let asked = self.ask(async |client| {
            if !begin {
                return work(client).await;
            }
            let (begun, answer) = join(client.batch_execute(BEGIN), work(client)).await;
            begun.and(answer)
        });
        Ok(asked.await??)
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        if !self.begun {
            self.open = false;
            return Ok(());
        }
        // When it can't be said, closing the connection says it, or has said it already.
        let said = self.ask(async |client| client.batch_execute("ROLLBACK").await).await;
        if matches!(said, Ok(Ok(()))) {
            self.open = false;
        } else {
            self.discard();
        }
        Ok(())
    }

    /// Ends the transaction, with its events as the last thing in it; gives the first one's number.
    pub(super) async fn commit(
        &mut self,
        changes: &[Change],
        leaves: &[Leaf],
        stream: i64,
    ) -> Result<i64> {
        let begin = !std::mem::replace(&mut self.begun, true);
        if begin && leaves.is_empty() && changes.is_empty() {
            self.open = false;
            return Ok(0);
        }
        let watch = Stopwatch::start();
        let ended = self.ask(async |client| Ok(end(client, begin, changes, leaves, stream).await));
        let ended = ended.await;
        self.commit.observe(watch.elapsed().as_secs_f64());
        let refused = |error: &tokio_postgres::Error| {
            error.as_db_error().is_some_and(|db| !db.code().code().starts_with("57"))
        };
        match ended {
            Ok(Ok(Ended { recorded, committed: Some(Ok(())) })) => {
                self.open = false;
                Ok(recorded?)
            }
            // The server said no, or was not asked: nothing was committed.
            Ok(Ok(Ended { committed: Some(Err(error)), .. })) if refused(&error) => {
                Err(error.into())
            }
            Ok(Ok(Ended { recorded, committed: None })) => Ok(recorded?),
            // Nobody said anything: it may have been.
            Ok(Ok(Ended { committed: Some(Err(error)), .. }) | Err(error)) => {
                self.discard();
                Err(Error::OutcomeUnknown(error.to_string()))
            }
            Err(silence) => Err(Error::OutcomeUnknown(silence.to_string())),
        }
    }

    pub(in super::super) async fn query(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>> {
        let params = typed(params);
        let rows = self.ask_within(async |client| client.query_typed(sql, &params).await).await?;
        rows.iter().map(row).collect()
    }

    pub(in super::super) async fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64> {
        let params = typed(params);
        self.ask_within(async |client| client.execute_typed(sql, &params).await).await
    }

    /// The same statement again and again, all on their way at once.
    pub(in super::super) async fn execute_each(
        &mut self,
        sql: &str,
        each: &[Vec<Value>],
    ) -> Result<()> {
        let each: Vec<_> = each.iter().map(|params| typed(params)).collect();
        self.ask_within(async |client| {
            try_join_all(each.iter().map(|params| client.execute_typed(sql, params))).await
        })
        .await
        .map(drop)
    }

    /// Records events in a transaction of their own; gives the first one's number.
    pub(super) async fn record(&mut self, leaves: &[Leaf], stream: i64) -> Result<i64> {
        Ok(self.ask(async |client| record(client, leaves, stream).await).await??)
    }

    fn discard(&mut self) {
        if let Some(client) = self.client.take() {
            self.in_use.dec();
            drop(Object::take(client));
        }
    }
}

/// A connection with an open transaction never goes back to the pool: closing it rolls back. Nor
/// does one whose answer nobody has waited for: it may never come.
impl Drop for Session {
    fn drop(&mut self) {
        if self.open || self.asking {
            self.discard();
        } else if self.client.take().is_some() {
            self.in_use.dec();
        }
    }
}

/// Bounded by the database itself, in case this process stops answering in the middle: a node that stands
/// still must not keep others from stopping an agent whose row it was about to touch.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '10s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '1500ms'";

/// Counter and events in one statement: numbers are gapless in commit order, because the counter's
/// row stays locked until the commit. Without that row there is no position, which is an error.
const RECORD: &str = "WITH counter AS (
             UPDATE event_streams SET n = n + $1 WHERE stream = $2 RETURNING n),
         recorded AS (
             INSERT INTO audit_events (position, time, tenant, agent_id, action, outcome, body)
             SELECT (SELECT n FROM counter) + $3 + e.i,
                    e.time, e.tenant, e.agent, e.action, e.outcome, e.body
               FROM unnest($4, $5, $6, $7, $8, $9)
                    WITH ORDINALITY AS e (time, tenant, agent, action, outcome, body, i))
         SELECT n - $1 + 1 FROM counter";

/// Clock and changes in one statement; the clock's row stays locked until the commit.
const ANNOUNCE: &str = "WITH clock AS (UPDATE change_clock SET n = n + $1 RETURNING n)
         INSERT INTO changes (n, kind, subject)
         SELECT (SELECT n FROM clock) - $1 + c.i, c.kind, c.subject
           FROM unnest($2, $3) WITH ORDINALITY AS c (kind, subject, i)";

/// What the database said to the events at the end of a transaction, and to its commit.
struct Ended {
    recorded: Result<i64, tokio_postgres::Error>,
    committed: Option<Result<(), tokio_postgres::Error>>,
}

/// Sends events and commit at once: when one statement of a transaction fails, the database makes
/// a rollback of its commit.
async fn end(
    client: &Object,
    begin: bool,
    changes: &[Change],
    leaves: &[Leaf],
    stream: i64,
) -> Ended {
    let begun = async { if begin { client.batch_execute(BEGIN).await } else { Ok(()) } };
    let told = try_join(announce(client, changes), record(client, leaves, stream));
    let recorded = try_join(begun, told).map_ok(|((), ((), first))| first);
    let mut recorded = pin!(maybe_done(recorded));
    poll_fn(|cx| Poll::Ready(recorded.as_mut().poll(cx).is_ready())).await;
    // What could not even be sent must not be committed.
    if let Some(Err(_)) = recorded.as_mut().output_mut() {
        let recorded = recorded.as_mut().take_output().unwrap_or(Ok(0));
        return Ended { recorded, committed: None };
    }
    let ((), committed) = join(recorded.as_mut(), client.batch_execute("COMMIT")).await;
    let recorded = recorded.as_mut().take_output().unwrap_or(Ok(0));
    Ended { recorded, committed: Some(committed) }
}

async fn announce(client: &Object, changes: &[Change]) -> Result<(), tokio_postgres::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind).collect();
    let subjects: Vec<&str> = changes.iter().map(|change| change.subject.as_str()).collect();
    let params: [(&(dyn ToSql + Sync), Type); 3] =
        [(&count, Type::INT8), (&kinds, Type::TEXT_ARRAY), (&subjects, Type::TEXT_ARRAY)];
    client.execute_typed(ANNOUNCE, &params).await.map(drop)
}

async fn record(
    client: &Object,
    leaves: &[Leaf],
    stream: i64,
) -> Result<i64, tokio_postgres::Error> {
    if leaves.is_empty() {
        return Ok(0);
    }
    let count = i64::try_from(leaves.len()).unwrap_or(i64::MAX);
    let first = stream * STREAM_LENGTH - count;
    let times: Vec<i64> = leaves.iter().map(|leaf| leaf.time.0).collect();
    let tenants: Vec<&str> = leaves.iter().map(|leaf| &*leaf.tenant).collect();
    let agents: Vec<Option<String>> =
        leaves.iter().map(|leaf| leaf.agent.map(|agent| agent.to_string())).collect();
    let actions: Vec<&str> = leaves.iter().map(|leaf| leaf.action).collect();
    let outcomes: Vec<&str> = leaves.iter().map(|leaf| leaf.outcome).collect();
    let bodies: Vec<&str> = leaves.iter().map(|leaf| leaf.body.as_str()).collect();
    let params: [(&(dyn ToSql + Sync), Type); 9] = [
        (&count, Type::INT8),
        (&stream, Type::INT8),
        (&first, Type::INT8),
        (&times, Type::INT8_ARRAY),
        (&tenants, Type::TEXT_ARRAY),
        (&agents, Type::TEXT_ARRAY),
        (&actions, Type::TEXT_ARRAY),
        (&outcomes, Type::TEXT_ARRAY),
        (&bodies, Type::TEXT_ARRAY),
    ];
    let rows = client.query_typed(RECORD, &params).await?;
    rows.first().map_or(Ok(0), |row| row.try_get(0))
}

/// Takes a stream that no living node has, or makes one. Two nodes on one stream would be slower,
/// never wrong: the counter's row lock orders them.
pub(super) async fn claim_stream(session: &mut Session) -> Result<i64> {
    let lease = i64::try_from(STREAM_LEASE.as_micros()).unwrap_or(i64::MAX);
    let claimed = session
        .query(
            "WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT AS now),
                  free AS (SELECT stream FROM event_streams, clock
                            WHERE leased_until < clock.now
                            ORDER BY stream LIMIT 1 FOR UPDATE OF event_streams SKIP LOCKED)
             UPDATE event_streams SET leased_until = clock.now + $1
               FROM clock, free WHERE event_streams.stream = free.stream
          RETURNING event_streams.stream",
            &[Value::from(lease)],
        )
        .await?;
    if let Some(mut row) = claimed.into_iter().next() {
        return row.take();
    }
    // Two nodes may try the same number; one of them is told so and takes the next.
    for _ in 0..64 {
        let made = session
            .query(
                "INSERT INTO event_streams (stream, n, leased_until)
                 SELECT max(stream) + 1, 0,
                        (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + $1
                   FROM event_streams
            ON CONFLICT DO NOTHING RETURNING stream",
                &[Value::from(lease)],
            )
            .await?;
        if let Some(mut row) = made.into_iter().next() {
            return row.take();
        }
    }
    Err(Error::Busy)
}

/// Says again and again that the stream is ours, until the pool is closed.
pub(super) async fn keep_stream(pool: Pool, timeout: Duration, metrics: Metrics, stream: i64) {
    let lease = i64::try_from(STREAM_LEASE.as_micros()).unwrap_or(i64::MAX);
    while !pool.is_closed() {
        tokio::time::sleep(STREAM_LEASE / 3).await;
        if let Ok(mut session) = Session::get(&pool, timeout, &metrics).await {
            let params = [Value::from(stream), Value::from(lease)];
            let kept = session
                .execute(
                    "UPDATE event_streams SET leased_until =
                            (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT + $2
                      WHERE stream = $1",
                    &params,
                )
                .await;
            if let Err(error) = kept {
                tracing::debug!(%error, "could not renew the lease on stream {stream}");
            }
        }
    }
}

fn typed(params: &[Value]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    params
        .iter()
        .map(|value| match value {
            Value::Int(int) => (int as &(dyn ToSql + Sync), Type::INT8),
            Value::Text(text) => (text as _, Type::TEXT),
            Value::Bytes(bytes) => (bytes as _, Type::BYTEA),
        })
        .collect()
}

fn row(row: &tokio_postgres::Row) -> Result<Row> {
    let values = row.columns().iter().enumerate().map(|(i, column)| {
        Ok(match *column.type_() {
            Type::INT8 => Value::Int(row.try_get(i)?),
            Type::INT4 => Value::Int(row.try_get::<_, Option<i32>>(i)?.map(i64::from)),
            Type::TEXT | Type::VARCHAR => Value::Text(row.try_get(i)?),
            Type::BYTEA => Value::Bytes(row.try_get(i)?),
            ref other => return Err(Error::Query(format!("column type {other} is not portable"))),
        })
    });
    values.collect::<Result<Vec<_>>>().map(Row::new)
}
