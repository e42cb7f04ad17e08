//! Listings that come in pages, one at a time or all of them.

use std::collections::HashSet;

use clap::Args;
use reqwest::Url;
use serde_json::{Value, json};

use crate::client::{Client, ask_for};
use crate::output::{self, Output, Progress, cell, table};

#[derive(Args)]
pub(crate) struct Paging {
    /// Which page, from 1
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    page: Option<u32>,

    /// How many a page, at most 100
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: Option<u32>,

    /// Every page
    #[arg(long, conflicts_with = "page")]
    all: bool,
}

/// What is listed: what people call it, and its columns, of which the first is its id.
pub(crate) struct Listing {
    pub(crate) things: &'static str,
    pub(crate) columns: &'static [(&'static str, &'static str)],
}

impl Listing {
    pub(crate) async fn print(
        &self,
        url: Url,
        paging: &Paging,
        client: &Client,
        output: Output,
    ) -> anyhow::Result<()> {
        let answer = if paging.all {
            self.every_page(&url, paging.limit.unwrap_or(MOST), client).await?
        } else {
            client.get(at(&url, paging.page, paging.limit)).await?
        };
        output.print(&answer, |answer| table(self.columns, output::rows(answer)))?;
        if let (Output::Table, Some(note)) = (output, self.where_we_are(&answer)) {
            output::note(&note);
        }
        Ok(())
    }

    /// Something may be added or removed meanwhile, and moves the others over the edge of a page:
    /// what is met twice counts once.
    async fn every_page(&self, url: &Url, limit: u32, client: &Client) -> anyhow::Result<Value> {
        let (mut items, mut met) = (Vec::new(), HashSet::new());
        let mut progress = Progress::default();
        let (_, id) = self.columns[0];
        for page in 1.. {
            let answer = client.get(at(url, Some(page), Some(limit))).await?;
            let rows = output::rows(&answer);
            let fresh = rows.iter().filter(|item| met.insert(cell(&item[id])));
            items.extend(fresh.cloned());
            if rows.is_empty() || u64::from(page) >= pages(&answer) {
                break;
            }
            progress.show(&format!("{} of {} {}", items.len(), answer["total"], self.things));
        }
        Ok(json!({"total": items.len(), "data": items}))
    }

    /// Said when the page is not all there is.
    fn where_we_are(&self, answer: &Value) -> Option<String> {
        let (things, total) = (self.things, answer["total"].as_u64()?);
        if total == 0 {
            return Some(format!("no {things}"));
        }
        let (page, pages) = (answer["page"].as_u64()?, pages(answer));
        match page {
            page if page < pages => {
                Some(format!("page {page} of {pages}, {total} {things}; next: --page {}", page + 1))
            }
            page if pages > 1 => Some(format!("page {page} of {pages}, {total} {things}")),
            _ => None,
        }
    }
}

/// The server gives no more at once.
const MOST: u32 = 100;

fn at(url: &Url, page: Option<u32>, limit: Option<u32>) -> Url {
    let mut url = url.clone();
    let text = |number: Option<u32>| number.map(|number| number.to_string());
    ask_for(&mut url, &[("page", text(page)), ("limit", text(limit))]);
    url
}

/// How many there are. The limit counts that the server kept to, which may be less than was asked for.
fn pages(answer: &Value) -> u64 {
    let number = |member: &str| answer[member].as_u64().unwrap_or(0);
    number("total").div_ceil(number("limit").max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_the_next_one_is() {
        let page = |page: u64, total: u64| {
            Listing { things: "agents", columns: &[] }
                .where_we_are(&json!({"data": [], "page": page, "limit": 20, "total": total}))
        };
        assert_eq!(page(1, 0).unwrap(), "no agents");
        assert_eq!(page(1, 20), None);
        assert_eq!(page(1, 21).unwrap(), "page 1 of 2, 21 agents; next: --page 2");
        assert_eq!(page(2, 21).unwrap(), "page 2 of 2, 21 agents");
    }
}
