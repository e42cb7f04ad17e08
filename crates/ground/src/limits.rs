//! Limits: how often something may happen in a window of time. In this process alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Time;

/// Counts by key in windows that begin at whole multiples of their length, so that every node and
/// every client agrees on when one turns.
pub struct Windows<K> {
    length: Duration,
    counts: Mutex<HashMap<K, Window>>,
}

struct Window {
    number: i64,
    count: u32,
}

impl<K: Hash + Eq> Windows<K> {
    /// Windows of this length, at least a microsecond.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self { length: length.max(Duration::from_micros(1)), counts: Mutex::default() }
    }

    /// Counts one more for `key`, unless that would be more than `most` in this window.
    ///
    /// # Errors
    /// How long until the window turns. What is refused does not count.
    pub fn take(&self, key: K, most: u32, now: Time) -> Result<(), Duration> {
        let (number, left) = self.window(now);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let window = counts.entry(key).or_insert(Window { number, count: 0 });
        // A clock that steps back must not give anybody a fresh window.
        if window.number < number {
            *window = Window { number, count: 0 };
        }
        if window.count >= most {
            return Err(left);
        }
        window.count += 1;
        Ok(())
    }

    /// Forgets the windows that are over.
    pub fn forget(&self, now: Time) {
        let (current, _) = self.window(now);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, window| window.number >= current);
        counts.shrink_to_fit();
    }

    /// Which window it is at `now`, and how long until it turns.
    #[must_use]
    pub fn window(&self, now: Time) -> (i64, Duration) {
        let length = i64::try_from(self.length.as_micros()).unwrap_or(i64::MAX);
        let into = now.0.rem_euclid(length);
        let left = Duration::from_micros(u64::try_from(length - into).unwrap_or(0));
        (now.0.div_euclid(length), left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_window_admits_so_many_and_says_when_it_turns() {
        let windows = Windows::new(MINUTE);
        let now = Time(59_000_000);
        assert_eq!([(); 3].map(|()| windows.take("a", 3, now)), [Ok(()); 3]);
        assert_eq!(windows.take("a", 3, now), Err(Duration::from_secs(1)));
        assert_eq!(windows.take("b", 3, now), Ok(()), "each key for itself");
        assert_eq!(windows.take("a", 3, Time(60_000_000)), Ok(()), "the next minute");
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_back() {
        let windows = Windows::new(MINUTE);
        windows.take("a", 1, Time(120_000_000)).unwrap();
        assert!(windows.take("a", 1, Time(60_000_000)).is_err());
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let windows = Windows::new(MINUTE);
        windows.take("a", 1, Time(0)).unwrap();
        windows.take("b", 1, Time(60_000_000)).unwrap();
        windows.forget(Time(60_000_001));
        assert_eq!(windows.counts.lock().unwrap().keys().collect::<Vec<_>>(), [&"b"]);
    }
}
