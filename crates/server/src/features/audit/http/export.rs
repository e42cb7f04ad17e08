//! `GET /api/v1/audit/export`: the record as a file.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use countersign_ground::problem::Problem;
use countersign_ground::record::Format;
use futures_util::stream;
use http::{HeaderValue, header};
use tokio::sync::mpsc;

use super::filter;
use crate::app::App;
use crate::doors::extract::Query;
use crate::doors::fields;
use crate::doors::openapi::ProblemBody;
use crate::law::action::ReadRecord;
use crate::law::caller::Caller;

/// Pieces that wait for the reader.
const WAITING: usize = 4;

/// Export the sealed events of the tenant, in the order of the record. JSON lines can be verified by
/// `countersign audit verify --export`; a file without its last line was cut short.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "record",
    params(("format" = Option<String>, Query, description = "`jsonl`, or `csv`; jsonl when absent"),
        ("agentId" = Option<String>, Query), ("action" = Option<String>, Query),
        ("outcome" = Option<String>, Query), ("startDate" = Option<String>, Query),
        ("endDate" = Option<String>, Query), ("decisionId" = Option<String>, Query),
        ("requestId" = Option<String>, Query)),
    responses((status = 200, body = String), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
pub async fn export(
    State(app): State<App>,
    caller: Caller,
    Query(mut query): Query,
) -> Result<Response, Problem> {
    let permit = app.law.permit::<ReadRecord>(&caller, "*").await?;
    let format =
        query.optional("format", fields::parsed::<Named>).unwrap_or(Named(Format::JsonLines));
    let filter = filter(&mut query, permit.tenant());
    query.finish()?;

    let (pieces, received) = mpsc::channel(WAITING);
    let Named(format) = format;
    let (content_type, name) = match format {
        Format::JsonLines => ("application/jsonl", "attachment; filename=\"audit.jsonl\""),
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
    };
    let written = tokio::spawn(async move {
        let (record, keys) = (Arc::clone(&app.record), Arc::clone(&app.keys));
        let outcome = record.export(&keys, &filter, format, &pieces).await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "an export was broken off");
        }
        outcome.map_err(io::Error::other)
    });
    // A reader must not take what was broken off for the whole.
    let body =
        stream::unfold((received, Some(written)), |(mut received, mut written)| async move {
            if let Some(piece) = received.recv().await {
                return Some((Ok(piece), (received, written)));
            }
            let outcome =
                written.take()?.await.map_err(io::Error::other).and_then(|outcome| outcome);
            outcome.err().map(|error| (Err(error), (received, None)))
        });
    let mut response = Response::new(Body::from_stream(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A format by its name.
struct Named(Format);

impl std::str::FromStr for Named {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "jsonl" => Ok(Self(Format::JsonLines)),
            "csv" => Ok(Self(Format::Csv)),
            _ => Err("must be `jsonl` or `csv`"),
        }
    }
}
