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

/// The name of a header that is about a certificate, so that it means nothing else. Not with `_`: gateways drop that,
/// or take it for `-`.
pub(super) fn certificate_header(text: &str) -> Option<HeaderName> {
    let name = text.parse::<HeaderName>().ok()?;
    let known = name.as_str();
    let ours = known.starts_with("x-caller-") || known.starts_with("x-decision-");
    (known.contains("cert") && !ours && !known.contains('_')).then_some(name)
}
