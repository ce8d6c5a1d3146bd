//! Carries out one action and says what came of it. The caller has written the intent down before.

use super::Engine;
use super::asking::Asker;
use super::lines::is_gone;
use super::trouble::Trouble;
use crate::cmd::{ApiCall, Cmd, Ended, Output};
use crate::event::{ActionResult, Event};
use crate::key::TaskKey;
use crate::modules::{Action, FetchFile, PutFile, PutTree};
use crate::transport::{Batch, Live, Stream, TransportError};
use std::sync::Arc;
use std::time::Duration;

/// What an action came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// Did it work?
    pub ok: bool,
    /// What it said.
    pub result: ActionResult,
    /// The output of a command, whole as it was kept.
    pub output: Option<Output>,
    /// The operator's answer.
    pub answer: Option<String>,
}

impl Done {
    fn fine() -> Self {
        Self { ok: true, result: ActionResult::default(), output: None, answer: None }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        let result = ActionResult { message: message.into(), ..ActionResult::default() };
        Self { ok: false, result, output: None, answer: None }
    }
}

/// Who acts, and how its output is shown.
#[derive(Debug, Clone)]
pub struct Actor {
    /// Host and user.
    pub asker: Asker,
    /// Deadline of the step; `None` takes the action's own.
    pub timeout: Option<Duration>,
    /// The task that live output belongs to; `None` shows nothing.
    pub task: Option<TaskKey>,
}

impl Engine {
    /// Opens the line that an action goes over.
    ///
    /// # Errors
    /// It cannot be opened; nothing was sent.
    pub(super) async fn ready(&self, actor: &Actor, action: &Action) -> Result<(), Trouble> {
        let host = &actor.asker.host;
        match action {
            Action::Run(cmd) => self.lines.remote(&self.place(host, cmd.at)?).await.map(|_| ()),
            Action::Api(_) => self.lines.node(&self.node_of(host)?).await.map(|_| ()),
            Action::Write(_) | Action::Tree(_) | Action::Fetch(_) => self.lines.remote(host).await.map(|_| ()),
            Action::Prompt(_) => Ok(()),
        }
    }

    /// Does one action.
    ///
    /// # Errors
    /// [`Trouble::Unknown`] if the line was lost on the way; [`Trouble::Interrupted`] if it was killed.
    pub(super) async fn act(&self, actor: &Actor, action: &Action) -> Result<Done, Trouble> {
        match action {
            Action::Run(cmd) => self.act_run(actor, cmd).await,
            Action::Api(call) => self.act_api(actor, call).await,
            Action::Write(_) | Action::Tree(_) | Action::Fetch(_) => self.act_file(actor, action).await,
            Action::Prompt(kind) => match self.answer(actor, kind).await {
                Err(nobody) => Ok(Done::failed(format!("nobody answered: {nobody}"))),
                Ok(answer) => {
                    let refused = match kind {
                        crate::modules::PromptKind::Confirm(_) => answer != "yes",
                        crate::modules::PromptKind::Typed { name, .. } => answer != *name,
                        _ => false,
                    };
                    if refused {
                        return Ok(Done::failed("the operator said no"));
                    }
                    Ok(Done { answer: Some(answer), ..Done::fine() })
                }
            },
        }
    }

    /// The operator's answer: the one given before the run was cut off, or a new one.
    async fn answer(
        &self,
        actor: &Actor,
        kind: &crate::modules::PromptKind,
    ) -> Result<String, super::operator::NoAnswer> {
        let before = actor.task.as_ref().and_then(|t| self.before.tasks.get(t)).and_then(|t| t.answers.first());
        match before {
            Some(answer) => Ok(answer.clone()),
            None => self.operator.ask(&actor.asker.host, kind).await,
        }
    }

    async fn act_file(&self, actor: &Actor, action: &Action) -> Result<Done, Trouble> {
        let host = &actor.asker.host;
        let mut fresh = false;
        loop {
            let remote = self.lines.remote(host).await?;
            let user = actor.asker.user.clone();
            let result = match action {
                Action::Write(file) => remote.put(&PutFile { user, ..file.clone() }).await,
                Action::Tree(tree) => remote.put_tree(&PutTree { user, ..tree.clone() }).await,
                Action::Fetch(file) => remote.fetch(&FetchFile { user, ..file.clone() }).await,
                _ => return Err(Trouble::Failed("this is not about a file".into())),
            };
            match result {
                Ok(()) => return Ok(Done::fine()),
                Err(error) if is_gone(&error) => {
                    self.lines.lost(host, &remote, &error.to_string()).await;
                    if error.is_unknown() || fresh {
                        return Err(Trouble::acting(&error, &action.line()));
                    }
                    fresh = true;
                }
                Err(error) => return Ok(Done::failed(error.to_string())),
            }
        }
    }

    async fn act_run(&self, actor: &Actor, cmd: &Cmd) -> Result<Done, Trouble> {
        let host = self.place(&actor.asker.host, cmd.at)?;
        let mut cmd = actor.asker.dress(cmd.clone());
        cmd.timeout = cmd.timeout.or(actor.timeout);
        let line = short(&cmd.line());
        let mut fresh = false;
        let output = loop {
            let remote = self.lines.remote(&host).await?;
            let batch = Batch { live: self.live(actor.task.clone()), ..Batch::one(cmd.clone()) };
            match remote.run(batch).await.into_iter().next() {
                Some(Ok(output)) => break output,
                Some(Err(error)) => {
                    if is_gone(&error) {
                        self.lines.lost(&host, &remote, &error.to_string()).await;
                    }
                    // A line that turns out to be dead before anything was sent is opened anew, once.
                    if fresh || !matches!(error, TransportError::Unreachable { .. }) {
                        return Err(Trouble::acting(&error, &line));
                    }
                    fresh = true;
                }
                None => return Err(Trouble::Failed("the transport gave no answer".into())),
            }
        };
        self.ran(output)
    }

    /// What a command that was seen to end came to.
    ///
    /// # Errors
    /// [`Trouble::Interrupted`] if it was killed.
    #[expect(clippy::unused_self)]
    pub(super) fn ran(&self, output: Output) -> Result<Done, Trouble> {
        let message = match output.ended {
            Ended::Code(0) => String::new(),
            Ended::Code(code) => format!("exit status {code}{}", last_words(&output)),
            Ended::TimedOut => "not done in time; its processes were killed".to_string(),
            Ended::Cancelled => return Err(Trouble::Interrupted),
            Ended::NotBegun => "not begun".to_string(),
        };
        let result = ActionResult {
            ended: Some(output.ended),
            message,
            stdout: cut(&output.stdout.text(), output.stdout.total),
            stderr: cut(&output.stderr.text(), output.stderr.total),
            ..ActionResult::default()
        };
        Ok(Done { ok: output.ok(), result, output: Some(output), answer: None })
    }

    async fn act_api(&self, actor: &Actor, call: &ApiCall) -> Result<Done, Trouble> {
        let node = self.node_of(&actor.asker.host)?;
        let mut call = call.clone();
        if let (Some(_), Some(timeout)) = (call.follow, actor.timeout) {
            call.follow = Some(timeout);
        }
        match self.call_and_follow(&node, &actor.asker.host, &call).await? {
            Ok(answer) => {
                let ok = answer.ok();
                let result = ActionResult {
                    status: Some(answer.status),
                    upid: answer.task.as_ref().map(|t| t.upid.clone()),
                    message: if ok { String::new() } else { answer.message() },
                    stdout: answer
                        .task
                        .as_ref()
                        .map(|t| t.log.join("\n"))
                        .map(|log| cut(&log, log.len() as u64))
                        .unwrap_or_default(),
                    ..ActionResult::default()
                };
                if let Some(task) = answer.task.as_ref().filter(|t| t.exitstatus.starts_with("WARNINGS")) {
                    self.recorder.record(Event::Warning {
                        text: format!(
                            "the task {} ended with {}: {}",
                            task.upid,
                            task.exitstatus,
                            task.log.join(" / ")
                        ),
                    })?;
                }
                Ok(Done { ok, result, output: None, answer: None })
            }
            Err(error) if error.is_unknown() => {
                Err(Trouble::Unknown(format!("{error}; in flight was: {}", short(&call.line()))))
            }
            Err(error) => Ok(Done::failed(error.to_string())),
        }
    }

    fn live(&self, task: Option<TaskKey>) -> Option<Live> {
        let task = task?;
        let recorder = self.recorder.clone();
        Some(Arc::new(move |_, stream, line: &str| {
            let event = Event::Output { task: task.clone(), err: stream == Stream::Err, line: line.to_string() };
            recorder.progress(event);
        }))
    }
}

/// The last line that a failed command said, on stderr if there is one.
fn last_words(output: &Output) -> String {
    for stream in [&output.stderr, &output.stdout] {
        if let Some(line) = stream.text().lines().rev().find(|l| !l.trim().is_empty()) {
            return format!(": {}", short(line.trim()));
        }
    }
    String::new()
}

/// One line for people: a host can say a megabyte without a newline, and a command can be as long.
pub(super) fn short(line: &str) -> String {
    const MOST: usize = 1000;
    match line.char_indices().nth(MOST) {
        None => line.to_string(),
        Some((end, _)) => format!("{} ... ({} more bytes)", &line[..end], line.len() - end),
    }
}

/// At most 4 KiB of a text of which `total` bytes came, cut at a character.
fn cut(text: &str, total: u64) -> String {
    const MOST: usize = 4096;
    if text.len() <= MOST {
        return text.to_string();
    }
    let end = (0..=MOST).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}\n({} more bytes)", &text[..end], total.saturating_sub(end as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_in_one_endless_line_is_told_shortly() {
        let output = Output::of(1, &"ä".repeat(500_000), "");
        let want = format!(": {} ... (998000 more bytes)", "ä".repeat(1000));
        assert_eq!(last_words(&output), want);
        assert_eq!(cut(&"x".repeat(5000), 100_000), format!("{}\n(95904 more bytes)", "x".repeat(4096)));
    }
}
