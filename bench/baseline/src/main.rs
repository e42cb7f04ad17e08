//! The limit that Countersign is measured against: the same HTTP stack and cryptography without
//! storage, checks, logs or limits.
//!
//! `baseline PORT` serves; `baseline load` makes the paced load of `load.rs`; `baseline decisions`
//! measures role decisions without any server, `baseline record` the record.

mod connection;
mod decisions;
mod load;
mod record;
mod sign;

use std::net::Ipv4Addr;

use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::sign::Signer;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One worker per core that the process may use: tokio asks `available_parallelism`, which
/// respects `taskset`.
#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["load"] => load::run(),
        ["decisions"] => decisions::run(),
        ["record", url, events] => record::run(url, events.parse()?).await,
        [port] => serve(port.parse()?).await,
        _ => Err("usage: baseline PORT | baseline decisions | baseline record URL EVENTS | \
                   baseline load < plan.json"
            .into()),
    }
}

async fn serve(port: u16) -> Result<(), Error> {
    let routes = Router::new()
        .route("/hello", get(async || "hello"))
        .route("/echo", post(async |Json(body): Json<Echo>| Json(body)))
        .route("/sign/es256", post(sign::token).with_state(Signer::es256()?))
        .route("/sign/rs256", post(sign::token).with_state(Signer::rs256()?))
        .route("/sign/eddsa", post(sign::token).with_state(Signer::eddsa()?));

    // A connection that cannot be set up fails by itself soon after.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await?
        .tap_io(|connection| drop(connection.set_nodelay(true)));
    axum::serve(listener, routes).await?;
    Ok(())
}

/// Shaped like an answer to an introspection, about 300 bytes: see `bodies.py`.
#[derive(Deserialize, Serialize)]
struct Echo {
    active: bool,
    iss: String,
    sub: String,
    client_id: String,
    aud: String,
    scope: String,
    token_type: String,
    jti: String,
    iat: u64,
    exp: u64,
}
