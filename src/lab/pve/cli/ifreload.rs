//! `ifreload`: in the light lab it notes which interfaces are up, and warns as ifupdown2 does.

use super::{CallError, Caller, Printed};
use serde_json::{Value, json};

/// Runs `ifreload`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let known = |arg: &&String| ["-a", "--all", "-s", "--syntax-check"].contains(&arg.as_str());
    if let Some(other) = args.iter().find(|arg| !known(arg)) {
        return Ok(Printed::not_simulated(&format!("ifreload {other}")));
    }
    let syntax_only = args.iter().any(|arg| arg == "-s" || arg == "--syntax-check");
    let answer = caller.ask("/lab/ifreload", json!({"syntax": syntax_only})).await?;
    let lines = answer["printed"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A bad address is a warning only: the exit status stays 0.
    let code = u8::from(answer["failed"] == true);
    Ok(Printed { code, err: lines.map(|line| format!("{line}\n")).collect(), ..Printed::default() })
}
