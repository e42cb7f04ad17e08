//! All SQL of `token_monthly_counts`.

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Row, Tx, Value};
use countersign_ground::ids::AgentId;
use countersign_ground::params;

/// How many tokens a client was issued in a month, as far as is stored.
///
/// # Errors
/// The database's failure.
pub async fn count(db: &Db, agent: AgentId, month: i64) -> db::Result<i64> {
    let row = db
        .query_opt(
            "SELECT n FROM token_monthly_counts WHERE client_id = $1 AND month = $2",
            params![&agent, month],
        )
        .await?;
    row.map_or(Ok(0), |mut row: Row| row.take())
}

/// Adds what was issued: client, month, how many.
///
/// # Errors
/// The database's failure.
pub async fn add(tx: &mut Tx, issued: &[(AgentId, i64, i64)]) -> db::Result<()> {
    let each: Vec<Vec<Value>> =
        issued.iter().map(|(agent, month, n)| params![agent, *month, *n].to_vec()).collect();
    tx.execute_each(
        "INSERT INTO token_monthly_counts (client_id, month, n) VALUES ($1, $2, $3)
         ON CONFLICT (client_id, month) DO UPDATE SET n = token_monthly_counts.n + EXCLUDED.n",
        &each,
    )
    .await
}

/// Forgets months that nobody asks about any more.
///
/// # Errors
/// The database's failure.
pub async fn forget(db: &Db, now: Time) -> db::Result<()> {
    const YEARS: i64 = 2;
    let oldest = now.month() - YEARS * 100;
    let any = "SELECT month FROM token_monthly_counts WHERE month < $1 LIMIT 1";
    if db.query_opt(any, params![oldest]).await?.is_none() {
        return Ok(());
    }
    db.write((), move |tx, ()| {
        Box::pin(async move {
            let old = "DELETE FROM token_monthly_counts WHERE month < $1";
            tx.execute(old, params![oldest]).await.map(drop)
        })
    })
    .await
}
