//! What stands between the slashes of a path. Targets are never normalised: a path that could be read as
//! another one matches nothing.

/// The segments of a path; none when it is not one that begins with `/`.
pub(super) fn of(path: &str) -> Option<impl Iterator<Item = &str>> {
    let rest = path.strip_prefix('/')?;
    // `/` alone has no segment.
    Some(rest.split('/').skip(usize::from(rest.is_empty())))
}

/// Whether everybody reads this segment as the same one: not empty, no dots alone, nothing that some decode to a
/// separator.
pub(super) fn is_plain(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'%' => bytes.next().zip(bytes.next()).and_then(decoded).is_some_and(is_harmless),
            // RFC 3986 section 3.3, without `;`, which some cut off with what follows it.
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte),
        };
        if !plain {
            return false;
        }
    }
    !matches!(segment, "" | "." | "..")
}

/// What an escape stands for.
fn decoded((high, low): (u8, u8)) -> Option<u8> {
    let mut byte = [0];
    hex::decode_to_slice([high, low], &mut byte).ok()?;
    Some(byte[0])
}

/// Whether it makes no other path of a path when it is decoded once or twice.
fn is_harmless(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f && !br"/\.%;".contains(&byte)
}

/// Whether this is a UUID (RFC 9562 section 4), in digits of either case.
pub(super) fn is_uuid(segment: &str) -> bool {
    segment.len() == 36
        && segment.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
