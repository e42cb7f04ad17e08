//! What is asked for, as it was sent (RFC 9112 section 3.2.1, RFC 3986 section 3.3).

use std::borrow::Cow;

/// A request's target: its path, and why that is not to be trusted, if so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'t> {
    /// Up to the query; none where the target does not begin with `/`.
    pub path: Option<&'t str>,
    /// What could be read in two ways.
    pub ambiguity: Option<Ambiguity>,
}

/// What two servers could read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// In the path; what it is.
    Path(&'static str),
    /// The host.
    Host,
    /// The method.
    Method,
    /// A header that names another method.
    Override,
}

impl Ambiguity {
    /// As a decision's reason.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Path(_) => "ambiguous_path",
            Self::Host => "ambiguous_host",
            Self::Method => "ambiguous_method",
            Self::Override => "method_override",
        }
    }

    /// What it is, for whoever sent it.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Path(what) => what,
            Self::Host => "the host is not a name or an address",
            Self::Method => "the method is not of upper case letters",
            Self::Override => "a header names another method",
        }
    }
}

/// The longest path, in bytes.
const LONGEST: usize = 4_096;

impl<'t> Target<'t> {
    /// Reads a target in its origin form.
    #[must_use]
    pub fn read(target: &'t str) -> Self {
        if !target.starts_with('/') {
            let what = "the target does not begin with `/`";
            return Self { path: None, ambiguity: Some(Ambiguity::Path(what)) };
        }
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        if path.len() > LONGEST {
            return Self { path: None, ambiguity: Some(Ambiguity::Path("its length")) };
        }
        Self { path: Some(path), ambiguity: ambiguity(path.as_bytes()).map(Ambiguity::Path) }
    }
}

/// What is ambiguous in a path.
pub(super) fn ambiguity(path: &[u8]) -> Option<&'static str> {
    let mut rest = path;
    let mut escaped = false;
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                escaped = true;
                let Some(byte) = escape(after) else { return Some("a `%` without two hex digits") };
                rest = &after[2..];
                if let Some(what) = hidden(byte) {
                    return Some(what);
                }
                // To whoever decodes twice it is another byte.
                if byte == b'%' && escape(rest).is_some() {
                    return Some("what is escaped twice");
                }
            }
            b'/' if after.first() == Some(&b'/') => return Some("an empty segment (`//`)"),
            b'/' if is_dots(after) => return Some("a segment of dots"),
            b'\\' => return Some("a backslash"),
            b';' => return Some("a `;`"),
            b'#' => return Some("a `#`"),
            0..=0x20 | 0x7f => return Some("a space or a control character"),
            0x80.. => return Some("a byte over 127"),
            _ => {}
        }
    }
    (escaped && decoded(&String::from_utf8_lossy(path)).is_none())
        .then_some("escapes that are not UTF-8")
}

/// What an escape hides from whoever does not decode it.
fn hidden(byte: u8) -> Option<&'static str> {
    match byte {
        b'/' => Some("an escaped `/`"),
        b'\\' => Some("an escaped backslash"),
        b'.' => Some("an escaped dot"),
        b';' => Some("an escaped `;`"),
        0..=0x1f | 0x7f => Some("an escaped control character"),
        // RFC 3986 section 6.2.2.2: the same as without the escape, and there for no good.
        b'-' | b'_' | b'~' => Some("an escape of what needs none"),
        _ if byte.is_ascii_alphanumeric() => Some("an escape of what needs none"),
        _ => None,
    }
}

/// The byte that two hex digits mean.
fn escape(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

fn is_dots(after: &[u8]) -> bool {
    let end = after.iter().position(|byte| *byte == b'/').unwrap_or(after.len());
    matches!(&after[..end], b"." | b"..")
}

/// A segment, or a whole path, without its escapes; none where that is not UTF-8.
pub(super) fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        (rest, _) = match (first, escape(after)) {
            (b'%', Some(byte)) => (&after[2..], bytes.push(byte)),
            _ => (after, bytes.push(*first)),
        };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// A host without its port, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host<'h>(Cow<'h, str>);

impl<'h> Host<'h> {
    /// Reads `name`, `name:port`, an address, or `[address]:port` (RFC 3986 section 3.2.2).
    #[must_use]
    pub fn read(text: &'h str) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, after)) if is_of(address, b":.") => (
                &text[..address.len() + 2],
                after.strip_prefix(':').or(after.is_empty().then_some("0"))?,
            ),
            Some(_) => return None,
            None => text.split_once(':').unwrap_or((text, "0")),
        };
        let known = name.starts_with('[') || (is_of(name, b"-._") && !name.ends_with('.'));
        let numbered = (1..=5).contains(&port.len()) && port.bytes().all(|c| c.is_ascii_digit());
        if !known || !numbered || name.starts_with('.') || name.contains("..") || name.len() > 253 {
            return None;
        }
        let upper = name.bytes().any(|c| c.is_ascii_uppercase());
        Some(Self(if upper { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }))
    }

    /// As it is compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of(text: &str, besides: &[u8]) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || besides.contains(&c))
}
