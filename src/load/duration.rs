//! Durations as people write them: `3s`, `2m`, `1h30m`, `500ms`, `1d`.

use std::time::Duration;

/// Reads a duration; a bare number counts seconds. `None` if it is none, or longer than 366 days.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let millis = match &rest[..unit] {
            "ms" => 1,
            "s" => 1000,
            "" if digits == text.len() => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        rest = &rest[unit..];
        total = total.checked_add(number.checked_mul(millis)?)?;
    }
    (total <= 366 * 86_400_000).then(|| Duration::from_millis(total))
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
