//! Durations as people write them: `3s`, `2m`, `1h30m`, `500ms`, `1d`.

use std::time::Duration;

/// Reads a duration; a bare number counts seconds. `None` if it is none, or longer than 366 days.
pub fn parse(text: &str) -> Option<Duration> {
    crate::modules::read_duration(text).filter(|time| *time <= Duration::from_secs(366 * 86_400))
}

/// A time as people write it: `340ms`, `12s`, `3m20s`, `1h05m`.
pub fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{}ms", time.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("3s", 3000), ("2m", 120_000), ("1h30m", 5_400_000), ("500ms", 500), ("7", 7000), ("1d", 86_400_000)]
        {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "3x", "s", "3 s", "-1s", "1.5s", "3s4", "99999999999999999999s", "400d"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
