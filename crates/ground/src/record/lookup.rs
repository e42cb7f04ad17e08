//! Lookup keys: which events are about an agent, carry a decision, or belong to a request.
//!
//! The sealer writes them with each seal, as one sorted run; [`merge`] joins small runs, so that a question
//! looks into few. They only say where to look: what is found there is matched again, and nothing
//! about the record is proven by them.

mod merge;

use std::sync::LazyLock;

use memchr::memmem;
use twox_hash::XxHash3_64;

use crate::clock::Time;
use crate::db::{self, Tx, Value};
use crate::params;

pub(super) use merge::{forget, level, merge};

/// Entries of a page: two pages fill one of SQLite's, four one of PostgreSQL's.
const PAGE: usize = 112;

/// An event that has a key. Stored as two signed numbers of eight bytes, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: i64,
    pub(super) position: i64,
}

/// Entries of events from a stretch of time, to be stored under the last seal that they are of.
pub(super) struct Run {
    pub(super) seal: i64,
    pub(super) level: i64,
    pub(super) begins: Time,
    pub(super) ends: Time,
    pub(super) entries: Vec<Entry>,
}

/// What a member of a tenant's events is looked up by, such as `"agentId":"…"`: its XXH3 of 64 bits, with that of
/// the tenant as the seed. Another member may have the same, by chance or because somebody wants it to.
pub(super) fn key(tenant: &str, member: &[u8]) -> i64 {
    let seed = XxHash3_64::oneshot(tenant.as_bytes());
    XxHash3_64::oneshot_with_seed(seed, member).cast_signed()
}

/// The members of an event that have keys.
static MEMBERS: LazyLock<[memmem::Finder<'static>; 3]> = LazyLock::new(|| {
    [r#""agentId":""#, r#""decisionId":""#, r#""requestId":""#].map(memmem::Finder::new)
});

/// The keys of one event.
pub(super) fn keys(tenant: &str, body: &str) -> Vec<i64> {
    let (body, mut keys) = (body.as_bytes(), Vec::with_capacity(MEMBERS.len()));
    for finder in &*MEMBERS {
        for at in finder.find_iter(body) {
            let value = at + finder.needle().len();
            keys.push(key(tenant, &body[at..end_of_text(body, value)]));
        }
    }
    keys
}

/// Behind the quote that ends a JSON string.
fn end_of_text(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr2(b'"', b'\\', body.get(at..).unwrap_or_default()) {
        at += found + 1;
        if body[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    body.len()
}

impl Run {
    /// Stores it, within the transaction of whatever it is of.
    pub(super) async fn write(&self, tx: &mut Tx) -> db::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        tx.execute(
            "INSERT INTO event_runs (run, level, begins, ends, entries) VALUES ($1, $2, $3, $4, $5)",
            params![
                self.seal,
                self.level,
                self.begins,
                self.ends,
                i64::try_from(self.entries.len()).unwrap_or(i64::MAX),
            ],
        )
        .await?;
        let pages: Vec<Vec<Value>> = self
            .entries
            .chunks(PAGE)
            .zip(0_i64..)
            .map(|(page, n)| params![self.seal, page[0].key, n, encode(page).as_slice()].to_vec())
            .collect();
        // Several rows a statement: a seal of ten thousand events has two hundred.
        let (several, rest) = pages.as_chunks::<ROWS>();
        let several: Vec<Vec<Value>> = several.iter().map(|rows| rows.concat()).collect();
        tx.execute_each(INSERT_ROWS, &several).await?;
        tx.execute_each(INSERT_ROW, rest).await
    }
}

const ROWS: usize = 8;
const INSERT_ROW: &str =
    "INSERT INTO event_keys (run, first, page, entries) VALUES ($1, $2, $3, $4)";
const INSERT_ROWS: &str = "INSERT INTO event_keys (run, first, page, entries) VALUES
    ($1, $2, $3, $4), ($5, $6, $7, $8), ($9, $10, $11, $12), ($13, $14, $15, $16),
    ($17, $18, $19, $20), ($21, $22, $23, $24), ($25, $26, $27, $28), ($29, $30, $31, $32)";

fn encode(page: &[Entry]) -> Vec<u8> {
    page.iter()
        .flat_map(|entry| [entry.key.to_be_bytes(), entry.position.to_be_bytes()])
        .flatten()
        .collect()
}

fn decode(page: &[u8]) -> impl Iterator<Item = Entry> {
    page.as_chunks::<8>().0.as_chunks::<2>().0.iter().map(|[key, position]| Entry {
        key: i64::from_be_bytes(*key),
        position: i64::from_be_bytes(*position),
    })
}

/// The positions of a key in a page.
pub(super) fn positions(page: &[u8], key: i64) -> impl Iterator<Item = i64> {
    decode(page).filter(move |entry| entry.key == key).map(|entry| entry.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indexed(body: &str) -> Vec<i64> {
        keys("acme", body)
    }

    #[test]
    fn a_member_is_indexed_as_it_stands() {
        let body = r#"{"action":"a","agentId":"x","decisionId":null,"requestId":"a\"b\\","z":"\"agentId\":\"y\""}"#;
        let wanted = [&br#""agentId":"x""#[..], br#""requestId":"a\"b\\""#];
        assert_eq!(indexed(body), wanted.map(|member| key("acme", member)));
        assert_ne!(key("acme", wanted[0]), key("other", wanted[0]));
    }

    #[test]
    fn half_a_body_is_indexed_without_harm() {
        for body in
            ["", r#""agentId":""#, r#""agentId":"\"#, r#""agentId":"\""#, r#"{"requestId":"é"#]
        {
            indexed(body);
        }
    }

    #[test]
    fn a_page_is_read_back() {
        let entries = [(i64::MIN, 0), (-1, i64::MAX), (5, 1), (5, 2), (i64::MAX, -3)];
        let entries = entries.map(|(key, position)| Entry { key, position });
        let page = encode(&entries);
        assert!(decode(&page).eq(entries));
        assert_eq!(positions(&page, 5).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(decode(&page[..33]).count(), 2);
    }
}
