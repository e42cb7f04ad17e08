//! How many tokens a client may have in a calendar month, where its plan says so.
//!
//! The count is exact on a node: it is raised before a token is signed. What is stored follows once
//! a second (`activity`), so a crash forgets at most a second of it, in the client's favour.

pub mod store;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use countersign_ground::clock::Time;
use countersign_ground::ids::AgentId;
use countersign_ground::problem::Problem;

/// Counts of clients whose plan limits them.
#[derive(Default)]
pub struct Quotas(Mutex<HashMap<AgentId, Count>>);

#[derive(Clone, Copy)]
struct Count {
    month: i64,
    n: i64,
}

/// One of the tokens that the plan allows; given back unless it is used.
pub struct Taken<'q> {
    quotas: &'q Quotas,
    agent: AgentId,
    month: i64,
    used: bool,
}

impl Quotas {
    /// Takes one of the tokens that are left this month; `None` when nothing is known of the client,
    /// and the database must be asked first.
    ///
    /// # Errors
    /// 429 until the month turns.
    pub fn take(&self, agent: AgentId, most: i64, now: Time) -> Option<Result<Taken<'_>, Problem>> {
        let month = now.month();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(&agent)?;
        // A clock that steps back must not give anybody a fresh month.
        if count.month < month {
            *count = Count { month, n: 0 };
        }
        if count.n >= most {
            let detail = format!("the plan allows {most} tokens a calendar month");
            return Some(Err(Problem::too_many(detail, now.next_month().since(now))));
        }
        count.n += 1;
        Some(Ok(Taken { quotas: self, agent, month: count.month, used: false }))
    }

    /// Notes what the database says of a client, unless something is known already.
    pub fn learn(&self, agent: AgentId, month: i64, n: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.entry(agent).or_insert(Count { month, n });
    }

    /// Forgets everything, after a plan has changed: what an unlimited client was issued is only
    /// stored.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Forgets the counts of months that are over.
    pub fn forget(&self, now: Time) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| count.month >= now.month());
    }
}

impl Taken<'_> {
    /// The token was issued.
    pub fn used(mut self) {
        self.used = true;
    }
}

/// What was taken for a token that was not issued after all is there again.
impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut counts = self.quotas.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.agent).filter(|count| count.month == self.month) {
            count.n -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_ground::entropy::Entropy;

    use super::*;

    #[test]
    fn what_is_not_used_is_given_back_and_a_month_begins_anew() {
        let (quotas, now) = (Quotas::default(), Time(1_767_225_600_000_000));
        let agent = AgentId::new(now, &Entropy::seeded(1));
        let take = |now| quotas.take(agent, 2, now).unwrap();
        assert!(quotas.take(agent, 2, now).is_none(), "nothing is known");
        quotas.learn(agent, now.month(), 1);
        quotas.learn(agent, now.month(), 0);
        drop(take(now).unwrap());
        take(now).unwrap().used();
        assert!(take(now).is_err());
        let next = now.next_month();
        take(next).unwrap().used();
        assert!(take(now).is_ok(), "counted in the later month, though the clock stepped back");
    }
}
