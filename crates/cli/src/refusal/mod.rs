//! How a server says no: problem+json (RFC 9457) from its own endpoints, RFC 6749 section 5.2 bodies
//! from the OAuth ones, and whatever a proxy in between makes up.

mod advice;
mod unreachable;

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::unreachable::Unreachable;
use crate::output::plain;

/// An answer that was not a success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    retry_after: Option<String>,
    body: Body,
    /// What only the command knows.
    also: Option<&'static str>,
}

#[derive(Debug)]
enum Body {
    Problem(Problem),
    OAuth(OAuth),
    Other(String),
}

#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    details: Value,
    request_id: Option<String>,
    reason: Option<String>,
    resource: Option<String>,
    action: Option<String>,
}

#[derive(Debug, Deserialize)]
struct OAuth {
    error: String,
    error_description: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, retry_after: Option<String>, body: &[u8]) -> Self {
        // A problem also has an `error` at times, so it is tried first.
        let body = serde_json::from_slice(body)
            .map(Body::Problem)
            .or_else(|_| serde_json::from_slice(body).map(Body::OAuth))
            .unwrap_or_else(|_| Body::Other(shortened(&String::from_utf8_lossy(body))));
        Self { status, retry_after, body, also: None }
    }

    /// Whether the server said when to come back.
    pub(crate) fn names_a_time(&self) -> bool {
        self.retry_after.is_some()
    }

    pub(crate) fn with_advice(self, also: &'static str) -> Self {
        Self { also: Some(also), ..self }
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Problem(problem) => problem.fmt(f),
            Body::OAuth(error) => error.fmt(f),
            Body::Other(body) => {
                write!(f, "the server answered {}", self.status)?;
                line(f, "body", Some(body).filter(|body| !body.is_empty()))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.detail))?;
        for (name, value) in self.details.as_object().into_iter().flatten() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            line(f, &plain(name), Some(&text))?;
        }
        line(f, "code", Some(&self.code))?;
        line(f, "request id", self.request_id.as_ref())
    }
}

impl fmt::Display for OAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.error_description.as_ref().unwrap_or(&self.error)))?;
        line(f, "code", Some(&self.error))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, text: Option<&String>) -> fmt::Result {
    text.map_or(Ok(()), |text| write!(f, "\n  {name}: {}", plain(text)))
}

/// The beginning of a page that was not meant for us, in one line.
fn shortened(body: &str) -> String {
    const ENOUGH: usize = 160;
    let words = body.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}
