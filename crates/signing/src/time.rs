//! Times: Unix seconds, and how far from now one may be.

/// The times that are near enough to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    now: i64,
    seconds: u32,
}

impl Window {
    /// From `seconds` before `now` to `seconds` after it, both inclusive; `now` is Unix seconds.
    #[must_use]
    pub const fn around(now: i64, seconds: u32) -> Self {
        Self { now, seconds }
    }

    /// Whether `time`, in Unix seconds, is inside.
    #[must_use]
    pub fn holds(self, time: i64) -> bool {
        self.now.abs_diff(time) <= u64::from(self.seconds)
    }

    /// The now that it is around, in Unix seconds.
    #[must_use]
    pub const fn now(self) -> i64 {
        self.now
    }

    /// The last second at which this window, as it moves, still holds `time`.
    pub(crate) fn holds_until(self, time: i64) -> i64 {
        time.saturating_add(self.seconds.into())
    }
}

/// Reads an integer as it would be written: no plus sign, no leading zero. One that is too large
/// for 64 bits is still an integer, and far outside any window.
pub(crate) fn unix_seconds(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    // Two spellings of one number would be two headers for one signature.
    let canonical = match digits.as_bytes() {
        [b'0'] => !negative,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let saturated = if negative { i64::MIN } else { i64::MAX };
    canonical.then(|| text.parse().unwrap_or(saturated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_one_spelling_only() {
        assert_eq!(unix_seconds("1760000000"), Some(1_760_000_000));
        assert_eq!(unix_seconds("0"), Some(0));
        assert_eq!(unix_seconds("-5"), Some(-5));
        assert_eq!(unix_seconds("99999999999999999999"), Some(i64::MAX));
        for wrong in ["", "-", "+1", "01", "-0", "1.0", "1e9", " 1", "1 ", "12:00", "0x1", "١"] {
            assert_eq!(unix_seconds(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_window_is_inclusive_and_never_overflows() {
        let window = Window::around(1000, 300);
        assert!(window.holds(700) && window.holds(1300));
        assert!(!window.holds(699) && !window.holds(1301));
        assert!(!window.holds(i64::MIN) && !window.holds(i64::MAX));
        assert!(!Window::around(i64::MAX, u32::MAX).holds(i64::MIN));
        assert_eq!(window.holds_until(i64::MAX), i64::MAX);
    }
}
