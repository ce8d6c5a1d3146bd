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
        // RandomState is seeded by the system's generator; it only has to tell runs of one millisecond apart.
        let now = self.now();
        let random = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), now);
        RunId(format!("{}-{:04x}", stamp(now), digits(now, random)))
    }
}

/// The last four hex digits of a run's id: the millisecond in its second, then chance. So ids sort by time, and "the
/// last run" is the last one also among those of one second.
fn digits(now: u64, random: u64) -> u64 {
    now % 1000 * 65 + random % 65
}

/// `20261123-031500` of a time in milliseconds since the epoch, UTC.
pub fn stamp(ms: u64) -> String {
    let seconds = ms / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
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
    fn ids_of_one_second_sort_by_time() {
        assert!(digits(5_001, 64) < digits(5_002, 0));
        assert!(digits(5_999, 64) <= 0xffff);
    }

    #[test]
    fn stamps_are_utc_dates() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(1_709_210_096_000), "20240229-123456");
        assert_eq!(stamp(1_795_401_300_000), "20261123-023500");
    }
}
