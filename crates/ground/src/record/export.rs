//! Writing the record out: JSON lines that can be verified, or CSV for a spreadsheet.
//!
//! `docs/record.md` gives the format of the lines. An export goes up to the newest seal.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::merkle::Hash;
use super::sealed::{Batch, Place, batch};
use super::seals;
use super::verify::end_text;
use super::{Filter, Record, Seal};
use crate::clock::Time;
use crate::db::{self, Db};
use crate::keyring::{KeyRing, RingError, TokenKey, seal_jwks};
use crate::params;

/// What the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// To be kept and verified.
    JsonLines,
    /// To be looked at.
    Csv,
}

impl Record {
    /// Writes out the sealed events that match, in the order of the record, piece by piece into
    /// `pieces`; ends early when nobody reads on.
    ///
    /// # Errors
    /// When the database fails, or the key that signs the end can't be opened.
    pub async fn export(
        &self,
        keys: &KeyRing,
        filter: &Filter,
        format: Format,
        pieces: &mpsc::Sender<String>,
    ) -> Result<(), RingError> {
        match format {
            Format::Csv => Ok(self.export_csv(filter, pieces).await?),
            Format::JsonLines => {
                let key = keys.seal_key(&self.db, &self.clock, &self.entropy).await?;
                self.export_lines(&key, filter, pieces).await
            }
        }
    }

    async fn export_lines(
        &self,
        key: &TokenKey,
        filter: &Filter,
        pieces: &mpsc::Sender<String>,
    ) -> Result<(), RingError> {
        let mut out = Lines { digest: Context::new(&SHA256), events: 0, seals: 0 };
        let header = json!({"export": {
            "format": 1, "filter": filter.told(), "tenant": filter.tenant, "time": self.clock.now(),
        }});
        let jwks = seal_jwks(&self.db).await?.join(",");
        if pieces.send(out.piece(format!("{header}\n{{\"keys\":[{jwks}]}}\n"))).await.is_err() {
            return Ok(());
        }
        let (mut after, until) = range(&self.db, filter).await?;
        while after < until {
            let batch = batch(&self.db, filter, after, until).await?;
            let Some(last) = batch.seals.last() else { break };
            after = last.seal;
            let text = out.lines(&self.db, batch).await?;
            if pieces.send(out.piece(text)).await.is_err() {
                return Ok(());
            }
        }
        let _ = pieces.send(out.end(key)?).await;
        Ok(())
    }

    async fn export_csv(&self, filter: &Filter, pieces: &mpsc::Sender<String>) -> db::Result<()> {
        if pieces.send(format!("seal,index,{}\n", COLUMNS.join(","))).await.is_err() {
            return Ok(());
        }
        let (mut after, until) = range(&self.db, filter).await?;
        while after < until {
            let Batch { seals, events } = batch(&self.db, filter, after, until).await?;
            let Some(last) = seals.last() else { break };
            after = last.seal;
            let rows: String = events.iter().map(|(place, body)| csv(*place, body)).collect();
            if !rows.is_empty() && pieces.send(rows).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A record that was not sealed for longer is the exception that is not signed for.
const LATE: Duration = Duration::from_secs(24 * 3600);
/// Clocks of nodes differ by less.
const SKEW: Duration = Duration::from_secs(600);

/// The seals that can hold events of the time that is asked for: after the first, up to the second. By
/// `time`, which is signed, and beyond by what is not: that can only add to it. The seal before the first
/// is among them, so that its time can be seen to be earlier.
async fn range(db: &Db, filter: &Filter) -> db::Result<(i64, i64)> {
    let (since, until) =
        (filter.since.unwrap_or(Time(i64::MIN)), filter.until.unwrap_or(Time::MAX));
    let row = db
        .query_opt(
            "SELECT COALESCE(MIN(CASE WHEN time >= $1 OR ends >= $2 THEN seal END), MAX(seal)) - 2,
                    MAX(CASE WHEN time <= $3 OR begins <= $4 THEN seal ELSE 0 END)
               FROM seals",
            params![since - SKEW, since, until + LATE, until],
        )
        .await?;
    let Some(mut row) = row else { return Ok((0, 0)) };
    let (first, last): (Option<i64>, Option<i64>) = (row.take()?, row.take()?);
    Ok((first.unwrap_or(0).max(0), last.unwrap_or(0)))
}

/// What has been written so far.
struct Lines {
    digest: Context,
    events: i64,
    seals: i64,
}

impl Lines {
    fn piece(&mut self, text: String) -> String {
        self.digest.update(text.as_bytes());
        text
    }

    /// The lines of a few seals: each, and its events.
    async fn lines(&mut self, db: &Db, batch: Batch) -> db::Result<String> {
        let Batch { seals, events } = batch;
        let mut text = String::new();
        let mut events = events.iter().peekable();
        for seal in &seals {
            let mut own = Vec::new();
            while let Some(event) = events.next_if(|(place, _)| place.seal == seal.seal) {
                own.push(event);
            }
            text.push_str(&seal_line(db, seal, &own).await?);
            for (_, body) in &own {
                text.push_str(body);
                text.push('\n');
            }
            self.events += i64::try_from(own.len()).unwrap_or(0);
            self.seals += 1;
        }
        Ok(text)
    }

    fn end(self, key: &TokenKey) -> Result<String, RingError> {
        let (digest, kid) = (hex::encode(self.digest.finish()), key.kid());
        let text = end_text(&digest, self.events, kid, self.seals);
        let signature = URL_SAFE_NO_PAD.encode(key.signature(text.as_bytes())?);
        let signed = text.strip_suffix('}').unwrap_or(&text);
        Ok(format!("{{\"end\":{signed},\"signature\":\"{signature}\"}}}}\n"))
    }
}

async fn seal_line(db: &Db, seal: &Seal, own: &[&(Place, String)]) -> db::Result<String> {
    if own.is_empty() {
        return Ok(format!("{}\n", json!({"seal": seal})));
    }
    let leaves = seals::leaves(db, seal.seal).await?;
    let leaves: Vec<String> = leaves.iter().map(Hash::to_string).collect();
    let mut indexes: Vec<(i64, i64)> = Vec::new();
    for (place, _) in own {
        match indexes.last_mut() {
            Some(range) if range.1 + 1 == place.index => range.1 = place.index,
            _ => indexes.push((place.index, place.index)),
        }
    }
    let indexes: Vec<String> = indexes.iter().map(|(a, b)| format!("{a}-{b}")).collect();
    Ok(format!("{}\n", json!({"seal": seal, "leaves": leaves, "indexes": indexes})))
}

const COLUMNS: [&str; 14] = [
    "eventId",
    "timestamp",
    "action",
    "outcome",
    "actorType",
    "actorId",
    "agentId",
    "tenant",
    "resource",
    "decisionId",
    "requestId",
    "ipAddress",
    "userAgent",
    "metadata",
];

/// One row, as RFC 4180 writes it.
fn csv(place: Place, body: &str) -> String {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    let mut row = format!("{},{}", place.seal, place.index);
    for column in COLUMNS {
        row.push(',');
        match &event[column] {
            Value::Null => {}
            Value::String(text) => row.push_str(&cell(text)),
            other => row.push_str(&cell(&other.to_string())),
        }
    }
    row.push('\n');
    row
}

/// A spreadsheet takes `=…` and the like for a formula: what strangers can write must not become one.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_no_formula() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("-1", "'-1"),
        ] {
            assert_eq!(cell(text), wanted);
        }
    }
}
