//! The tenant to act in, for callers who may act in others than their own.

use std::fmt;
use std::str::FromStr;

use reqwest::header::{HeaderName, HeaderValue};

pub(super) const X_TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// An id that can stand in a header.
#[derive(Clone, Debug)]
pub(crate) struct TenantId(String);

impl TenantId {
    #[expect(clippy::expect_used, reason = "parsing took only what a header can hold")]
    pub(super) fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).expect("visible ASCII is a header value")
    }
}

impl FromStr for TenantId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("`{}` is not a tenant's id", text.escape_debug()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
