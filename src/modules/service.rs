//! `service`: a systemd unit is running or not, and starts at boot or not.

use super::{Action, Answer, Ask, Change, Cx, Diff, Example, Module, ModuleError, Nature, Problem, Undo, ValueChange};
use crate::cmd::Cmd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Service;

/// What the unit shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs.
    Started,
    /// It does not run.
    Stopped,
    /// It is stopped and started, each time.
    Restarted,
    /// It reads its configuration again, each time; it is started if it does not run.
    Reloaded,
}

/// Parameters of `service`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the unit; without an ending it is a `.service`.
    name: String,
    /// started, stopped, restarted or reloaded.
    state: Option<State>,
    /// Whether it starts at boot.
    enabled: Option<bool>,
    /// systemd reads changed unit files again first, if any changed.
    #[serde(default)]
    daemon_reload: bool,
}

/// What `systemctl show` says. Absent properties are empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    load: String,
    active: String,
    sub: String,
    file: String,
    kind: String,
    result: String,
    needs_reload: bool,
}

impl Seen {
    fn is_running(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }

    /// For people: `inactive (dead)`, `failed (exit-code)`.
    fn state(&self) -> String {
        let detail = if self.active == "failed" && !self.result.is_empty() { &self.result } else { &self.sub };
        if detail.is_empty() { self.active.clone() } else { format!("{} ({detail})", self.active) }
    }
}

const PROPERTIES: &str = "LoadState,ActiveState,SubState,UnitFileState,Type,Result,NeedDaemonReload,RemainAfterExit";

/// Runs `systemctl VERB UNIT`; if that fails, what systemd says of the unit goes to standard error.
const ACT: &str = r#"systemctl "$1" "$2" && exit 0
rc=$?
systemctl status --no-pager --full --lines=5 "$2" >&2
echo "systemctl $1 $2 failed" >&2
exit "$rc""#;

fn act(verb: &str, name: &str) -> Action {
    Action::Run(Cmd::shell_with(ACT, [verb, name]).env("LC_ALL", "C"))
}

fn plain(verb: &str, name: &str) -> Action {
    Action::Run(Cmd::new(["systemctl", verb, name]))
}

impl Module for Service {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "service";
    const SUMMARY: &'static str = "a systemd unit: running, started at boot";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "runs now and after a boot",
            yaml: "service: { name: nginx, state: started, enabled: true }\n",
        },
        Example {
            name: "restarted because its configuration changed",
            yaml: "service: { name: ssh, state: restarted }\nwhen: out.config.changed\n",
        },
    ];

    fn nature(params: &Params) -> Nature {
        match params.state {
            Some(State::Restarted | State::Reloaded) => Nature::AlwaysRuns,
            _ => Nature::Converges,
        }
    }

    fn repeatable(_params: &Params) -> bool {
        true
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = Vec::new();
        let good = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if params.name.is_empty()
            || params.name.starts_with('-')
            || !params.name.chars().all(good)
            || params.name.len() > 255
        {
            out.push(Problem::at("name", format!("`{}` is not the name of a unit", params.name)));
        }
        if params.state.is_none() && params.enabled.is_none() && !params.daemon_reload {
            let message = "`state`, `enabled` or `daemon_reload` is needed";
            out.push(Problem { at: Vec::new(), message: message.to_string(), hint: None });
        }
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        vec![Ask::Cmd(Cmd::new(["systemctl", "show", "-p", PROPERTIES, &params.name]).env("LC_ALL", "C"))]
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        if first.output()?.code() == Some(127) {
            return Err(
                ModuleError::refused("this host has no systemctl").hint("use `command` with its own service tool")
            );
        }
        let text = first.good(&format!("systemctl show {}", params.name))?.stdout.text();
        let value = |key: &str| {
            text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().trim().to_string()
        };
        let seen = Seen {
            load: value("LoadState"),
            active: value("ActiveState"),
            sub: value("SubState"),
            file: value("UnitFileState"),
            kind: if value("RemainAfterExit") == "yes" { String::new() } else { value("Type") },
            result: value("Result"),
            needs_reload: value("NeedDaemonReload") == "yes",
        };
        if seen.load.is_empty() || seen.active.is_empty() {
            return Err(ModuleError::unreadable("LoadState and ActiveState were expected of systemctl show", &text));
        }
        Ok(seen)
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        let name = &params.name;
        let missing = seen.load == "not-found";
        let mut out = Vec::new();
        if params.daemon_reload && (seen.needs_reload || missing) {
            let what = "have systemd read its unit files again";
            let action = Action::Run(Cmd::new(["systemctl", "daemon-reload"]));
            out.push(Change::new(what, vec![action], Undo::Nothing));
        }
        match seen.load.as_str() {
            "loaded" => {}
            "not-found" if params.daemon_reload => {}
            // What does not exist does not run.
            "not-found" if params.state == Some(State::Stopped) && params.enabled != Some(true) => return Ok(out),
            "not-found" => {
                let hint = "check the name with `systemctl list-unit-files`; is its package installed?";
                return Err(ModuleError::refused(format!("there is no unit {name}")).hint(hint));
            }
            "masked" if params.state == Some(State::Stopped) && params.enabled != Some(true) => {}
            "masked" => {
                let hint = format!("if it may run, `systemctl unmask {name}` first");
                return Err(ModuleError::refused(format!("the unit {name} is masked")).hint(hint));
            }
            other => {
                let hint = format!("see `systemctl status {name}`");
                return Err(ModuleError::refused(format!("systemd cannot load {name}: {other}")).hint(hint));
            }
        }
        out.extend(enabling(params, seen)?);
        out.extend(running(params, seen)?);
        Ok(out)
    }

    fn facts(_params: &Params, seen: &Seen) -> serde_json::Map<String, serde_json::Value> {
        let pairs = [("active", &seen.active), ("sub", &seen.sub), ("enabled", &seen.file)];
        pairs.into_iter().map(|(k, v)| (k.to_string(), v.as_str().into())).collect()
    }
}

fn enabling(params: &Params, seen: &Seen) -> Result<Option<Change>, ModuleError> {
    let name = &params.name;
    let Some(wanted) = params.enabled else { return Ok(None) };
    let is = match seen.file.as_str() {
        "enabled" | "alias" | "indirect" => true,
        "disabled" | "enabled-runtime" | "linked" | "linked-runtime" | "masked" => false,
        // A unit that was not there before its files are read again.
        "" if seen.load == "not-found" => false,
        "static" | "generated" | "transient" | "" if !wanted => return Ok(None),
        other => {
            let kind = if other.is_empty() { "without a file" } else { other };
            let hint = "leave `enabled` out: something else starts this unit";
            return Err(ModuleError::refused(format!("{name} is {kind}: it cannot be enabled")).hint(hint));
        }
    };
    if is == wanted {
        return Ok(None);
    }
    let (verb, back) = if wanted { ("enable", "disable") } else { ("disable", "enable") };
    let diff = Diff::Values(vec![ValueChange::new("enabled", Some(&is.to_string()), Some(&wanted.to_string()))]);
    let what = format!("{verb} {name} at boot");
    Ok(Some(Change::new(what, vec![plain(verb, name)], Undo::Actions(vec![plain(back, name)])).diff(diff)))
}

fn running(params: &Params, seen: &Seen) -> Result<Option<Change>, ModuleError> {
    let name = &params.name;
    let Some(state) = params.state else { return Ok(None) };
    let (verb, back) = match (state, seen.is_running()) {
        (State::Started, true) => return Ok(None),
        (State::Started, false) => {
            if seen.kind == "oneshot" && seen.active == "inactive" {
                let hint = "a oneshot unit ends when its work is done; write `state: restarted` to run it each time";
                return Err(ModuleError::refused(format!("{name} never stays started")).hint(hint));
            }
            ("start", Undo::Actions(vec![plain("stop", name)]))
        }
        (State::Stopped, false) if matches!(seen.active.as_str(), "inactive" | "failed") => return Ok(None),
        (State::Stopped, _) => ("stop", Undo::Actions(vec![plain("start", name)])),
        (State::Restarted, true) => ("restart", Undo::Nothing),
        (State::Restarted, false) => ("restart", Undo::Actions(vec![plain("stop", name)])),
        (State::Reloaded, true) => ("reload", Undo::Nothing),
        (State::Reloaded, false) => ("start", Undo::Actions(vec![plain("stop", name)])),
    };
    let after = if state == State::Stopped { "inactive" } else { "active" };
    let diff = match state {
        State::Started | State::Stopped => {
            Diff::Values(vec![ValueChange::new("state", Some(&seen.state()), Some(after))])
        }
        _ => Diff::None,
    };
    let what = format!("{verb} {name}, now {}", seen.state());
    Ok(Some(Change::new(what, vec![act(verb, name)], back).diff(diff)))
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use crate::cmd::Output;
    use serde_json::json;

    /// As `systemctl show` of systemd 252 prints them.
    const RUNNING: &str = "Type=notify\nResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nNeedDaemonReload=no\n";
    const STOPPED: &str = "LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\n";
    const FAILED: &str =
        "Type=simple\nResult=exit-code\nLoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=static\n";
    const MISSING: &str =
        "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nNeedDaemonReload=no\n";
    const MASKED: &str = "LoadState=masked\nActiveState=inactive\nSubState=dead\nUnitFileState=masked\n";

    fn decide(params: serde_json::Value, shown: &str) -> Result<Vec<String>, String> {
        let step = bench::instance("service", params);
        assert_eq!(step.validate(), []);
        let decision = step.decide(&Cx::default(), &[Answer::Cmd(Output::of(0, shown, ""))]);
        decision.map(|d| d.changes.into_iter().map(|c| c.what).collect()).map_err(|e| e.to_string())
    }

    #[test]
    fn only_what_is_not_so_is_changed() {
        let both = json!({ "name": "nginx", "state": "started", "enabled": true });
        assert_eq!(decide(both.clone(), RUNNING), Ok(vec![]));
        let changes = ["enable nginx at boot", "start nginx, now inactive (dead)"].map(str::to_string);
        assert_eq!(decide(both, STOPPED), Ok(changes.to_vec()));
        let stop = json!({ "name": "nginx", "state": "stopped", "enabled": false });
        assert_eq!(decide(stop.clone(), STOPPED), Ok(vec![]));
        assert_eq!(decide(stop.clone(), FAILED), Ok(vec![]));
        assert_eq!(decide(stop.clone(), MISSING), Ok(vec![]));
        let changes = ["disable nginx at boot", "stop nginx, now active (running)"].map(str::to_string);
        assert_eq!(decide(stop, RUNNING), Ok(changes.to_vec()));
        let start = json!({ "name": "nginx", "state": "started" });
        assert_eq!(decide(start, FAILED), Ok(vec!["start nginx, now failed (exit-code)".into()]));
    }

    #[test]
    fn restart_and_reload_always_act() {
        let step = |state: &str| json!({ "name": "nginx", "state": state });
        assert_eq!(bench::instance("service", step("restarted")).nature(), Nature::AlwaysRuns);
        assert_eq!(decide(step("restarted"), RUNNING), Ok(vec!["restart nginx, now active (running)".into()]));
        assert_eq!(decide(step("reloaded"), RUNNING), Ok(vec!["reload nginx, now active (running)".into()]));
        assert_eq!(decide(step("reloaded"), STOPPED), Ok(vec!["start nginx, now inactive (dead)".into()]));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let start = json!({ "name": "nginx", "state": "started" });
        assert_eq!(decide(start.clone(), MISSING), Err("there is no unit nginx".into()));
        assert_eq!(decide(start.clone(), MASKED), Err("the unit nginx is masked".into()));
        let oneshot = STOPPED.replace("LoadState", "Type=oneshot\nLoadState");
        assert_eq!(decide(start, &oneshot), Err("nginx never stays started".into()));
        let enable = json!({ "name": "nginx", "enabled": true });
        assert_eq!(decide(enable, FAILED), Err("nginx is static: it cannot be enabled".into()));
    }

    #[test]
    fn unit_files_are_read_again_only_when_they_changed() {
        let step = json!({ "name": "nginx", "state": "started", "daemon_reload": true });
        assert_eq!(decide(step.clone(), RUNNING), Ok(vec![]));
        let stale = RUNNING.replace("Reload=no", "Reload=yes");
        assert_eq!(decide(step.clone(), &stale), Ok(vec!["have systemd read its unit files again".into()]));
        assert_eq!(decide(step, MISSING).map(|c| c.len()), Ok(2));
    }

    #[test]
    fn other_answers_are_not_guessed() {
        let step = bench::instance("service", json!({ "name": "nginx", "state": "started" }));
        let error = |output| step.decide(&Cx::default(), &[Answer::Cmd(output)]).unwrap_err();
        assert!(matches!(error(Output::of(0, "nginx is running\n", "")), ModuleError::Unreadable { .. }));
        assert_eq!(error(Output::of(127, "", "systemctl: not found\n")).to_string(), "this host has no systemctl");
        assert!(matches!(error(Output::of(1, "", "Failed to connect to bus\n")), ModuleError::Probe { .. }));
        assert_eq!(
            bench::problems("service", json!({ "name": "-x", "enabled": true })),
            ["`-x` is not the name of a unit"]
        );
        assert_eq!(
            bench::problems("service", json!({ "name": "x" })),
            ["`state`, `enabled` or `daemon_reload` is needed"]
        );
    }
}
