//! The names that templates and expressions see on one host.

use super::Program;
use serde_json::{Map, Value};

/// Builds the scope of a host: variables by precedence at the top level, beside them the namespaces `host`,
/// `roles`, `guests`, `facts`, `out`, `item`, `secrets` (marks), `inputs`.
///
/// `out` holds what steps registered on this host; `item` is the loop's current one.
pub fn scope(program: &Program, host: &str, out: &Map<String, Value>, item: Option<&Value>) -> Value {
    let _ = (program, host, out, item);
    Value::Null
}
