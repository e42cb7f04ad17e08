//! Whom to believe about others, and what.

use std::net::IpAddr;

use http::HeaderName;
use ipnet::IpNet;

pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let network = |text: &str| {
        let text = text.trim();
        text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
    };
    text.split(',').filter(|text| !text.trim().is_empty()).map(network).collect()
}

/// Headers that clients send for themselves, or that mean something already.
const TAKEN: [&str; 12] = [
    "authorization",
    "authorization-machine",
    "connection",
    "content-type",
    "cookie",
    "host",
    "user-agent",
    "x-forwarded-for",
    "x-machine-token",
    "x-request-id",
    "x-tenant",
    "x-vault-token",
];
/// The same of whole families.
const FAMILIES: [&str; 3] = ["content-", "x-caller-", "x-decision-"];
const OF_THE_REQUEST: [&str; 4] =
    ["x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto"];

/// The name of a header. Not with `_`: gateways drop that, or take it for `-`.
pub(super) fn header_of_its_own(text: &str) -> Option<HeaderName> {
    let name = text.parse::<HeaderName>().ok()?;
    let known = name.as_str();
    let taken = TAKEN.contains(&known)
        || OF_THE_REQUEST.contains(&known)
        || FAMILIES.iter().any(|family| known.starts_with(family));
    (!taken && !known.contains('_')).then_some(name)
}
