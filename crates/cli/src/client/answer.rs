//! What a server answered, and whether that was a yes.

use anyhow::Context;
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::refusal::Refusal;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    pub(super) async fn read(response: Response) -> reqwest::Result<Self> {
        Ok(Self {
            status: response.status(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            body: response.bytes().await?.into(),
        })
    }

    /// The JSON of a success (`null` when it has no body); anything else is an error.
    pub(crate) fn value(self) -> anyhow::Result<Value> {
        if !self.status.is_success() {
            return Err(Refusal::new(self.status, self.retry_after, &self.body).into());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        self.json().with_context(|| {
            format!("the server answered {} with a body that is not JSON", self.status)
        })
    }

    /// The body, whatever the status.
    pub(crate) fn json(&self) -> serde_json::Result<Value> {
        serde_json::from_slice(&self.body)
    }
}
