//! What was used: credentials, operators' tokens, signing keys, and how many tokens each client was
//! issued. Small hot writes, gathered in memory and written once a second in key order, a bounded
//! number at a time: with many agents at work each waits its turn, and is written less often. A crash
//! loses what was not written.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use countersign_ground::clock::Time;
use countersign_ground::db::{self, Db};
use countersign_ground::ids::{AgentId, CredentialId, OperatorTokenId};
use countersign_ground::keyring;

use super::credentials::{self, store::Use};
use super::{agents, operators, quotas};

/// Uses that were not written yet.
#[derive(Default)]
pub struct Activity {
    tokens: Mutex<Noted>,
    operators: Mutex<BTreeMap<OperatorTokenId, Time>>,
    /// One writes at a time: who must know what is stored waits for what is on its way.
    writing: tokio::sync::Mutex<()>,
}

/// Agent, credential, and the month in which it got tokens.
type Key = (AgentId, CredentialId, i64);

#[derive(Default)]
struct Noted {
    seen: BTreeMap<Key, Seen>,
    /// Where the last turn ended.
    turn: Option<Key>,
}

/// Written in one turn: enough for a fleet's daily work within a second, and little beside its
/// tokens.
const TURN: usize = 500;

struct Seen {
    at: Time,
    from: Option<IpAddr>,
    /// When the last of the tokens expires.
    until: Time,
    issued: i64,
}

impl Activity {
    /// Notes that an agent got a token, good until `until`, for a credential.
    pub fn issued(
        &self,
        agent: AgentId,
        credential: CredentialId,
        (at, until): (Time, Time),
        from: Option<IpAddr>,
    ) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = tokens.seen.entry((agent, credential, at.month()));
        let seen = seen.or_insert(Seen { at, from, until, issued: 0 });
        (seen.at, seen.from, seen.until) = (at, from, seen.until.max(until));
        seen.issued += 1;
    }

    /// Notes that an operator used a token.
    pub fn operator_seen(&self, token: &OperatorTokenId, at: Time) {
        let mut operators = self.operators.lock().unwrap_or_else(PoisonError::into_inner);
        match operators.get_mut(token) {
            Some(seen) => *seen = at,
            None => drop(operators.insert(token.clone(), at)),
        }
    }

    /// Writes the next of what was noted, and what keys have signed (key, when, until when a token
    /// lives).
    ///
    /// # Errors
    /// The database's failure; what was taken is then lost, which costs times of last use and
    /// counts.
    pub async fn flush(&self, db: &Db, keys: Vec<(String, Time, Time)>) -> db::Result<()> {
        let _turn = self.writing.lock().await;
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).next_turn();
        write(db, tokens).await?;
        let operators: Vec<_> = take(&self.operators).into_iter().collect();
        if operators.is_empty() && keys.is_empty() {
            return Ok(());
        }
        db.write((operators, keys), |tx, (operators, keys)| {
            Box::pin(async move {
                operators::store::tokens::used(tx, operators).await?;
                keyring::last_used(tx, keys).await
            })
        })
        .await
    }

    /// Writes all that was noted.
    ///
    /// # Errors
    /// As [`Activity::flush`].
    pub async fn flush_all(&self, db: &Db, keys: Vec<(String, Time, Time)>) -> db::Result<()> {
        {
            let _turn = self.writing.lock().await;
            write(db, take(&self.tokens).seen).await?;
        }
        self.flush(db, keys).await
    }

    /// Writes what was noted of one agent.
    ///
    /// # Errors
    /// As [`Activity::flush`].
    pub async fn flush_agent(&self, db: &Db, agent: AgentId) -> db::Result<()> {
        let _turn = self.writing.lock().await;
        let of_agent = {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            let all = (agent, CredentialId::MIN, i64::MIN)..=(agent, CredentialId::MAX, i64::MAX);
            tokens.seen.extract_if(all, |_, _| true).collect()
        };
        write(db, of_agent).await
    }
}

impl Noted {
    /// Takes the next few, in key order and round and round.
    fn next_turn(&mut self) -> BTreeMap<Key, Seen> {
        if self.seen.len() <= TURN {
            return std::mem::take(&mut self.seen);
        }
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let from = |bound| self.seen.range((bound, Bound::Unbounded)).map(|(key, _)| *key);
        let mut keys: Vec<Key> = from(after).take(TURN).collect();
        let missing = TURN - keys.len();
        keys.extend(from(Bound::Unbounded).take(missing));
        self.turn = keys.last().copied();
        keys.into_iter().filter_map(|key| self.seen.remove_entry(&key)).collect()
    }
}

async fn write(db: &Db, tokens: BTreeMap<Key, Seen>) -> db::Result<()> {
    let mut agents: BTreeMap<AgentId, (Time, Time)> = BTreeMap::new();
    let mut counts: BTreeMap<(AgentId, i64), i64> = BTreeMap::new();
    let mut uses: Vec<Use> = Vec::with_capacity(tokens.len());
    for ((agent, id, month), Seen { at, from, until, issued }) in tokens {
        let seen = agents.entry(agent).or_insert((at, until));
        *seen = (seen.0.max(at), seen.1.max(until));
        *counts.entry((agent, month)).or_insert(0) += issued;
        uses.push(Use { id, at, from: from.map(|ip| ip.to_string()) });
    }
    let agents: Vec<_> = agents.into_iter().map(|(id, (at, to))| (id, at, to)).collect();
    let counts: Vec<_> = counts.into_iter().map(|((id, month), n)| (id, month, n)).collect();
    // In pieces, so that no change waits long behind them.
    for part in split(agents) {
        db.write(part, |tx, part| Box::pin(async move { agents::store::seen(tx, part).await }))
            .await?;
    }
    for part in split(uses) {
        db.write(part, |tx, part| {
            Box::pin(async move { credentials::store::used(tx, part).await })
        })
        .await?;
    }
    for part in split(counts) {
        db.write(part, |tx, part| Box::pin(async move { quotas::store::add(tx, part).await }))
            .await?;
    }
    Ok(())
}

fn take<T: Default>(noted: &Mutex<T>) -> T {
    std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner))
}

const PIECE: usize = 100;

/// Pieces, none of them empty.
fn split<T>(mut items: Vec<T>) -> Vec<Vec<T>> {
    let mut pieces = Vec::with_capacity(items.len() / PIECE + 1);
    while items.len() > PIECE {
        let rest = items.split_off(PIECE);
        pieces.push(std::mem::replace(&mut items, rest));
    }
    if !items.is_empty() {
        pieces.push(items);
    }
    pieces
}
