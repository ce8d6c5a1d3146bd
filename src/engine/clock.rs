//! Time and chance, passed in so that tests can choose them.

use crate::key::RunId;
use std::time::{SystemTime, UNIX_EPOCH};

/// Wall time and identities.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC.
    fn now(&self) -> u64;
    /// A new run's identity.
    fn run_id(&self) -> RunId;
}

/// The machine's.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn run_id(&self) -> RunId {
        let now = self.now();
        // RandomState is seeded by the system's generator.
        run_id(now, std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), now))
    }
}

/// `20261123-031500-c56f`: the last four digits are the millisecond and six bits of chance, so ids sort as the runs
/// began, also within a second. Whoever asks for the last run gets the last one.
fn run_id(now: u64, random: u64) -> RunId {
    RunId(format!("{}-{:04x}", stamp(now), (now % 1000) << 6 | random & 0x3f))
}

/// `20261123-031500` of a time in milliseconds since the epoch, UTC.
pub fn stamp(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// `2026-11-23 03:15:00` of a time in seconds since the epoch, UTC; nothing after the year 9999.
pub fn utc(seconds: u64) -> String {
    let seconds = seconds.min(253_402_300_799);
    let ((year, month, day), of_day) = (civil(seconds / 86_400), seconds % 86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Year, month and day of a number of days since 1970-01-01 in the proleptic Gregorian calendar.
pub fn civil(days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let mut left = days;
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if left < length {
            break;
        }
        left -= length;
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_as_the_runs_began() {
        assert_eq!(run_id(1_795_401_300_000, u64::MAX).0, "20261123-023500-003f");
        assert!(run_id(1_795_401_300_998, u64::MAX) < run_id(1_795_401_300_999, 0));
        assert_eq!(run_id(1_795_401_300_999, u64::MAX).0, "20261123-023500-f9ff");
    }

    #[test]
    fn stamps_are_utc_dates() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(1_709_210_096_000), "20240229-123456");
        assert_eq!(stamp(1_795_401_300_000), "20261123-023500");
    }
}
