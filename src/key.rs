//! Names that must stay the same from one run to the next: step keys, run ids, digests.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Names a step within its runbook: `section-slug/step-slug`, or the step's own `id:`. Unique in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepKey(pub String);

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One step on one host, and the index in its loop if it has one: the unit of doing, journal and resume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The step.
    pub step: StepKey,
    /// Inventory name of the host.
    pub host: String,
    /// Position in the loop, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<usize>,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.step, self.host)?;
        self.item.map_or(Ok(()), |i| write!(f, " [{i}]"))
    }
}

/// Identity of a run: `20261123-031500-1a2b` (UTC start; four hex digits of the millisecond and chance). Sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RunId {
    /// The last four digits: short enough for a snapshot's name.
    pub fn short(&self) -> &str {
        self.0.rsplit('-').next().unwrap_or(&self.0)
    }
}

/// Lower-case letters, digits and single dashes: `Créer vmbr2!` becomes `creer-vmbr2` where letters have a plain
/// form, and never is empty (`step` then).
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase).filter_map(plain) {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "step".to_string() } else { out.to_string() }
}

fn plain(c: char) -> Option<char> {
    Some(match c {
        'à' | 'â' | 'ä' | 'á' | 'ã' | 'å' => 'a',
        'ç' => 'c',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'î' | 'ï' | 'í' => 'i',
        'ô' | 'ö' | 'ó' | 'õ' => 'o',
        'ù' | 'û' | 'ü' | 'ú' => 'u',
        'ñ' => 'n',
        '\'' | '’' => return None,
        c => c,
    })
}

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Digest of a value, independent of the order of its keys.
pub fn digest_value(value: &serde_json::Value) -> String {
    fn sorted(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(map) => {
                let mut keys: Vec<_> = map.keys().collect();
                keys.sort();
                out.push('{');
                for key in keys {
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    sorted(&map[key], out);
                    out.push(',');
                }
                out.push('}');
            }
            serde_json::Value::Array(items) => {
                out.push('[');
                for item in items {
                    sorted(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            other => out.push_str(&other.to_string()),
        }
    }
    let mut text = String::new();
    sorted(value, &mut text);
    digest(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_read_like_their_text() {
        assert_eq!(slug("Create the bridge vmbr2"), "create-the-bridge-vmbr2");
        assert_eq!(slug("Créer  vmbr2 (DMZ)!"), "creer-vmbr2-dmz");
        assert_eq!(slug("✨"), "step");
    }

    #[test]
    fn digests_do_not_depend_on_key_order() {
        let a = serde_json::json!({"a": 1, "b": [1, {"c": 2, "d": 3}]});
        let b = serde_json::json!({"b": [1, {"d": 3, "c": 2}], "a": 1});
        assert_eq!(digest_value(&a), digest_value(&b));
        assert_ne!(digest_value(&a), digest_value(&serde_json::json!({"a": 1})));
    }
}
