//! `countersign audit export`: the record as a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::page::Filter;
use crate::client::{self, Client};
use crate::output::Progress;

#[derive(Args)]
pub(crate) struct Export {
    /// JSON lines, to keep and verify; CSV, to look at
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Where to; standard output when absent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    #[command(flatten)]
    filter: Filter,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Format {
    #[default]
    Jsonl,
    Csv,
}

pub(super) async fn run(export: Export, client: &Client) -> anyhow::Result<()> {
    let mut url = client.api(&["audit", "export"]);
    let format = match export.format {
        Format::Jsonl => "jsonl",
        Format::Csv => "csv",
    };
    client::ask_for(&mut url, &[("format", Some(format.to_owned()))]);
    client::ask_for(&mut url, &export.filter.query());
    let Some(path) = export.out else {
        let mut stdout = io::stdout().lock();
        client.download(url, &mut stdout, |_| {}).await?;
        return Ok(stdout.flush()?);
    };
    // Under another name until it is whole: a part must not be taken for an export.
    let part = path.with_added_extension("part");
    let failed = || format!("can't write `{}`", part.display());
    let mut file = File::create(&part).with_context(failed)?;
    let mut progress = Progress::default();
    let written = client
        .download(url, &mut file, |bytes| progress.show(&format!("{} MB", bytes / 1_000_000)))
        .await;
    drop(progress);
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written?;
    file.sync_all().with_context(failed)?;
    fs::rename(&part, &path).with_context(|| format!("can't write `{}`", path.display()))
}
