//! OAuth 2.1: tokens for agents (RFC 6749 section 4.4), introspection (RFC 7662), revocation
//! (RFC 7009), and the documents that tell clients where all of that is.

pub mod client;
pub mod discovery;
pub mod error;
pub mod form;
pub mod introspect;
pub mod revoke;
pub mod store;
pub mod token;

/// Issues tokens; the second is the same under the name that generic clients try.
pub const TOKEN: [&str; 2] = ["/api/v1/token", "/oauth2/token"];
/// Tells what a token says.
pub const INTROSPECT: [&str; 2] = ["/api/v1/token/introspect", "/oauth2/introspect"];
/// Ends a token.
pub const REVOKE: [&str; 2] = ["/api/v1/token/revoke", "/oauth2/revoke"];

/// Whether errors of this route are written as RFC 6749 asks, and not as problems.
#[must_use]
pub fn is_endpoint(route: &str) -> bool {
    [TOKEN, INTROSPECT, REVOKE].iter().flatten().any(|endpoint| *endpoint == route)
}
