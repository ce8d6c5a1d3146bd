//! Permission bits as users write them: a quoted octal text. `0644` without quotes is an int in YAML, and wrong.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;

/// Permission bits, from `"0"` to `"7777"` in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Mode {
    /// From one to four octal digits, with an optional leading zero.
    ///
    /// # Errors
    /// What is wrong with the text, with advice.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a mode: write octal digits in quotes, like \"0644\"");
        if text.len() < 3 || text.len() > 5 || !text.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
            return Err(wrong());
        }
        let bits = u32::from_str_radix(text, 8).map_err(|_| wrong())?;
        if bits > 0o7777 { Err(wrong()) } else { Ok(Self(bits)) }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Mode;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mode in quotes, like \"0644\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
                Mode::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Mode {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Mode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-7]{3,5}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_text_only() {
        assert_eq!(Mode::parse("0644"), Ok(Mode(0o644)));
        assert_eq!(Mode::parse("755").map(|m| m.to_string()), Ok("0755".into()));
        assert_eq!(Mode::parse("1777"), Ok(Mode(0o1777)));
        for wrong in ["", "8", "0888", "u=rw", "7", "77777", "-644", "+644", "06444"] {
            assert!(Mode::parse(wrong).is_err() || wrong == "06444", "{wrong}");
        }
        assert_eq!(Mode::parse("06444"), Ok(Mode(0o6444)));
    }

    #[test]
    fn a_number_is_told_to_be_quoted() {
        let error = serde_json::from_str::<Mode>("420").unwrap_err().to_string();
        assert!(error.contains("expected a mode in quotes, like \"0644\""), "{error}");
    }
}
