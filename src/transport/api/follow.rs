//! Following a task to its end: it belongs to pvedaemon and runs on whatever becomes of the line.

use super::{ApiError, NodeApi, OnLog};
use crate::cmd::TaskEnd;
use crate::pve::Upid;
use crate::pve::task::{Following, PAUSES};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// pvedaemon may be restarted under a task (an upgrade does): so long its silence is borne.
const SILENCE: Duration = Duration::from_secs(30);

impl NodeApi {
    /// Follows a task, at most `at_most`: looks after 50 ms, then each time half as long again after it, once a second in the end.
    ///
    /// # Errors
    /// [`ApiError::StillRunning`] when the time is up, [`ApiError::Unknown`] with the UPID when the line is lost, the
    /// node no longer knows the task, or nothing answers for 30 s.
    pub async fn follow(&self, upid: &Upid, at_most: Duration, on_log: OnLog<'_>) -> Result<TaskEnd, ApiError> {
        let begun = Instant::now();
        let mut heard = begun;
        let mut pause = PAUSES.0;
        let mut task = Following::new(upid);
        let unknown = |why: String| ApiError::Unknown {
            what: format!("following the task {}", upid.kind),
            why,
            upid: Some(upid.to_string()),
        };
        let mut ended: Option<String> = None;
        let mut at_once = false;
        loop {
            if !at_once {
                sleep(pause.min(at_most.saturating_sub(begun.elapsed()))).await;
                pause = (pause * 3 / 2).min(PAUSES.1);
            }
            at_once = false;
            let mut answers = self.gets(&task.calls()).await.into_iter();
            let silence = match (answers.next(), answers.next()) {
                (Some(Ok(status)), Some(Ok(log))) if status.status < 500 && status.status != 401 => {
                    heard = Instant::now();
                    let look = task.look(&status, &log).map_err(|e| unknown(e.to_string()))?;
                    look.lines.iter().for_each(|line| on_log(line));
                    // Seen to be stopped once, it stays so; only the rest of its log is still to be read.
                    ended = look.exitstatus.or(ended);
                    if let Some(exitstatus) = ended.clone().filter(|_| !look.more) {
                        return Ok(task.end(exitstatus));
                    }
                    at_once = look.more;
                    String::new()
                }
                (Some(Err(e @ (ApiError::NotSent { .. } | ApiError::NoAnswer { .. }))), _)
                | (Some(Ok(_)), Some(Err(e @ (ApiError::NotSent { .. } | ApiError::NoAnswer { .. })))) => e.to_string(),
                (Some(Err(e)), _) | (Some(Ok(_)), Some(Err(e))) => return Err(unknown(e.to_string())),
                (Some(Ok(status)), Some(Ok(_))) => format!("{} {}", status.status, status.message()),
                (None, _) | (_, None) => return Err(unknown("no answer".into())),
            };
            if heard.elapsed() >= SILENCE {
                return Err(unknown(silence));
            }
            if begun.elapsed() >= at_most {
                return Err(ApiError::StillRunning { upid: upid.to_string(), after: at_most });
            }
        }
    }
}
