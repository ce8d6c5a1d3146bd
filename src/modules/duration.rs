//! Lengths of time as users write them: `500ms`, `3s`, `5m`, `1h`, or a number of seconds.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A length of time, from 0 to 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(pub Duration);

impl Length {
    /// Whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// From `500ms`, `3s`, `5m`, `1h30m`, `2d` or a plain number of seconds.
    ///
    /// # Errors
    /// What is wrong with the text, with advice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is not a length of time: write it like 500ms, 30s, 5m or 1h30m");
        let length = read_duration(text).ok_or_else(wrong)?;
        if length > Duration::from_secs(7 * 86_400) {
            Err(format!("`{text}` is more than 7 days"))
        } else {
            Ok(Self(length))
        }
    }
}

/// Reads a length of time: `500ms`, `3s`, `1h30m`, or a bare number of seconds. The one reader of all of them.
pub fn read_duration(text: &str) -> Option<Duration> {
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
    Some(Duration::from_millis(total))
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => f.write_str("0s"),
            m if m % 1_000 != 0 => write!(f, "{m}ms"),
            m if m % 3_600_000 == 0 => write!(f, "{}h", m / 3_600_000),
            m if m % 60_000 == 0 => write!(f, "{}m", m / 60_000),
            m => write!(f, "{}s", m / 1_000),
        }
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time like 30s or 5m")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Length, E> {
                Length::parse(text).map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Length, E> {
                Length::parse(&seconds.to_string()).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Length, E> {
                Length::parse(&seconds.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Length {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": "^([0-9]+|([0-9]+(ms|s|min|m|h|d))+)$", "minimum": 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_written_back() {
        for (text, shown) in
            [("500ms", "500ms"), ("90", "90s"), ("5m", "5m"), ("1h30m", "90m"), ("3600s", "1h"), ("0", "0s")]
        {
            assert_eq!(Length::parse(text).unwrap().to_string(), shown);
        }
        for wrong in ["", "s", "-1s", "1.5s", "3 weeks", "8d", "99999999999999999999"] {
            assert!(Length::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_seconds() {
        assert_eq!(serde_json::from_str::<Length>("5").unwrap(), Length::secs(5));
        assert!(serde_json::from_str::<Length>("-5").is_err());
    }
}
