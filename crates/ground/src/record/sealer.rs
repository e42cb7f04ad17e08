//! Sealing: the complete new prefix of every stream becomes one run under one signed root.
//!
//! One node seals at a time, by a lease in database time; that spares work. What keeps two that seal
//! at once from crossing is the head: a seal is written only upon the one that it was made to follow.

use std::time::Duration;

use super::lookup::{self, Entry};
use super::mark::Mark;
use super::merkle::{self, Hash};
use super::seal::Seal;
use crate::clock::{Clock, Time};
use crate::db::{self, Db, Row, STREAM_LENGTH, Value};
use crate::entropy::Entropy;
use crate::keyring::{KeyRing, RingError};
use crate::params;

/// The most events of one seal.
pub(super) const LARGEST: i64 = 10_000;
/// How long sealing stays with a node that says nothing.
const LEASE: Duration = Duration::from_secs(4);

/// What sealing needs.
pub(super) struct Sealer<'r> {
    pub(super) db: &'r Db,
    pub(super) keys: &'r KeyRing,
    pub(super) clock: &'r Clock,
    pub(super) entropy: &'r Entropy,
}

/// The newest seal.
#[derive(Debug, Clone, Copy)]
struct Head {
    seal: i64,
    digest: Hash,
}

/// The unsealed end of a stream: the events after `sealed`, up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) stream: i64,
    pub(super) sealed: i64,
    pub(super) last: i64,
}

/// Events of one stream that follow one another without a gap, and where they stand in the seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    stream: i64,
    first: i64,
    last: i64,
    at: i64,
}

/// What a seal will hold.
#[derive(Default)]
struct Run {
    leaves: Vec<Hash>,
    spans: Vec<Span>,
    begins: Option<Time>,
    ends: Option<Time>,
    /// What is looked up by.
    entries: Vec<Entry>,
}

impl Sealer<'_> {
    /// Seals all that is complete; gives the new seals. None when another node seals.
    pub(super) async fn seal(&self) -> Result<Vec<Seal>, RingError> {
        let mut made = Vec::new();
        loop {
            let tails = tails(self.db).await?;
            if tails.is_empty() {
                return Ok(made);
            }
            if !self.lease().await? {
                self.db.recent().forget();
                return Ok(made);
            }
            self.db.recent().want();
            lookup::merge(self.db).await?;
            let waiting: i64 = tails.iter().map(|tail| tail.last - tail.sealed).sum();
            let Some(seal) = self.seal_run(shares(tails)).await? else { return Ok(made) };
            made.extend(seal);
            if waiting < LARGEST {
                return Ok(made);
            }
        }
    }

    /// Seals one run. The outer `None` says that another node was first.
    async fn seal_run(&self, tails: Vec<Tail>) -> Result<Option<Option<Seal>>, RingError> {
        let head = head(self.db).await?;
        let run = self.read(&tails).await?;
        let seal = match run.leaves.is_empty() {
            true => None,
            false => Some(self.sign(head, &run).await?),
        };
        let written = write(self.db, head, seal.clone(), run, tails).await?;
        Ok(written.then_some(seal))
    }

    async fn sign(&self, head: Head, run: &Run) -> Result<Seal, RingError> {
        let key = self.keys.seal_key(self.db, self.clock, self.entropy).await?;
        let now = self.clock.now();
        let seal = Seal {
            count: i64::try_from(run.leaves.len()).unwrap_or(i64::MAX),
            kid: String::new(),
            previous: head.digest,
            root: merkle::root(&run.leaves),
            seal: head.seal + 1,
            signature: String::new(),
            // As exact as it is written.
            time: Time(now.0 - now.0.rem_euclid(1_000)),
        };
        Ok(seal.sign(&key)?)
    }

    /// Takes the lease, or keeps it; false when another node has it.
    async fn lease(&self) -> db::Result<bool> {
        let (me, now) = (self.db.stream(), self.db.now().await?);
        let row = self.db.query_opt("SELECT holder, leased_until FROM seal_head", &[]).await?;
        let mut row = row.ok_or_else(no_head)?;
        let (holder, until): (Option<i64>, Time) = (row.take()?, row.take()?);
        if holder == Some(me) && now + LEASE / 2 < until {
            return Ok(true);
        }
        self.db
            .write((), move |tx, ()| {
                Box::pin(async move {
                    let taken = tx
                        .execute(
                            "UPDATE seal_head SET holder = $1, leased_until = $2
                              WHERE holder = $1 OR leased_until < $3",
                            params![me, now + LEASE, now],
                        )
                        .await?;
                    Ok(taken > 0)
                })
            })
            .await
    }

    async fn read(&self, tails: &[Tail]) -> db::Result<Run> {
        let mut run = Run::default();
        for tail in tails {
            if let Some(marks) = self.recent(tail).await? {
                let (stream, first) = (tail.stream, tail.sealed + 1);
                run = beside(move || Ok(run.join(stream, (first..).zip(marks)))).await?;
                continue;
            }
            let position = |n| tail.stream * STREAM_LENGTH + n;
            let rows = self
                .db
                .query(
                    "SELECT position, time, tenant, body FROM audit_events
                      WHERE position > $1 AND position <= $2 ORDER BY position",
                    params![position(tail.sealed), position(tail.last)],
                )
                .await?;
            let missing = tail.last - tail.sealed - i64::try_from(rows.len()).unwrap_or(0);
            if missing > 0 {
                let Tail { stream, sealed, last } = tail;
                tracing::error!(
                    stream,
                    sealed,
                    last,
                    missing,
                    "events are gone that were not sealed"
                );
            }
            let stream = tail.stream;
            run = beside(move || {
                let marks = rows.into_iter().map(|row| read_mark(stream, row));
                Ok(run.join(stream, marks.collect::<db::Result<Vec<_>>>()?))
            })
            .await?;
        }
        Ok(run)
    }

    /// The events of this process's own stream, as they were committed: they need not be read again, and what
    /// was made of them in the database meanwhile will show.
    async fn recent(&self, tail: &Tail) -> db::Result<Option<Vec<Mark>>> {
        if tail.stream != self.db.stream() {
            return Ok(None);
        }
        let Some(taken) = self.db.recent().take(tail.sealed, tail.last) else { return Ok(None) };
        if taken.ends.len() > FEW && taken.ends.len() > taken.marks.len() / 8 {
            return Ok(None);
        }
        let first = tail.sealed + 1;
        for ends in taken.ends.chunks(TOGETHER) {
            let mut places = [-1; TOGETHER];
            for (place, n) in places.iter_mut().zip(ends) {
                *place = tail.stream * STREAM_LENGTH + n;
            }
            let rows = self.db.query(ENDS, &places.map(Value::from)).await?;
            // A database that went back gives its numbers a second time.
            let is_there = |mut row: Row| {
                let (position, body): (i64, String) = (row.take()?, row.take()?);
                let at = position - tail.stream * STREAM_LENGTH - first;
                let mark = usize::try_from(at).ok().and_then(|at| taken.marks.get(at));
                let hash = merkle::leaf(body.as_bytes());
                Ok::<_, db::Error>(mark.is_some_and(|mark| mark.hash == hash))
            };
            let count = rows.len();
            for row in rows {
                if !is_there(row)? {
                    return Ok(None);
                }
            }
            if count < ends.len() {
                return Ok(None);
            }
        }
        Ok(Some(taken.marks))
    }
}

/// Rows that are looked up at once.
const TOGETHER: usize = 16;
/// More commits, of few events each, are looked at as fast by reading all of it.
const FEW: usize = 64;
const ENDS: &str = "SELECT position, body FROM audit_events WHERE position IN
    ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// Hashing ten thousand events takes a while: beside the work.
async fn beside(work: impl FnOnce() -> db::Result<Run> + Send + 'static) -> db::Result<Run> {
    let failed = |error: tokio::task::JoinError| db::Error::Query(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// The number of an event in its stream, and what sealing needs of it.
fn read_mark(stream: i64, mut row: Row) -> db::Result<(i64, Mark)> {
    let (position, time): (i64, Time) = (row.take()?, row.take()?);
    let (tenant, body): (String, String) = (row.take()?, row.take()?);
    Ok((position - stream * STREAM_LENGTH, Mark::of(time, &tenant, &body)))
}

impl Run {
    fn join(mut self, stream: i64, marks: impl IntoIterator<Item = (i64, Mark)>) -> Self {
        for (n, mark) in marks {
            self.add(stream, n, &mark);
        }
        self.entries.sort_unstable();
        self
    }

    fn add(&mut self, stream: i64, n: i64, mark: &Mark) {
        let at = self.leaves.len();
        match self.spans.last_mut() {
            Some(span) if span.stream == stream && span.last + 1 == n => span.last = n,
            _ => {
                let at = i64::try_from(at).unwrap_or(i64::MAX);
                self.spans.push(Span { stream, first: n, last: n, at });
            }
        }
        self.begins = Some(self.begins.map_or(mark.time, |begins| begins.min(mark.time)));
        self.ends = Some(self.ends.map_or(mark.time, |ends| ends.max(mark.time)));
        self.leaves.push(mark.hash);
        let position = stream * STREAM_LENGTH + n;
        self.entries.extend(mark.keys.iter().map(|key| Entry { key: *key, position }));
    }
}

/// As much of each stream as is due: none waits for another's crowd.
fn shares(mut tails: Vec<Tail>) -> Vec<Tail> {
    let share = (LARGEST / i64::try_from(tails.len()).unwrap_or(1).max(1)).max(1);
    for tail in &mut tails {
        tail.last = tail.last.min(tail.sealed + share);
    }
    tails.truncate(usize::try_from(LARGEST).unwrap_or(usize::MAX));
    tails
}

/// The streams that have unsealed events. A stream's counter is raised last in each transaction, so
/// whatever it counts has been committed.
pub(super) async fn tails(db: &Db) -> db::Result<Vec<Tail>> {
    let rows = db
        .query(
            "SELECT e.stream, COALESCE(s.n, 0), e.n
               FROM event_streams e LEFT JOIN sealed_streams s ON s.stream = e.stream
              WHERE e.n > COALESCE(s.n, 0) ORDER BY e.stream",
            &[],
        )
        .await?;
    let tail =
        |mut row: Row| Ok(Tail { stream: row.take()?, sealed: row.take()?, last: row.take()? });
    rows.into_iter().map(tail).collect()
}

/// When the oldest event happened that waits for a seal.
pub(super) async fn oldest_unsealed(db: &Db) -> db::Result<Option<Time>> {
    let mut oldest = None;
    for tail in tails(db).await? {
        let position = tail.stream * STREAM_LENGTH + tail.sealed;
        let row = db
            .query_opt(
                "SELECT time FROM audit_events WHERE position > $1 ORDER BY position LIMIT 1",
                params![position],
            )
            .await?;
        let time: Option<Time> = row.map(|mut row| row.take()).transpose()?;
        oldest = oldest.into_iter().chain(time).min();
    }
    Ok(oldest)
}

async fn head(db: &Db) -> db::Result<Head> {
    let row = db.query_opt("SELECT seal, digest FROM seal_head", &[]).await?;
    let mut row = row.ok_or_else(no_head)?;
    let (seal, digest): (i64, String) = (row.take()?, row.take()?);
    let unreadable = |_| db::Error::Query("seal_head.digest is not readable".into());
    Ok(Head { seal, digest: digest.parse().map_err(unreadable)? })
}

fn no_head() -> db::Error {
    db::Error::Query("seal_head is empty".into())
}

/// Writes a seal, unless the head has moved meanwhile; false then.
async fn write(
    db: &Db,
    head: Head,
    seal: Option<Seal>,
    run: Run,
    tails: Vec<Tail>,
) -> db::Result<bool> {
    let leaves: Vec<u8> = run.leaves.iter().flat_map(|leaf| leaf.0).collect();
    let times = run.begins.zip(run.ends);
    let each = |span: &Span, seal: i64| {
        params![span.stream, span.first, span.last, seal, span.at].to_vec()
    };
    let spans: Vec<Vec<Value>> = run.spans.iter().map(|span| each(span, head.seal + 1)).collect();
    let sealed: Vec<Vec<Value>> =
        tails.iter().map(|tail| params![tail.stream, tail.last].to_vec()).collect();
    let keys = seal.as_ref().zip(times).map(|(seal, (begins, ends))| lookup::Run {
        seal: seal.seal,
        level: lookup::level(&run.entries),
        begins,
        ends,
        entries: run.entries,
    });
    db.write((seal, leaves, spans, sealed, keys), move |tx, (seal, leaves, spans, sealed, keys)| {
        Box::pin(async move {
            let next = seal.as_ref().map_or(head.seal, |seal| seal.seal);
            let digest = seal.as_ref().map_or(head.digest, Seal::digest);
            let moved = tx
                .execute(
                    "UPDATE seal_head SET seal = $1, digest = $2 WHERE seal = $3 AND digest = $4",
                    params![next, digest.to_string(), head.seal, head.digest.to_string()],
                )
                .await?;
            if moved == 0 {
                return Ok(false);
            }
            if let (Some(seal), Some((begins, ends))) = (seal, times) {
                tx.execute(
                    "INSERT INTO seals
                        (seal, count, root, previous, time, kid, signature, begins, ends, leaves)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                    params![
                        seal.seal,
                        seal.count,
                        seal.root.to_string(),
                        seal.previous.to_string(),
                        seal.time,
                        &seal.kid,
                        &seal.signature,
                        begins,
                        ends,
                        leaves.as_slice(),
                    ],
                )
                .await?;
            }
            tx.execute_each(
                "INSERT INTO seal_spans (stream, first, last, seal, at) VALUES ($1, $2, $3, $4, $5)",
                spans,
            )
            .await?;
            tx.execute_each(
                "INSERT INTO sealed_streams (stream, n) VALUES ($1, $2)
                     ON CONFLICT (stream) DO UPDATE SET n = EXCLUDED.n",
                sealed,
            )
            .await?;
            if let Some(keys) = keys {
                keys.write(tx).await?;
            }
            Ok(true)
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_waits_for_anothers_crowd() {
        let tail = |stream, last| Tail { stream, sealed: 100, last };
        let lasts = |tails| shares(tails).iter().map(|tail| tail.last).collect::<Vec<_>>();
        assert_eq!(lasts(vec![tail(1, 50_000)]), [10_100]);
        assert_eq!(lasts(vec![tail(1, 50_000), tail(2, 103)]), [5_100, 103]);
    }
}
