//! The signature base (RFC 9421 section 2.5) and the components that stand in it.

use std::borrow::Cow;

use super::CONTENT_DIGEST;
use crate::head::RequestHead;

/// What a signature may cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Method,
    Authority,
    Path,
    Query,
    ContentDigest,
}

impl Component {
    /// What every signature must cover.
    pub(super) const REQUIRED: [Self; 4] = [Self::Method, Self::Authority, Self::Path, Self::Query];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Method => "@method",
            Self::Authority => "@authority",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::ContentDigest => "content-digest",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        let mut known = Self::REQUIRED.into_iter().chain([Self::ContentDigest]);
        known.find(|component| component.name() == name)
    }

    /// Its value in this request; `None` when the request has none, or one that is not text.
    fn value<'r>(self, head: &RequestHead<'r>) -> Option<Cow<'r, str>> {
        Some(match self {
            // Section 2.2.1: case-sensitive, as it is.
            Self::Method => head.method.into(),
            // Section 2.2.3.
            Self::Authority => head.authority.to_ascii_lowercase().into(),
            // Section 2.2.6: an empty path is `/`; nothing is decoded.
            Self::Path => if head.path().is_empty() { "/" } else { head.path() }.into(),
            // Section 2.2.7: with its question mark, which stands alone when there is no query.
            Self::Query => match &head.target[head.path().len()..] {
                "" => "?".into(),
                query => query.into(),
            },
            Self::ContentDigest => head.combined(&CONTENT_DIGEST).ok()??.into(),
        })
    }
}

/// The covered components as an inner list (RFC 8941 section 4.1.1.1).
pub(super) fn list(components: &[Component]) -> String {
    let names: Vec<_> = components.iter().map(|c| format!("\"{}\"", c.name())).collect();
    format!("({})", names.join(" "))
}

/// What is signed. `parameters` is the value of `@signature-params`.
///
/// # Errors
/// The name of the component that is absent or not visible ASCII.
pub(super) fn of_request(
    head: &RequestHead<'_>,
    components: &[Component],
    parameters: &str,
) -> Result<String, &'static str> {
    let mut lines = Vec::with_capacity(components.len());
    for component in components {
        let value = component.value(head).filter(|value| is_visible(value));
        lines.push((component.name(), value.ok_or(component.name())?));
    }
    Ok(signature_base(&lines, parameters))
}

/// INVARIANT: no name or value has a line break, so every line is one component and nobody can
/// write another component's line inside a value.
pub(super) fn signature_base(lines: &[(&str, Cow<'_, str>)], parameters: &str) -> String {
    let mut base = String::with_capacity(256 + parameters.len());
    for (name, value) in lines {
        base.extend(["\"", name, "\": ", value, "\n"]);
    }
    base.extend(["\"@signature-params\": ", parameters]);
    base
}

fn is_visible(value: &str) -> bool {
    value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    // RFC 9421 appendix B.2: the test request.
    const DATE: (&str, Cow<'_, str>) = ("date", Cow::Borrowed("Tue, 20 Apr 2021 02:07:55 GMT"));
    const TYPE: (&str, Cow<'_, str>) = ("content-type", Cow::Borrowed("application/json"));
    const AUTHORITY: (&str, Cow<'_, str>) = ("@authority", Cow::Borrowed("example.com"));

    #[test]
    fn the_hmac_example_of_rfc_9421_section_b_2_5() {
        let parameters =
            r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
        let base = signature_base(&[DATE, AUTHORITY, TYPE], parameters);
        let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(secret).unwrap());
        let signature = STANDARD.encode(hmac::sign(&key, base.as_bytes()));
        assert_eq!(signature, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
    }

    #[test]
    fn the_ed25519_example_of_rfc_9421_section_b_2_6() {
        let parameters = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let lines = [
            DATE,
            ("@method", "POST".into()),
            ("@path", "/foo".into()),
            AUTHORITY,
            TYPE,
            ("content-length", "18".into()),
        ];
        let base = signature_base(&lines, parameters);
        let key = URL_SAFE_NO_PAD.decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs").unwrap();
        let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let key = UnparsedPublicKey::new(&ED25519, key);
        key.verify(base.as_bytes(), &STANDARD.decode(signature).unwrap()).unwrap();
    }
}
