//! No answer at all.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::client::Server;

/// The server could not be asked, or did not finish its answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach {server}: {cause}")]
pub(crate) struct Unreachable {
    server: String,
    cause: String,
    refused: bool,
}

impl Unreachable {
    pub(crate) fn new(server: &Server, error: &reqwest::Error, limit: Duration) -> Self {
        let cause = deepest(error);
        let refused = cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        let cause = if error.is_timeout() {
            format!("no answer within {} seconds", limit.as_secs())
        } else {
            cause.to_string()
        };
        Self { server: server.to_string(), cause, refused }
    }

    pub(crate) fn advice(&self) -> &'static str {
        if self.refused {
            "is the server running? `countersign serve` starts it"
        } else {
            "check --url (COUNTERSIGN_URL) and the network between"
        }
    }
}

/// `reqwest` says only that sending failed; why is at the end of the chain.
fn deepest(error: &reqwest::Error) -> &(dyn Error + 'static) {
    let mut deepest: &(dyn Error + 'static) = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest
}
