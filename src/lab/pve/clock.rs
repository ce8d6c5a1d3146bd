//! The simulator's time, injected so that tests can own it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where the simulator reads the time from.
pub trait Clock: Send + Sync {
    /// Seconds since 1970-01-01 UTC.
    fn unix(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// A date and time of day in UTC, as the tools print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year, 1970 or later.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: u64,
    /// 0 to 59.
    pub minute: u64,
    /// 0 to 59.
    pub second: u64,
}

impl Civil {
    /// The UTC calendar time of a number of seconds since 1970.
    pub fn from_unix(unix: u64) -> Self {
        let days = i64::try_from(unix / 86_400).unwrap_or(0);
        let rest = unix % 86_400;
        // Days are counted in eras of 400 years that begin in March, so that the leap day comes last.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            hour: rest / 3_600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    /// `2026-11-22`.
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `2026-11-22 04:44:56`.
    pub fn date_time(&self) -> String {
        format!("{} {:02}:{:02}:{:02}", self.date(), self.hour, self.minute, self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_times_are_those_that_the_node_printed() {
        assert_eq!(Civil::from_unix(1_795_322_696).date_time(), "2026-11-22 04:44:56");
        assert_eq!(Civil::from_unix(1_577_836_800).date_time(), "2020-01-01 00:00:00");
        assert_eq!(Civil::from_unix(951_782_400).date(), "2000-02-29");
    }
}
