//! The rows of one stream, in order. While a page is looked at, the next is hashed and the one after read.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::copies::Stored;
use crate::db::{self, Db, Row, STREAM_LENGTH};
use crate::params;

const PAGE: i64 = 10_000;

type Page = VecDeque<Stored>;

/// Where one stream is being read.
pub(super) struct Stream {
    stream: i64,
    read: Page,
    /// What is being read behind that.
    ahead: Option<mpsc::Receiver<db::Result<JoinHandle<db::Result<Page>>>>>,
    /// Read up to here.
    until: i64,
}

impl Stream {
    /// From its beginning.
    pub(super) fn new(stream: i64) -> Self {
        // Before the first: an event that was put there is found, too.
        let until = stream.saturating_mul(STREAM_LENGTH).saturating_sub(1);
        Self { stream, read: Page::new(), ahead: None, until }
    }

    /// Whether there can be such a stream.
    pub(super) fn is_possible(stream: i64) -> bool {
        (0..i64::MAX / STREAM_LENGTH).contains(&stream)
    }

    /// The next row whose number is at most `last`.
    pub(super) async fn next(&mut self, db: &Db, last: i64) -> db::Result<Option<Stored>> {
        let first = self.stream.saturating_mul(STREAM_LENGTH);
        let end = first.saturating_add(last.min(STREAM_LENGTH - 1));
        if self.read.is_empty() && self.until < end && Self::is_possible(self.stream) {
            self.fill(db).await?;
        }
        let is_due = self.read.front().is_some_and(|row| row.position <= end);
        Ok(if is_due { self.read.pop_front() } else { None })
    }

    async fn fill(&mut self, db: &Db) -> db::Result<()> {
        loop {
            let is_new = self.ahead.is_none();
            let ahead =
                self.ahead.get_or_insert_with(|| ahead(db.clone(), self.stream, self.until));
            if let Some(page) = ahead.recv().await {
                self.read = page?.await.map_err(|error| db::Error::Query(error.to_string()))??;
                self.until = self.read.back().map_or(self.until, |row| row.position);
                return Ok(());
            }
            self.ahead = None;
            // What had come to an end then may have gone on since.
            if is_new {
                return Ok(());
            }
        }
    }
}

/// Reads a stream to its end, as fast as it is taken.
fn ahead(
    db: Db,
    stream: i64,
    mut until: i64,
) -> mpsc::Receiver<db::Result<JoinHandle<db::Result<Page>>>> {
    let (pages, taken) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let page = match page(&db, until, (stream + 1) * STREAM_LENGTH).await {
                Ok(Some((rows, last))) => {
                    until = last;
                    Ok(tokio::task::spawn_blocking(move || {
                        rows.into_iter().map(Stored::read).collect()
                    }))
                }
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if pages.send(page).await.is_err() {
                return;
            }
        }
    });
    taken
}

/// The next rows after `until` and before `end`, and where the last of them is.
async fn page(db: &Db, until: i64, end: i64) -> db::Result<Option<(Vec<Row>, i64)>> {
    // A range, no LIMIT: without statistics PostgreSQL would sort all that is left for every page.
    let within = async |after: i64| {
        db.query(
            "SELECT position, time, tenant, agent_id, action, outcome, body, position
               FROM audit_events
              WHERE position > $1 AND position <= $2 AND position < $3 ORDER BY position",
            params![after, after.saturating_add(PAGE), end],
        )
        .await
    };
    let mut rows = within(until).await?;
    if rows.is_empty() {
        let sql = "SELECT MIN(position) FROM audit_events WHERE position > $1 AND position < $2";
        let row = db.query_opt(sql, params![until, end]).await?;
        let Some(next) = row.map(|mut row| row.take::<Option<i64>>()).transpose()?.flatten() else {
            return Ok(None);
        };
        rows = within(next - 1).await?;
    }
    let last = rows.last_mut().map(Row::last).transpose()?;
    Ok(last.map(|last| (rows, last)))
}
