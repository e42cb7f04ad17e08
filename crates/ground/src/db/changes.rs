//! Changes that every node must notice.
//!
//! Each takes the next number of one clock, as the last thing in its transaction but for its events:
//! the clock's row stays locked until the commit, so that the order of numbers is the order of commits,
//! without gaps. Whoever has seen all numbers up to n has seen every change up to there.

use super::{Db, Error, Result, Row};
use crate::params;

/// How many of the newest changes are kept. A node that missed more reads everything again.
const KEPT: i64 = 100_000;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of thing.
    pub kind: &'static str,
    /// Which one; empty where there is only one.
    pub subject: String,
}

/// A change that was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Its number.
    pub n: i64,
    /// What kind of thing has changed.
    pub kind: String,
    /// Which one.
    pub subject: String,
}

impl Db {
    /// The number of the newest change.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn change_clock(&self) -> Result<i64> {
        let row = self.query_opt("SELECT n FROM change_clock", &[]).await?;
        row.ok_or_else(|| Error::Query("change_clock is empty".into()))?.take()
    }

    /// The next changes after `n`, oldest first.
    ///
    /// # Errors
    /// As [`Db::query`].
    pub async fn changes_after(&self, n: i64) -> Result<Vec<Announced>> {
        let rows = self
            .query(
                "SELECT n, kind, subject FROM changes WHERE n > $1 ORDER BY n LIMIT 1000",
                params![n],
            )
            .await?;
        let announced = |mut row: Row| {
            Ok(Announced { n: row.take()?, kind: row.take()?, subject: row.take()? })
        };
        rows.into_iter().map(announced).collect()
    }

    /// Forgets changes that every living node has seen long ago.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn forget_changes(&self) -> Result<()> {
        self.write((), |tx, ()| {
            Box::pin(async move {
                tx.execute(
                    "DELETE FROM changes WHERE n <= (SELECT n FROM change_clock) - $1",
                    params![KEPT],
                )
                .await
                .map(drop)
            })
        })
        .await
    }
}
