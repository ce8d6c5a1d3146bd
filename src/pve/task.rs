//! Following a task: what to ask next, and what the answers add up to.
//!
//! Status is asked before the log, in one batch: a log read after the task was seen to be stopped is whole.

use super::error::PveError;
use crate::cmd::{ApiAnswer, ApiCall, TaskEnd};
use serde_json::Value;
use std::collections::VecDeque;
use std::time::Duration;

/// Lines of the log that a [`TaskEnd`] keeps.
pub const TAIL: usize = 50;

/// Lines asked for at once. Proxmox gives 50 unless told.
const LIMIT: usize = 500;

/// First and longest pause between two looks.
pub const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A task that is being followed.
#[derive(Debug, Clone)]
pub struct Following {
    upid: String,
    node: String,
    seen: usize,
    tail: VecDeque<String>,
}

/// What one look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// New lines of the log.
    pub lines: Vec<String>,
    /// More lines are there already: look again at once.
    pub more: bool,
    /// Exit status, once it has ended.
    pub exitstatus: Option<String>,
}

impl Following {
    /// Follows the task of this name from the first line of its log.
    pub fn new(upid: &super::Upid) -> Self {
        Self { upid: upid.to_string(), node: upid.node.clone(), seen: 0, tail: VecDeque::new() }
    }

    /// The two GETs of a look: status, then log.
    pub fn calls(&self) -> [ApiCall; 2] {
        let base = format!("/nodes/{}/tasks/{}", self.node, self.upid);
        let log =
            ApiCall::get(format!("{base}/log")).param("start", self.seen.to_string()).param("limit", LIMIT.to_string());
        [ApiCall::get(format!("{base}/status")), log]
    }

    /// Takes in the two answers.
    ///
    /// # Errors
    /// [`PveError::Shape`] if the node does not know the task or answers something else: what became of it is then
    /// not known.
    pub fn look(&mut self, status: &ApiAnswer, log: &ApiAnswer) -> Result<Look, PveError> {
        let what = || format!("status of {}", self.upid);
        if status.status != 200 {
            return Err(PveError::shape(what(), format!("{} {}", status.status, status.message())));
        }
        let state = status.data().get("status").and_then(Value::as_str);
        let exitstatus = match state {
            Some("running") => None,
            Some("stopped") => {
                let text = status.data().get("exitstatus").and_then(Value::as_str);
                Some(text.unwrap_or("stopped without an exit status").to_string())
            }
            _ => return Err(PveError::shape(what(), "neither running nor stopped")),
        };
        let lines = lines(log);
        let more = lines.len() >= LIMIT;
        self.seen += lines.len();
        for line in &lines {
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(line.clone());
        }
        Ok(Look { lines, more, exitstatus })
    }

    /// The end of the task.
    pub fn end(self, exitstatus: String) -> TaskEnd {
        TaskEnd { upid: self.upid, exitstatus, log: self.tail.into() }
    }

    /// The task's name.
    pub fn upid(&self) -> &str {
        &self.upid
    }
}

/// Lines of a log answer; none if it is not one (the log is worth less than the status).
fn lines(log: &ApiAnswer) -> Vec<String> {
    if log.status != 200 {
        return Vec::new();
    }
    let rows = log.data().as_array().map(Vec::as_slice).unwrap_or_default();
    // An empty log comes as one made-up line, which must not count as read.
    // Source: pve-common `src/PVE/Tools.pm`, `dump_logfile_by_filehandle`.
    if let [row] = rows
        && row.get("n").and_then(Value::as_u64) == Some(1)
        && row.get("t").and_then(Value::as_str) == Some("no content")
    {
        return Vec::new();
    }
    rows.iter().map(|row| row.get("t").and_then(Value::as_str).unwrap_or_default().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const UPID: &str = "UPID:pve1:00004073:000CBE7D:6B0282BC:qmsnapshot:901:root@pam:";

    fn answer(data: Value) -> ApiAnswer {
        ApiAnswer { status: 200, reason: "OK".into(), body: json!({ "data": data }), task: None }
    }

    #[test]
    fn lines_are_counted_once_and_the_end_is_taken_over() {
        let mut task = Following::new(&UPID.parse().unwrap());
        let running = answer(json!({"status": "running"}));
        let empty = answer(json!([{"n": 1, "t": "no content"}]));
        let look = task.look(&running, &empty).unwrap();
        assert_eq!(look, Look { lines: vec![], more: false, exitstatus: None });
        assert_eq!(task.calls()[1].params[0], ("start".into(), "0".into()));
        task.look(&running, &answer(json!([{"n": 1, "t": "a"}, {"n": 2, "t": "b"}]))).unwrap();
        assert_eq!(task.calls()[1].params[0], ("start".into(), "2".into()));
        let stopped = answer(json!({"status": "stopped", "exitstatus": "WARNINGS: 1"}));
        let look = task.look(&stopped, &answer(json!([{"n": 3, "t": "TASK WARNINGS: 1"}]))).unwrap();
        let end = task.end(look.exitstatus.unwrap());
        assert_eq!(
            end,
            TaskEnd {
                upid: UPID.into(),
                exitstatus: "WARNINGS: 1".into(),
                log: vec!["a".into(), "b".into(), "TASK WARNINGS: 1".into()]
            }
        );
        assert!(end.ok());
    }

    #[test]
    fn a_task_that_the_node_does_not_know_is_an_error() {
        let mut task = Following::new(&UPID.parse().unwrap());
        let body = json!({"data": null, "errors": {"upid": "no such task"}});
        let unknown = ApiAnswer { status: 400, reason: "Parameter verification failed.".into(), body, task: None };
        let why = task.look(&unknown, &answer(json!([]))).unwrap_err().to_string();
        assert_eq!(why, format!("status of {UPID}: 400 Parameter verification failed. upid: no such task"));
    }

    #[test]
    fn stopped_without_a_status_is_not_success() {
        let mut task = Following::new(&UPID.parse().unwrap());
        let look = task.look(&answer(json!({"status": "stopped"})), &answer(json!([]))).unwrap();
        assert!(!task.end(look.exitstatus.unwrap()).ok());
    }
}
