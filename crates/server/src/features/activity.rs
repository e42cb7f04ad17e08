//! When credentials were last used and agents last seen: small hot writes, gathered in memory and
//! written once a second in key order. A crash loses at most that second of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db};
use countersign_ground::ids::{AgentId, CredentialId};

use super::agents;
use super::credentials::{self, store::Use};

/// Uses that were not written yet.
#[derive(Default)]
pub struct Activity(Mutex<BTreeMap<(AgentId, CredentialId), Seen>>);

type Seen = (Time, Option<IpAddr>);

impl Activity {
    /// Notes that an agent used a credential.
    pub fn note(&self, agent: AgentId, credential: CredentialId, at: Time, from: Option<IpAddr>) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.insert((agent, credential), (at, from));
    }

    /// Writes what was noted.
    ///
    /// # Errors
    /// The database's failure; what was noted is then lost, which costs a time of last use.
    pub async fn flush(&self, db: &Db) -> db::Result<()> {
        let uses = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if uses.is_empty() {
            return Ok(());
        }
        let mut seen: BTreeMap<AgentId, Time> = BTreeMap::new();
        for ((agent, _), (at, _)) in &uses {
            let latest = seen.entry(*agent).or_insert(*at);
            *latest = (*latest).max(*at);
        }
        let seen: Vec<_> = seen.into_iter().collect();
        let used: Vec<Use> = uses
            .into_iter()
            .map(|((_, id), (at, from))| Use { id, at, from: from.map(|ip| ip.to_string()) })
            .collect();
        // In pieces, so that no change waits long behind them.
        for part in split(seen) {
            db.write(part, |tx, part| Box::pin(async move { agents::store::seen(tx, part).await }))
                .await?;
        }
        for part in split(used) {
            db.write(part, |tx, part| {
                Box::pin(async move { credentials::store::used(tx, part).await })
            })
            .await?;
        }
        Ok(())
    }
}

const PIECE: usize = 100;

fn split<T>(mut items: Vec<T>) -> Vec<Vec<T>> {
    let mut pieces = Vec::new();
    while items.len() > PIECE {
        let rest = items.split_off(PIECE);
        pieces.push(std::mem::replace(&mut items, rest));
    }
    pieces.push(items);
    pieces
}
