//! Texts that users may write without quotes: `PORT: 8080` in an environment is the text `8080`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::borrow::Cow;
use std::fmt;

/// A text, a number or a boolean, kept as a text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a boolean")
            }

            fn visit_str<E: de::Error>(self, v: &str) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_bool<E: de::Error>(self, v: bool) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_i64<E: de::Error>(self, v: i64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }

            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Scalar, E> {
                Ok(Scalar(v.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

/// A list, or one value that stands for a list of one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Listed(pub Vec<Scalar>);

impl<'de> Deserialize<'de> for Listed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Array(items) => items,
            serde_json::Value::Null => Vec::new(),
            one => vec![one],
        };
        let texts: Result<Vec<_>, _> = items.into_iter().map(Scalar::deserialize).collect();
        texts.map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for Listed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Listed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = ["string", "number", "boolean"];
        json_schema!({ "type": ["string", "number", "boolean", "array"], "items": { "type": one } })
    }
}

impl Listed {
    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|s| s.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_are_texts() {
        let all: Vec<Scalar> = serde_json::from_str(r#"["a", 8080, true, -1, 0.5]"#).unwrap();
        assert_eq!(all.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["a", "8080", "true", "-1", "0.5"]);
        assert!(serde_json::from_str::<Scalar>("[]").is_err());
        assert!(serde_json::from_str::<Scalar>("null").is_err());
    }

    #[test]
    fn one_value_is_a_list_of_one() {
        assert_eq!(serde_json::from_str::<Listed>("\"a\"").unwrap().iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(serde_json::from_str::<Listed>("[\"a\", 1]").unwrap().iter().collect::<Vec<_>>(), ["a", "1"]);
        assert!(serde_json::from_str::<Listed>("[[1]]").is_err());
    }
}
