//! The form body of an OAuth request (RFC 6749 appendix B).

use std::borrow::Cow;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use countersign_ground::problem::{Code, Problem};
use countersign_ground::record::Origin;
use http::HeaderMap;

use super::error::OAuthError;
use crate::app::App;
use crate::doors::extract::{caller, certificate, content_type, origin, read};
use crate::law::caller::Caller;
use crate::law::directory::Thumbprint;

/// A request at an OAuth endpoint.
pub struct OAuthRequest {
    /// Its headers.
    pub headers: HeaderMap,
    /// Where it came from.
    pub origin: Origin,
    /// The client certificate of its connection.
    pub certificate: Option<Thumbprint>,
    body: Bytes,
}

impl FromRequest<App> for OAuthRequest {
    type Rejection = OAuthError;

    async fn from_request(request: Request, app: &App) -> Result<Self, OAuthError> {
        let form = "application/x-www-form-urlencoded";
        if !content_type(request.headers()).is_some_and(|kind| kind.eq_ignore_ascii_case(form)) {
            let what = format!("the body must be `Content-Type: {form}`");
            return Err(OAuthError::InvalidRequest(what));
        }
        let (parts, body) = request.into_parts();
        let origin = origin(&parts, app);
        let body = read(body).await.map_err(|problem| match problem.code() {
            Code::PayloadTooLarge => OAuthError::Failed(problem),
            _ => OAuthError::InvalidRequest(problem.detail().to_owned()),
        })?;
        let certificate = certificate(&parts.extensions).copied();
        Ok(Self { headers: parts.headers, origin, certificate, body })
    }
}

impl OAuthRequest {
    /// Whoever asks, when it is not by client authentication.
    ///
    /// # Errors
    /// As [`crate::law::Law::caller`].
    pub async fn caller(&self, app: &App) -> Result<Caller, Problem> {
        caller(app, &self.headers, self.certificate.as_ref(), self.origin.clone()).await
    }

    /// The body's parameters. One that is given twice is an error (section 3.2), save those of
    /// `repeatable`; one without a value counts as absent; unknown ones are ignored.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn params(&self, repeatable: &[&str]) -> Result<Params<'_>, OAuthError> {
        let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(6);
        let not_utf8 = |_| OAuthError::InvalidRequest("the body is not UTF-8".into());
        let body = std::str::from_utf8(&self.body).map_err(not_utf8)?;
        // Most bodies (a token is 900 characters) hold nothing that needs a closer look.
        let special = memchr::memchr3(b'%', b'+', 0, body.as_bytes()).is_some();
        for (name, value) in pairs_of(body, special) {
            if value.is_empty() {
                continue;
            }
            if special && value.contains('\0') {
                return Err(OAuthError::InvalidRequest("U+0000 is not allowed".into()));
            }
            let seen = pairs.iter().any(|(known, _)| *known == name);
            if seen && !repeatable.contains(&&*name) {
                let shown: String = name.chars().take(64).collect();
                let what = format!("parameter `{shown}` is given more than once");
                return Err(OAuthError::InvalidRequest(what));
            }
            pairs.push((name, value));
        }
        Ok(Params(pairs))
    }
}

type Pair<'b> = (Cow<'b, str>, Cow<'b, str>);

/// Name and value of each parameter; `encoded` when the body may hold what must be decoded.
fn pairs_of(body: &str, encoded: bool) -> impl Iterator<Item = Pair<'_>> {
    body.split('&').filter_map(move |pair| {
        if encoded {
            return form_urlencoded::parse(pair.as_bytes()).next();
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (!pair.is_empty()).then_some((name.into(), value.into()))
    })
}

/// Parameters of a body.
pub struct Params<'b>(Vec<Pair<'b>>);

impl Params<'_> {
    /// A parameter's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// A repeatable parameter's values.
    pub fn all<'p>(&'p self, name: &str) -> impl Iterator<Item = &'p str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::InvalidRequest(format!("parameter `{name}` is missing")))
    }
}
