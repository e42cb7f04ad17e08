//! Time, passed in. Nothing else in the product asks the operating system what time it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment: microseconds since the Unix epoch, as the database keeps it.
///
/// Written as RFC 3339 in UTC with milliseconds (`2026-01-31T12:00:00.000Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

impl Time {
    /// The latest moment that can be written as RFC 3339 in any time zone.
    pub const MAX: Self = Self(253_402_128_000_000_000);

    /// Whole seconds since the epoch: a JWT's NumericDate (RFC 7519 section 2).
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// From a NumericDate.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The calendar month in UTC, such as 202601.
    #[must_use]
    pub fn month(self) -> i64 {
        let date = self.date();
        i64::from(date.year()) * 100 + i64::from(date.month())
    }

    /// When the next calendar month begins, in UTC.
    #[must_use]
    pub fn next_month(self) -> Self {
        let first = self.date().first_of_month().saturating_add(jiff::Span::new().months(1));
        let midnight = first.to_zoned(jiff::tz::TimeZone::UTC).map(|day| day.timestamp());
        midnight.map_or(Self::MAX, |at| Self(at.as_microsecond()))
    }

    fn date(self) -> jiff::civil::Date {
        let bounded = self.0.clamp(0, Self::MAX.0);
        let time =
            jiff::Timestamp::from_microsecond(bounded).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    /// How long after `earlier` this is; zero when it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl std::ops::Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounded = self.0.clamp(0, Self::MAX.0);
        let time =
            jiff::Timestamp::from_microsecond(bounded).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{time:.3}")
    }
}

impl std::str::FromStr for Time {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp = text.parse()?;
        Ok(Self(time.as_microsecond()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            serde::de::Error::custom("expected a time such as `2026-01-31T12:00:00Z` (RFC 3339)")
        })
    }
}

/// Where time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system's.
    System,
    /// Stands still until somebody moves it: for tests.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn manual(start: Time) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        match self {
            Self::System => system_now(),
            Self::Manual(at) => Time(at.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock by `micros`, which may be negative; the system's is left alone.
    pub fn step(&self, micros: i64) {
        if let Self::Manual(at) = self {
            at.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
fn system_now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(since.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
}

/// Measures how long something took; says nothing about what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place that measures durations")]
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// How long ago: a number and its unit, such as `90m`, `24h` or `7d`. Never further back than a time can be written.
#[must_use]
pub fn ago(text: &str) -> Option<Duration> {
    const CENTURY: u64 = 100 * 365 * 86_400;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (seconds <= CENTURY).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_read_back() {
        let time = Time(1_700_000_000_123_456);
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(
            "2023-11-14T22:13:20.123Z".parse::<Time>().unwrap(),
            Time(1_700_000_000_123_000)
        );
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_month_turns_at_midnight_in_utc() {
        let last: Time = "2026-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!((last.month(), Time(last.0 + 1).month()), (202_612, 202_701));
        assert_eq!(last.next_month(), Time(last.0 + 1));
        assert_eq!("2024-02-29T12:00:00Z".parse::<Time>().unwrap().month(), 202_402);
    }

    #[test]
    fn times_beyond_what_can_be_written_are_bounded() {
        assert_eq!(Time(i64::MAX).to_string(), "9999-12-30T00:00:00.000Z");
        assert_eq!(Time(i64::MAX) + Duration::from_secs(1), Time(i64::MAX));
    }
}
