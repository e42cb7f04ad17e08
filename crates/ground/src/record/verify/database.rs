//! A whole database: every seal, every event under one, and those that wait for theirs.

use std::collections::{BTreeMap, HashMap};

use super::super::merkle::Hash;
use super::super::seal::{SealJwk, verifies};
use super::chain::Chain;
use super::copies::Stored;
use super::sealed::{self, Span};
use super::streams::Stream;
use super::{Fault, Kind, Ranges, Report, Trust};
use crate::db::{self, Db, STREAM_LENGTH};
use crate::keyring::seal_jwks;
use crate::params;

/// More than so many places that differ are not looked up against one another.
const MATCHED: usize = 100_000;

/// A row that is not what was sealed in its place.
struct Mismatch {
    seal: i64,
    index: i64,
    wanted: Hash,
    found: Stored,
}

/// A stream, and the number that its next span must begin with.
struct Reading {
    stream: Stream,
    next: i64,
}

/// What is known along the way.
struct Course<'d> {
    db: &'d Db,
    keys: Vec<SealJwk>,
    report: Report,
    /// How far each stream has come.
    counters: BTreeMap<i64, i64>,
    streams: BTreeMap<i64, Reading>,
    mismatches: Vec<Mismatch>,
    strays: Vec<Stored>,
    missing: Ranges,
    /// Hashes of what is missing: where a row that was moved belongs.
    wanted: HashMap<Hash, (i64, i64)>,
    expired: Ranges,
}

/// Verifies the record in `db`. `progress` is told how many events have been looked at, and of how many.
///
/// # Errors
/// When the database can't be read.
pub async fn database(db: &Db, trust: &Trust, progress: impl Fn(i64, i64)) -> db::Result<Report> {
    let keys = match &trust.keys {
        Some(keys) => keys.clone(),
        // What is no key has made no seal.
        None => {
            seal_jwks(db).await?.iter().filter_map(|jwk| serde_json::from_str(jwk).ok()).collect()
        }
    };
    let mut chain = Chain::from_first(keys.clone(), &trust.seals);
    let mut course = Course::new(db, keys, sealed::counters(db).await?);
    let total = course.counters.values().fold(0_i64, |total, n| total.saturating_add(*n));
    let mut after = i64::MIN;
    loop {
        let seals = sealed::after(db, after).await?;
        let Some(last) = seals.last().map(|one| one.number) else {
            if course.ends_with(&chain, after).await? {
                break;
            } else {
                continue;
            };
        };
        let spans = sealed::spans(db, seals[0].number, last).await?;
        after = last;
        for one in &seals {
            match &one.seal {
                Some(seal) => {
                    chain.check(seal, Some(&one.leaves), &mut course.report);
                    if !one.whole {
                        chain.wrong(seal.seal, "its leaf hashes are cut off", &mut course.report);
                    }
                }
                None => chain.unreadable(one.number, &mut course.report),
            }
            let spans = spans.get(&one.number).map_or(&[][..], Vec::as_slice);
            course.seal(one.number, &one.leaves, spans).await?;
            progress(course.report.events, total);
        }
    }
    chain.end(&mut course.report);
    course.tails().await?;
    course.beyond().await?;
    Ok(course.settle().finish())
}

impl<'d> Course<'d> {
    fn new(db: &'d Db, keys: Vec<SealJwk>, counters: BTreeMap<i64, i64>) -> Self {
        Self {
            db,
            keys,
            report: Report::default(),
            counters,
            streams: BTreeMap::new(),
            mismatches: Vec::new(),
            strays: Vec::new(),
            missing: Ranges::default(),
            wanted: HashMap::new(),
            expired: Ranges::default(),
        }
    }

    /// Whether the chain ends where the database says; false when a seal was made meanwhile.
    async fn ends_with(&mut self, chain: &Chain<'_>, after: i64) -> db::Result<bool> {
        let (newest, digest) = chain.newest();
        match sealed::heads(self.db).await?.as_slice() {
            [(seal, text)] if *seal == newest && *text == digest.to_string() => {}
            [(seal, _)] if *seal > newest => {
                if !sealed::after(self.db, after).await?.is_empty() {
                    return Ok(false);
                }
                chain.truncated(format!("seal {seal} was made"), &mut self.report);
            }
            [_] => chain.truncated("seal_head is of another seal".into(), &mut self.report),
            heads => {
                let count = heads.len();
                chain.truncated(format!("seal_head has {count} rows"), &mut self.report);
            }
        }
        Ok(true)
    }

    /// The events of one seal.
    async fn seal(&mut self, seal: i64, leaves: &[Hash], spans: &[Span]) -> db::Result<()> {
        let size = i64::try_from(leaves.len()).unwrap_or(i64::MAX);
        let (mut at, mut fits) = (0, true);
        for span in spans {
            let next = self.reading(span.stream).next;
            if span.at != at || span.first < next || span.count() < 1 {
                fits = false;
                continue;
            }
            at = span.end();
            self.reading(span.stream).next = span.last.saturating_add(1);
            // Without leaf hashes nothing is known of what it covers.
            let known = span.count().min(size - span.at).max(0);
            fits &= known == span.count();
            if known > 0 && next < span.first {
                let gone = never_sealed(span.stream, next, span.first - 1, Some(seal));
                self.report.fault(gone);
            }
            if known > 0 {
                self.span(seal, leaves, span, span.first + known - 1).await?;
            }
        }
        if !fits || at != size {
            let detail = "where its events are (seal_spans) does not fit".to_owned();
            let seal = Some(seal);
            self.report.fault(Fault { seal, index: None, kind: Kind::Seal, event: None, detail });
        }
        Ok(())
    }

    fn reading(&mut self, stream: i64) -> &mut Reading {
        self.streams
            .entry(stream)
            .or_insert_with(|| Reading { stream: Stream::new(stream), next: 1 })
    }

    /// The events of one span, up to number `last`.
    async fn span(&mut self, seal: i64, leaves: &[Hash], span: &Span, last: i64) -> db::Result<()> {
        let counter = self.counter(span.stream, last).await?;
        let db = self.db;
        let leaf = |n: i64| {
            let index = span.at + n - span.first;
            (index, usize::try_from(index).ok().and_then(|index| leaves.get(index)).copied())
        };
        let mut expected = span.first;
        while let Some(row) = self.reading(span.stream).stream.next(db, last).await? {
            let n = row.position - span.stream * STREAM_LENGTH;
            if n < span.first {
                self.strays.push(row);
                continue;
            }
            if n > counter {
                self.report.fault(inserted(&row));
            }
            for gone in expected..n {
                self.missing(seal, leaf(gone));
            }
            expected = n + 1;
            match leaf(n) {
                (index, Some(leaf)) if leaf == row.hash => self.sound((seal, index), &row),
                (index, Some(wanted)) => {
                    self.mismatches.push(Mismatch { seal, index, wanted, found: row });
                }
                (_, None) => self.strays.push(row),
            }
        }
        for gone in expected..=last {
            self.missing(seal, leaf(gone));
        }
        Ok(())
    }

    /// How far a stream has come; asked again where it may have come farther meanwhile.
    async fn counter(&mut self, stream: i64, wanted: i64) -> db::Result<i64> {
        let known = self.counters.get(&stream).copied().unwrap_or(0);
        if known >= wanted {
            return Ok(known);
        }
        let row = self
            .db
            .query_opt("SELECT n FROM event_streams WHERE stream = $1", params![stream])
            .await?;
        let now = row.map_or(Ok(0), |mut row| row.take()).unwrap_or(0);
        if self.counters.contains_key(&stream) {
            self.counters.insert(stream, now);
        }
        Ok(now)
    }

    /// An event that is as it was sealed.
    fn sound(&mut self, place: (i64, i64), row: &Stored) {
        self.report.events += 1;
        copies(&mut self.report, Some(place), row);
        self.excuse(row);
    }

    /// What has expired, if that is what a key of seals vouches for; it need not be sealed for that.
    fn excuse(&mut self, row: &Stored) {
        let Some(expired) = &row.expired else { return };
        let text = expired.signed_text();
        let vouched = |key: &&SealJwk| {
            key.kid == expired.kid && verifies(key, text.as_bytes(), &expired.signature)
        };
        if self.keys.iter().any(|key| vouched(&key)) {
            for text in &expired.leaves {
                // What nobody can read excuses nothing.
                let _ = self.expired.add_text(text);
            }
        }
    }

    fn missing(&mut self, seal: i64, (index, leaf): (i64, Option<Hash>)) {
        self.missing.add(seal, index);
        if let Some(leaf) = leaf.filter(|_| self.wanted.len() < MATCHED) {
            self.wanted.insert(leaf, (seal, index));
        }
    }

    /// What waits for a seal, in every stream.
    async fn tails(&mut self) -> db::Result<()> {
        let (db, sealed) = (self.db, sealed::sealed_streams(self.db).await?);
        for (number, counter) in self.counters.clone() {
            let sealed = sealed.get(&number).copied().unwrap_or(0);
            let spanned = self.reading(number).next;
            let first = spanned.max(sealed.saturating_add(1));
            if spanned < first {
                self.report.fault(never_sealed(number, spanned, first - 1, None));
            }
            let mut expected = first;
            // What is written meanwhile is not looked at.
            while let Some(row) = self.reading(number).stream.next(db, STREAM_LENGTH - 1).await? {
                let n = row.position - number * STREAM_LENGTH;
                if n < first {
                    self.strays.push(row);
                } else if n > counter {
                    if self.counter(number, n).await? >= n {
                        break;
                    }
                    self.strays.push(row);
                } else {
                    if n > expected {
                        self.report.fault(never_sealed(number, expected, n - 1, None));
                    }
                    expected = n + 1;
                    self.report.unsealed += 1;
                    copies(&mut self.report, None, &row);
                    self.excuse(&row);
                }
            }
            if expected <= counter && first <= counter {
                self.report.fault(never_sealed(number, expected, counter, None));
            }
        }
        Ok(())
    }

    /// Events in streams that nobody has.
    async fn beyond(&mut self) -> db::Result<()> {
        let known = self.counters.keys().copied();
        let known: Vec<i64> = known.filter(|stream| Stream::is_possible(*stream)).collect();
        let mut from = i64::MIN;
        for stream in known {
            self.strays_within(from, stream * STREAM_LENGTH - 1).await?;
            from = (stream + 1) * STREAM_LENGTH;
        }
        self.strays_within(from, i64::MAX).await
    }

    async fn strays_within(&mut self, first: i64, last: i64) -> db::Result<()> {
        let rows = self
            .db
            .query(
                "SELECT position, time, tenant, agent_id, action, outcome, body
                   FROM audit_events WHERE position >= $1 AND position <= $2
                  ORDER BY position LIMIT 1000",
                params![first, last],
            )
            .await?;
        for row in rows {
            self.strays.push(Stored::read(row)?);
        }
        Ok(())
    }

    /// Says of each place that differs what has become of it.
    fn settle(mut self) -> Report {
        for one in self.mismatches.iter().take(MATCHED) {
            self.wanted.insert(one.wanted, (one.seal, one.index));
        }
        let (wanted, report) = (&self.wanted, &mut self.report);
        let belongs = |row: &Stored| {
            let (seal, index) = wanted.get(&row.hash)?;
            Some(format!("it belongs under seal {seal} at index {index}"))
        };
        for one in &self.mismatches {
            let (kind, detail) = match belongs(&one.found) {
                Some(detail) => (Kind::Reordered, detail),
                None => (Kind::Changed, "its text is not the one that was sealed".into()),
            };
            let (seal, index, event) = (Some(one.seal), Some(one.index), one.found.event.clone());
            report.fault(Fault { seal, index, kind, event, detail });
        }
        for row in &self.strays {
            let fault = inserted(row);
            report.fault(match belongs(row) {
                Some(detail) => Fault { kind: Kind::Reordered, detail, ..fault },
                None => fault,
            });
        }
        report.expired = self.missing.count();
        for (seal, index) in self.missing.without(&self.expired) {
            report.expired -= 1;
            let (seal, index, kind) = (Some(seal), Some(index), Kind::Removed);
            let detail = "it was sealed and is gone, and no event says that it has expired".into();
            report.fault(Fault { seal, index, kind, event: None, detail });
        }
        self.report
    }
}

fn copies(report: &mut Report, place: Option<(i64, i64)>, row: &Stored) {
    if let Some(column) = row.differs {
        let (seal, index) = place.unzip();
        let detail = format!("the column `{column}` says something else than the event");
        let event = row.event.clone();
        report.fault(Fault { seal, index, kind: Kind::Copies, event, detail });
    }
}

fn inserted(row: &Stored) -> Fault {
    let detail = format!("nothing was recorded at position {}", row.position);
    let event = row.event.clone();
    Fault { seal: None, index: None, kind: Kind::Inserted, event, detail }
}

fn never_sealed(stream: i64, first: i64, last: i64, seal: Option<i64>) -> Fault {
    let which =
        if first == last { format!("event {first}") } else { format!("events {first} to {last}") };
    let detail = format!("{which} of stream {stream} went before a seal could hold them");
    Fault { seal, index: None, kind: Kind::Removed, event: None, detail }
}
