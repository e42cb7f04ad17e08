//! A moment to look back to: a time, a day, or how long ago.

use std::str::FromStr;
use std::time::Duration;

use countersign_ground::clock::{Clock, Time, ago};
use jiff::Timestamp;
use jiff::civil::Date;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Since {
    /// As RFC 3339 writes it.
    Moment(String),
    Ago(Duration),
}

impl Since {
    /// As servers read it.
    pub(crate) fn told(&self, clock: &Clock) -> String {
        self.at(clock.now())
    }

    fn at(&self, now: Time) -> String {
        match self {
            Self::Moment(time) => time.clone(),
            Self::Ago(duration) => (now - *duration).to_string(),
        }
    }
}

impl FromStr for Since {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<Timestamp>().is_ok() {
            return Ok(Self::Moment(text.to_owned()));
        }
        if text.len() == "2026-01-31".len() && text.parse::<Date>().is_ok() {
            return Ok(Self::Moment(format!("{text}T00:00:00Z")));
        }
        ago(text).map(Self::Ago).ok_or("expected a time such as 2026-01-31T12:00:00Z, 24h or 7d")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_a_day_or_so_long_ago() {
        let now = Time::from_seconds(1_769_860_800);
        for (text, moment) in [
            ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
            ("2026-01-31T12:00:00+01:00", "2026-01-31T12:00:00+01:00"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("0s", "2026-01-31T12:00:00.000Z"),
            ("90m", "2026-01-31T10:30:00.000Z"),
            ("24h", "2026-01-30T12:00:00.000Z"),
            ("7d", "2026-01-24T12:00:00.000Z"),
            ("2w", "2026-01-17T12:00:00.000Z"),
        ] {
            assert_eq!(text.parse::<Since>().unwrap().at(now), moment, "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_moment() {
        for text in
            ["", "d", "7", "-1d", "+1d", "1.5h", "1y", "7 d", "7D", "٧d", "1日", "yesterday"]
        {
            assert!(text.parse::<Since>().is_err(), "{text}");
        }
        assert!("99999999999999999999w".parse::<Since>().is_err());
        assert!("36501d".parse::<Since>().is_err());
    }
}
