//! Events in the one exact order: by seal, and by their index under it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Filter;
use super::seal::Seal;
use super::sealer::LARGEST;
use super::seals;
use super::search::matching;
use crate::db::{self, Db, Row, STREAM_LENGTH};
use crate::ids::ParseIdError;
use crate::params;

/// Seals looked at for one batch.
const SEALS: i64 = 200;

/// Where an event stands in the record, written `SEAL-INDEX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The seal's number.
    pub seal: i64,
    /// The index under it.
    pub index: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seal, self.index)
    }
}

impl FromStr for Place {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (seal, index) = text.split_once('-')?;
            Some(Self { seal: seal.parse().ok()?, index: index.parse().ok()? })
        };
        let place = parse().filter(|place| place.seal >= 0 && place.index >= 0);
        place.ok_or(ParseIdError { wanted: "the id of an earlier event, such as `12-0`" })
    }
}

/// A few seals that follow one another, and those of their events that are wanted.
#[derive(Debug)]
pub struct Batch {
    /// The seals.
    pub seals: Vec<Seal>,
    /// The events, in order.
    pub events: Vec<(Place, String)>,
}

/// Seals after `after` up to `until`, about as many as have ten thousand events, with the events that
/// match; no seals when none is left.
pub(super) async fn batch(db: &Db, filter: &Filter, after: i64, until: i64) -> db::Result<Batch> {
    let mut seals = seals::after(db, after, SEALS).await?;
    let mut count = 0;
    let enough = seals.iter().position(|seal| {
        count += seal.count;
        seal.seal > until || count > LARGEST
    });
    seals.truncate(enough.map_or(seals.len(), |enough| enough.max(1)));
    seals.retain(|seal| seal.seal <= until);
    let (Some(first), Some(last)) = (seals.first(), seals.last()) else {
        return Ok(Batch { seals, events: Vec::new() });
    };
    let events = events(db, filter, first.seal, last.seal).await?;
    Ok(Batch { seals, events })
}

struct Span {
    first: i64,
    last: i64,
    place: Place,
}

async fn events(
    db: &Db,
    filter: &Filter,
    first: i64,
    last: i64,
) -> db::Result<Vec<(Place, String)>> {
    let mut events = Vec::new();
    for (stream, spans) in spans(db, first, last).await? {
        let (Some(begin), Some(end)) = (spans.first(), spans.last()) else { continue };
        let mut spans = spans.iter().peekable();
        for mut row in matching(db, filter, stream, begin.first, end.last).await? {
            let (position, body): (i64, String) = (row.take()?, row.take()?);
            let n = position - stream * STREAM_LENGTH;
            while spans.next_if(|span| span.last < n).is_some() {}
            if let Some(span) = spans.peek().filter(|span| span.first <= n) {
                let Place { seal, index } = span.place;
                events.push((Place { seal, index: index + n - span.first }, body));
            }
        }
    }
    events.sort_unstable_by_key(|(place, _)| *place);
    Ok(events)
}

/// Where the events of these seals are, by stream and in its order.
async fn spans(db: &Db, first: i64, last: i64) -> db::Result<BTreeMap<i64, Vec<Span>>> {
    let rows = db
        .query(
            "SELECT stream, first, last, seal, at FROM seal_spans
              WHERE seal >= $1 AND seal <= $2 ORDER BY seal, at",
            params![first, last],
        )
        .await?;
    let mut spans: BTreeMap<i64, Vec<Span>> = BTreeMap::new();
    for mut row in rows {
        let stream = row.take()?;
        let (first, last) = (row.take()?, row.take()?);
        let place = Place { seal: row.take()?, index: row.take()? };
        spans.entry(stream).or_default().push(Span { first, last, place });
    }
    Ok(spans)
}

async fn matching(
    db: &Db,
    filter: &Filter,
    stream: i64,
    first: i64,
    last: i64,
) -> db::Result<Vec<Row>> {
    let position = |n| stream * STREAM_LENGTH + n;
    db.query(
        concat!(
            "SELECT position, body FROM audit_events WHERE ",
            matching!(),
            " AND position >= $7 AND position <= $8
              AND ($9 IS NULL OR time >= $9)
              AND ($10 IS NULL OR time <= $10)
            ORDER BY position"
        ),
        &filter.params(params![position(first), position(last), filter.since, filter.until]),
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_nonsense_is_not() {
        let place = Place { seal: 12, index: 0 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "-", "12", "a-1", "1--1", "-1-1"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}
