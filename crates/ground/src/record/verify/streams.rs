//! The rows of one stream, in order, a page at a time.

use std::collections::VecDeque;

use super::copies::Stored;
use crate::db::{self, Db, STREAM_LENGTH};
use crate::params;

const PAGE: i64 = 10_000;

/// Where one stream is being read.
pub(super) struct Stream {
    stream: i64,
    read: VecDeque<Stored>,
    /// Read up to here.
    until: i64,
    ended: bool,
}

impl Stream {
    /// From its beginning; a number that no stream can have has no rows.
    pub(super) fn new(stream: i64) -> Self {
        let possible = (0..i64::MAX / STREAM_LENGTH).contains(&stream);
        // Before the first: an event that was put there is found, too.
        let until = if possible { stream * STREAM_LENGTH - 1 } else { 0 };
        Self { stream, read: VecDeque::new(), until, ended: !possible }
    }

    /// Whether there can be such a stream.
    pub(super) fn is_possible(stream: i64) -> bool {
        !Self::new(stream).ended
    }

    /// The next row whose number is at most `last`.
    pub(super) async fn next(&mut self, db: &Db, last: i64) -> db::Result<Option<Stored>> {
        if self.read.is_empty() && !self.ended {
            self.fill(db).await?;
        }
        let first = self.stream.saturating_mul(STREAM_LENGTH);
        let end = first.saturating_add(last.min(STREAM_LENGTH - 1));
        let is_due = self.read.front().is_some_and(|row| row.position <= end);
        Ok(if is_due { self.read.pop_front() } else { None })
    }

    async fn fill(&mut self, db: &Db) -> db::Result<()> {
        let rows = db
            .query(
                "SELECT position, time, tenant, agent_id, action, outcome, body FROM audit_events
                  WHERE position > $1 AND position < $2 ORDER BY position LIMIT $3",
                params![self.until, (self.stream + 1) * STREAM_LENGTH, PAGE],
            )
            .await?;
        self.ended = i64::try_from(rows.len()).unwrap_or(0) < PAGE;
        let read = tokio::task::spawn_blocking(move || {
            rows.into_iter().map(Stored::read).collect::<db::Result<VecDeque<_>>>()
        });
        self.read = read.await.map_err(|error| db::Error::Query(error.to_string()))??;
        self.until = self.read.back().map_or(self.until, |row| row.position);
        Ok(())
    }
}
