//! All SQL of `token_revocations`. No other table knows tokens: the record has them.

use std::time::Duration;

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db, Tx};
use countersign_ground::params;

use crate::law::directory::Directory;
use crate::law::token::TokenId;

/// How long a revocation is remembered after its token has expired: a clock that steps back by less
/// revives nothing.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Revokes a token; false when it was revoked already.
///
/// # Errors
/// The database's failure.
pub async fn revoke(tx: &mut Tx, token: TokenId, expires_at: Time) -> db::Result<bool> {
    let inserted = tx
        .execute(
            "INSERT INTO token_revocations (jti, expires_at) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
            params![token.to_string(), expires_at],
        )
        .await?;
    Ok(inserted > 0)
}

/// Forgets tokens that have expired long ago.
///
/// # Errors
/// The database's failure.
pub async fn forget_expired(db: &Db, now: Time) -> db::Result<()> {
    db.write((), move |tx, ()| {
        Box::pin(async move {
            tx.execute(
                "DELETE FROM token_revocations WHERE expires_at <= $1",
                params![now - REMEMBERED],
            )
            .await?;
            Ok(())
        })
    })
    .await
}

/// Reads one revoked token into memory.
///
/// # Errors
/// The database's failure.
pub async fn load_one(db: &Db, directory: &Directory, token: TokenId) -> db::Result<()> {
    let row = db
        .query_opt(
            "SELECT expires_at FROM token_revocations WHERE jti = $1",
            params![token.to_string()],
        )
        .await?;
    if let Some(mut row) = row {
        directory.put_revoked(token, row.take()?);
    }
    Ok(())
}

/// Reads every revoked token into memory.
///
/// # Errors
/// The database's failure.
pub async fn load(db: &Db, directory: &Directory, now: Time) -> db::Result<()> {
    let rows = db
        .query(
            "SELECT jti, expires_at FROM token_revocations WHERE expires_at > $1",
            params![now - REMEMBERED],
        )
        .await?;
    for mut row in rows {
        let (jti, expires_at): (String, Time) = (row.take()?, row.take()?);
        let unreadable = |_| db::Error::Query("token_revocations.jti is not readable".into());
        directory.put_revoked(jti.parse().map_err(unreadable)?, expires_at);
    }
    Ok(())
}
