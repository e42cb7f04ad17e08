//! `countersign audit verify`: the record against its seals, without a server.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use countersign_ground::db::{DatabaseUrl, Db, Metrics, Options};
use countersign_ground::record::verify::{self, Elsewhere, Report, Trust};
use countersign_ground::record::{Seal, SealJwk};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::local;
use crate::output::{self, Output, Progress, table};
use crate::settings::Sources;

#[derive(Args)]
pub(crate) struct Verify {
    /// A file that `audit export` wrote, instead of the database
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "set"])]
    export: Option<PathBuf>,

    /// Trust these keys alone: a JWK set, as /api/v1/audit/keys has it
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,

    /// Seals that were kept elsewhere, one a line, as AUDIT_SEAL_SINK writes them
    #[arg(long, value_name = "FILE")]
    seals: Option<PathBuf>,

    #[command(flatten)]
    sources: Sources,
}

pub(crate) async fn run(args: &Verify, output: Output) -> anyhow::Result<()> {
    let trust = Trust {
        keys: args.keys.as_deref().map(keys).transpose()?,
        seals: args.seals.as_deref().map_or(Ok(Elsewhere::new()), elsewhere)?,
    };
    let report = match &args.export {
        Some(path) => verify::export(open(path)?, &trust)
            .with_context(|| format!("`{}` can't be verified", path.display()))?,
        None => database(&local::database(&args.sources)?, &trust).await?,
    };
    if let (Output::Table, Some(path)) = (output, &args.seals) {
        let (count, path) = (trust.seals.len(), path.display());
        output::note(&format!("compared with {count} seal(s) in `{path}`"));
    }
    tell(&report, output)
}

/// Verifies the record in a database.
pub(crate) async fn database(url: &DatabaseUrl, trust: &Trust) -> anyhow::Result<Report> {
    // Nobody waits for an answer here, and a page of ten thousand events takes its time.
    let timeout = std::time::Duration::from_secs(60);
    let options = Options { url: url.clone(), pool_size: 2, timeout };
    let db = Db::open_reader(&options, Metrics::default()).await.context("DATABASE_URL")?;
    let progress = std::cell::RefCell::new((Progress::default(), -1));
    let report = verify::database(&db, trust, |seen, total| {
        let percent = seen.saturating_mul(100) / total.max(1);
        let (shown, last) = &mut *progress.borrow_mut();
        if *last != percent {
            *last = percent;
            shown.show(&format!("verified {seen} of {total} events, {percent} %"));
        }
    });
    let report = report.await.context("the record can't be read")?;
    db.close().await;
    Ok(report)
}

/// Prints what was found; fails when something is wrong.
pub(crate) fn tell(report: &Report, output: Output) -> anyhow::Result<()> {
    let value = serde_json::to_value(report)?;
    output.print(&value, |value| for_people(report, value))?;
    let faults = report.more + report.faults.len() as u64;
    match report.faults.first() {
        None => Ok(()),
        Some(first) => bail!(
            "the record is not as it was sealed: {faults} fault(s), the first: {} {}",
            first.kind,
            first.event.as_deref().map(output::plain).unwrap_or_default(),
        ),
    }
}

fn for_people(report: &Report, value: &Value) -> String {
    let mut text = format!(
        "{} seal(s) over {} event(s); {} expired, {} wait for their seal",
        report.seals, report.events, report.expired, report.unsealed
    );
    if let Some(seal) = &report.newest {
        text += &format!("\nthe newest is seal {} of {}, {}", seal.seal, seal.time, seal.digest());
    }
    if report.is_good() {
        return text + "\nthe record is as it was sealed";
    }
    let columns = [
        ("SEAL", "seal"),
        ("INDEX", "index"),
        ("FAULT", "kind"),
        ("EVENT", "event"),
        ("DETAIL", "detail"),
    ];
    text += &format!("\n\n{}", table(&columns, output::rows(&value["faults"])));
    if report.more > 0 {
        text += &format!("\nand {} more", report.more);
    }
    text
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("can't read `{}`", path.display()))?;
    Ok(BufReader::new(file))
}

fn keys(path: &Path) -> anyhow::Result<Vec<SealJwk>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<SealJwk>,
    }
    let set: Set = serde_json::from_reader(open(path)?)
        .with_context(|| format!("`{}` is no JWK set of seal keys", path.display()))?;
    Ok(set.keys)
}

/// Seals, one a line. A crash may have cut off the end of the last one: it was never relied upon.
fn elsewhere(path: &Path) -> anyhow::Result<Elsewhere> {
    let mut seals = Elsewhere::new();
    let mut file = open(path)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if (&mut file).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let cut_off = line.last() != Some(&b'\n') && line.starts_with(BEGIN);
        match serde_json::from_slice::<Seal>(&line) {
            Ok(seal) => {
                let known = seals.insert(seal.seal, seal.clone());
                if known.is_some_and(|known| known != seal) {
                    bail!("`{}` has two different seals {}", path.display(), seal.seal);
                }
            }
            Err(_) if cut_off && (line.len() as u64) < LONGEST => {}
            Err(error) => bail!("`{}` line {number} is no seal: {error}", path.display()),
        }
    }
    if seals.is_empty() {
        bail!("`{}` holds no seal", path.display());
    }
    Ok(seals)
}

/// What the line of a seal begins with, and how long it can be.
const BEGIN: &[u8] = b"{\"count\":";
const LONGEST: u64 = 4_096;

/// What a proof says, checked.
pub(super) fn proof(answer: &Value, keys: &Value) -> anyhow::Result<Value> {
    #[derive(Deserialize)]
    struct Proof {
        leaf: String,
        index: usize,
        tree_size: usize,
        path: Vec<String>,
        seal: Seal,
    }
    use countersign_ground::record::merkle;
    let proof: Proof = serde_json::from_value(answer.clone()).context("this is no proof")?;
    let keys: Vec<SealJwk> = serde_json::from_value(keys["keys"].clone()).context("no JWK set")?;
    let path: Result<Vec<_>, _> = proof.path.iter().map(|hash| hash.parse()).collect();
    let leaf = merkle::leaf(proof.leaf.as_bytes());
    let root = merkle::climb(leaf, proof.index, proof.tree_size, &path?);
    let whole = i64::try_from(proof.tree_size) == Ok(proof.seal.count);
    let signed = keys.iter().any(|key| key.kid == proof.seal.kid && proof.seal.is_signed_by(key));
    if root != Some(proof.seal.root) || !whole {
        bail!("the path does not lead from the event to the root of seal {}", proof.seal.seal);
    }
    if !signed {
        bail!("seal {} is not signed by a key of this server", proof.seal.seal);
    }
    Ok(json!({
        "eventId": answer["event"]["eventId"], "leafHash": leaf.to_string(), "seal": proof.seal.seal,
        "index": proof.index, "of": proof.tree_size, "sealed": proof.seal.time,
        "root": proof.seal.root.to_string(), "kid": proof.seal.kid,
    }))
}
