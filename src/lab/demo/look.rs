//! How the demo sees what came of a command: the events of the last run, and a file in a guest.

use crate::lab::LabError;
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// What the events of a run say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Steps that changed something.
    pub changed: usize,
    /// Checkpoints taken.
    pub checkpoints: usize,
    /// Guests rolled back.
    pub rollbacks: usize,
}

impl Run {
    /// From `piton runs show --format json`. `None`: no run in there.
    pub fn read(lines: &str) -> Option<Self> {
        let mut run = Self::default();
        for event in lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            match event.get("event").and_then(Value::as_str) {
                Some("run_started") => run.id = event.get("run")?.as_str()?.to_string(),
                Some("task_ended") if event.get("outcome").is_some_and(|o| o == "changed") => run.changed += 1,
                Some("checkpoint_taken") => run.checkpoints += 1,
                Some("rolled_back") => run.rollbacks += 1,
                _ => {}
            }
        }
        (!run.id.is_empty()).then_some(run)
    }
}

/// The guest `extranet`, by plain ssh: what piton says is not what is shown here.
pub struct Guest<'a> {
    pub home: &'a Path,
    pub say: &'a (dyn Fn(&str) + Send + Sync),
}

impl Guest<'_> {
    /// Shows a file, and gives it.
    pub async fn cat(&self, path: &str) -> Result<String, LabError> {
        (self.say)("");
        (self.say)(&format!("$ ssh -F lab/ssh_config extranet cat {path}"));
        let mut ssh = Command::new("ssh");
        ssh.current_dir(self.home)
            .args(["-F", "lab/ssh_config", "extranet", "cat", path])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = ssh.output().await.map_err(LabError::io("starting ssh"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().for_each(|line| (self.say)(line));
        if output.status.success() { Ok(text) } else { Err(LabError::Demo { what: format!("{path} cannot be read") }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_checkpoints_and_rollbacks_are_counted() {
        let lines = "{\"at\":1,\"event\":\"run_started\",\"run\":\"20261123-1a2b\"}\n\
            {\"at\":2,\"event\":\"checkpoint_taken\",\"guest\":\"extranet\"}\n\
            {\"at\":3,\"event\":\"task_ended\",\"outcome\":\"changed\"}\n\
            {\"at\":4,\"event\":\"task_ended\",\"outcome\":\"ok\"}\n\
            {\"at\":5,\"event\":\"task_ended\",\"outcome\":{\"failed\":\"x\"}}\n\
            {\"at\":6,\"event\":\"rolled_back\",\"guest\":\"extranet\"}\n";
        let want = Run { id: "20261123-1a2b".into(), changed: 1, checkpoints: 1, rollbacks: 1 };
        assert_eq!(Run::read(lines), Some(want));
        assert_eq!(Run::read("no json\n"), None);
    }
}
