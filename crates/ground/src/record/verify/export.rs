//! An exported file, line by line.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Read};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;

use super::super::merkle::{self, Hash};
use super::super::seal::{Seal, SealJwk, verifies};
use super::chain::Chain;
use super::{Fault, Kind, Report, Trust};

/// Not an export, or one that ends too early to say what is in it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidExport {
    /// It can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is something else.
    #[error("line {0}: {1}")]
    Line(usize, String),
}

/// A line that is no event: one of its kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    export: Option<Header>,
    keys: Option<Vec<SealJwk>>,
    seal: Option<Seal>,
    #[serde(default)]
    leaves: Vec<String>,
    #[serde(default)]
    indexes: Vec<String>,
    end: Option<End>,
}

#[derive(Deserialize)]
struct Header {
    format: i64,
}

/// The last line; it is signed with the key that sealed when the export was made.
#[derive(Deserialize)]
struct End {
    digest: String,
    events: i64,
    kid: String,
    seals: i64,
    signature: String,
}

impl End {
    fn signed_text(&self) -> String {
        end_text(&self.digest, self.events, &self.kid, self.seals)
    }
}

/// What the last line's signature is over: the RFC 8785 form of its other members.
pub(in crate::record) fn end_text(digest: &str, events: i64, kid: &str, seals: i64) -> String {
    format!(r#"{{"digest":"{digest}","events":{events},"kid":"{kid}","seals":{seals}}}"#)
}

/// The seal whose events are being read.
struct Open {
    seal: i64,
    leaves: Vec<Hash>,
    /// Which of the leaves are exported, in order.
    exported: Vec<i64>,
    found: Vec<(Hash, Option<String>)>,
}

/// No line of an export is longer: a seal with ten thousand leaf hashes has 700 kB.
const LONGEST: u64 = 64 << 20;

/// Verifies an exported file.
///
/// # Errors
/// When it can't be read, or is no export.
pub fn export(mut file: impl BufRead, trust: &Trust) -> Result<Report, InvalidExport> {
    let mut report = Report::default();
    let mut chain = Chain::from_anywhere(trust.keys.clone().unwrap_or_default(), &trust.seals);
    let (mut open, mut end): (Option<Open>, Option<End>) = (None, None);
    let (mut digest, mut text) = (Context::new(&SHA256), String::new());
    let (mut number, mut seals) = (0, 0);
    loop {
        text.clear();
        number += 1;
        if (&mut file).take(LONGEST).read_line(&mut text)? == 0 {
            break;
        }
        if text.len() as u64 == LONGEST && !text.ends_with('\n') {
            return Err(InvalidExport::Line(
                number,
                "it is longer than any line of an export".into(),
            ));
        }
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if end.is_some() {
            return Err(InvalidExport::Line(number, "there is something after the end".into()));
        }
        if number > 1 && line.starts_with("{\"action\":") {
            let Some(open) = &mut open else {
                return Err(InvalidExport::Line(number, "an event before its seal".into()));
            };
            open.found.push((merkle::leaf(line.as_bytes()), name(line)));
        } else {
            let wrong = |what: String| InvalidExport::Line(number, what);
            let parsed: Line = serde_json::from_str(line)
                .map_err(|error| wrong(format!("this is no line of an export: {error}")))?;
            if (number == 1) != parsed.export.as_ref().is_some_and(|header| header.format == 1) {
                let what = "an export begins with `{\"export\":{\"format\":1,…}}`, and only once";
                return Err(wrong(what.into()));
            }
            if let (Some(keys), None) = (parsed.keys, &trust.keys) {
                chain = Chain::from_anywhere(keys, &trust.seals);
            }
            if let Some(seal) = parsed.seal {
                close(open.take(), &mut report);
                seals += 1;
                let unreadable = |what| wrong(format!("`{what}` is not readable"));
                let begun = begin(seal, &parsed.leaves, &parsed.indexes, &mut chain, &mut report);
                open = Some(begun.map_err(unreadable)?);
            }
            if parsed.end.is_some() {
                close(open.take(), &mut report);
                end = parsed.end;
                continue;
            }
        }
        digest.update(text.as_bytes());
    }
    close(open.take(), &mut report);
    let digest = hex::encode(digest.finish());
    check_end(end.as_ref(), &digest, seals, &chain, &mut report);
    chain.end(&mut report);
    Ok(report.finish())
}

fn begin(
    seal: Seal,
    leaves: &[String],
    indexes: &[String],
    chain: &mut Chain<'_>,
    report: &mut Report,
) -> Result<Open, &'static str> {
    let leaves: Option<Vec<Hash>> = leaves.iter().map(|text| text.parse().ok()).collect();
    let leaves = leaves.ok_or("leaves")?;
    let exported = self::indexes(indexes, leaves.len()).ok_or("indexes")?;
    // A seal none of whose events was asked for comes without its leaf hashes.
    chain.check(&seal, (!leaves.is_empty()).then_some(&leaves), report);
    Ok(Open { seal: seal.seal, leaves, exported, found: Vec::new() })
}

/// `0-4` and `7`, ascending and below `count`.
fn indexes(texts: &[String], count: usize) -> Option<Vec<i64>> {
    let count = i64::try_from(count).ok()?;
    let mut all: Vec<i64> = Vec::new();
    for text in texts {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
        let follows = all.last().is_none_or(|before| *before < first);
        if !follows || first > last || last >= count || first < 0 {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// Compares the events that came with those that should have.
fn close(open: Option<Open>, report: &mut Report) {
    let Some(Open { seal, leaves, exported, found }) = open else { return };
    let at = |hash: &Hash, known: &HashMap<Hash, i64>| known.get(hash).copied();
    let known: HashMap<Hash, i64> =
        (0_i64..).zip(&leaves).map(|(index, leaf)| (*leaf, index)).collect();
    let mut fault = |index: Option<i64>, kind, event: Option<String>, detail: &str| {
        let (seal, detail) = (Some(seal), detail.to_owned());
        report.fault(Fault { seal, index, kind, event, detail });
    };
    let present: HashSet<i64> = found.iter().filter_map(|(hash, _)| at(hash, &known)).collect();
    let mut gone = exported.iter().copied().filter(|index| !present.contains(index)).peekable();
    let (mut sound, mut reached) = (0, -1);
    for (place, (hash, event)) in found.iter().enumerate() {
        match at(hash, &known) {
            Some(index) if index <= reached => {
                fault(
                    Some(index),
                    Kind::Reordered,
                    event.clone(),
                    "it does not stand where it was sealed",
                );
            }
            Some(index) if exported.binary_search(&index).is_err() => {
                reached = index;
                fault(Some(index), Kind::Inserted, event.clone(), "it is not among those exported");
            }
            Some(index) => {
                while let Some(missing) = gone.next_if(|missing| *missing < index) {
                    fault(
                        Some(missing),
                        Kind::Removed,
                        None,
                        "it was sealed and exported and is gone",
                    );
                }
                (reached, sound) = (index, sound + 1);
            }
            None => {
                // In the place of one that is missing before the next that is known.
                let next = found[place..].iter().find_map(|(hash, _)| at(hash, &known));
                match gone.next_if(|missing| next.is_none_or(|next| *missing < next)) {
                    Some(index) => {
                        let detail = "its text is not the one that was sealed";
                        fault(Some(index), Kind::Changed, event.clone(), detail);
                    }
                    None => fault(None, Kind::Inserted, event.clone(), "it was never sealed here"),
                }
            }
        }
    }
    for missing in gone {
        fault(Some(missing), Kind::Removed, None, "it was sealed and exported and is gone");
    }
    report.events += sound;
}

fn check_end(end: Option<&End>, digest: &str, seals: i64, chain: &Chain<'_>, report: &mut Report) {
    let mut fault = |detail: String| {
        let (seal, index, kind) = (None, None, Kind::Truncated);
        report.fault(Fault { seal, index, kind, event: None, detail });
    };
    let Some(end) = end else { return fault("the file has no end: it was cut short".into()) };
    let signed = chain
        .key(&end.kid)
        .is_some_and(|key| verifies(key, end.signed_text().as_bytes(), &end.signature));
    if !signed {
        fault(format!("the end of the file is not signed by a key of seals: `{}`", end.kid));
    } else if end.digest != digest {
        let detail = format!(
            "the file is not as it was written, with {} seals and {} events; {seals} seals are there",
            end.seals, end.events
        );
        let (seal, index, kind) = (None, None, Kind::Changed);
        report.fault(Fault { seal, index, kind, event: None, detail });
    }
}

fn name(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        event_id: String,
    }
    serde_json::from_str::<Named>(line).ok().map(|named| named.event_id)
}
