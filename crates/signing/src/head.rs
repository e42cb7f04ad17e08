//! What signatures read of a request.

use std::fmt;

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Uri};

/// A request's head. Nothing in it is normalised to decide on it; it must be what came, and what
/// the callee will see.
#[derive(Clone, Copy)]
pub struct RequestHead<'r> {
    /// Such as `GET`.
    pub method: &'r str,
    /// Host and port as in `Host` or `:authority`, in any case; without the port when it is the
    /// default one of the scheme (RFC 9421 section 2.2.3). Version 1 does not look at it.
    pub authority: &'r str,
    /// Path and query in origin form (`/a%20b?c=d`), still encoded.
    pub target: &'r str,
    /// All headers.
    pub headers: &'r HeaderMap,
}

impl<'r> RequestHead<'r> {
    /// From the parts of an [`http::Request`]. The authority is the target's, else the one `Host`
    /// header's, else empty; a default port is left as it came.
    #[must_use]
    pub fn new(method: &'r Method, uri: &'r Uri, headers: &'r HeaderMap) -> Self {
        let authority = match uri.authority() {
            // RFC 9110 section 7.2: the target's authority without user information.
            Some(authority) => {
                let text = authority.as_str();
                text.rsplit_once('@').map_or(text, |(_, host)| host)
            }
            None => single(headers, &HOST).unwrap_or_default(),
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Self { method: method.as_str(), authority, target, headers }
    }

    /// The target up to its query.
    pub(crate) fn path(&self) -> &'r str {
        self.target.split_once('?').map_or(self.target, |(path, _)| path)
    }

    /// A header that must come exactly once, with a value.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&'r str> {
        single(self.headers, name)
    }

    /// All lines of a header as one value (RFC 9110 section 5.3); `None` when there is none.
    ///
    /// # Errors
    /// When a line is not visible ASCII.
    pub(crate) fn combined(&self, name: &HeaderName) -> Result<Option<String>, NotText> {
        let mut lines = self.headers.get_all(name).iter();
        let Some(first) = lines.next() else { return Ok(None) };
        let mut value = first.to_str().map_err(|_| NotText)?.trim().to_owned();
        for line in lines {
            value.push_str(", ");
            value.push_str(line.to_str().map_err(|_| NotText)?.trim());
        }
        Ok(Some(value))
    }
}

/// A header's value is not visible ASCII.
#[derive(Debug)]
pub(crate) struct NotText;

/// A header that must come exactly once, with a value: of two, another program might read the
/// other. Bytes that are not text become a character that no id, time or signature has.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let value = lines.next().filter(|value| !value.is_empty())?;
    lines.next().is_none().then(|| value.to_str().unwrap_or("\u{fffd}"))
}

/// The value of a header that was made here.
pub(crate) fn made(text: String) -> HeaderValue {
    #[expect(clippy::expect_used, reason = "only ids, numbers, hex, base64 and field syntax")]
    HeaderValue::try_from(text).expect("what signatures are made of is visible ASCII")
}

/// The same for a signature, which must not be in a log (contract 4.1).
pub(crate) fn made_secret(text: String) -> HeaderValue {
    let mut value = made(text);
    value.set_sensitive(true);
    value
}

/// Without the headers, which may hold credentials.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, authority, .. } = self;
        write!(f, "RequestHead({method} {authority}{})", self.path())
    }
}
