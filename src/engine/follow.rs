//! An API call whose task is followed to its end, over as many lines as that takes: the task belongs to the node and
//! runs on when the line is lost, so it is never started again.

use super::Engine;
use super::lines::line_broke;
use super::trouble::Trouble;
use crate::cmd::{ApiAnswer, ApiCall};
use crate::event::Event;
use crate::pve::Upid;
use crate::transport::TransportError;
use crate::transport::api::{ApiError, NodeApi};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// A line that held for so long is a good one: its loss begins a new count.
const HELD: Duration = Duration::from_secs(60);

impl Engine {
    /// Makes the call. If the line is lost while its task is followed, the task is found again by its UPID.
    ///
    /// # Errors
    /// The outer one if nothing was sent; the inner one as [`NodeApi::call`].
    pub(super) async fn call_and_follow(
        &self,
        node: &str,
        host: &str,
        call: &ApiCall,
    ) -> Result<Result<ApiAnswer, ApiError>, Trouble> {
        let begun = Instant::now();
        let log = Log::new(self, host);
        let mut renewed = false;
        let (mut error, mut api) = loop {
            let api = self.lines.node(node).await?;
            let error = match api.call(call, &|line| log.line(line)).await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(error) => error,
            };
            if line_broke(&error) {
                self.lines.lost(node, api.remote(), &error.to_string()).await;
            }
            // A line that turns out to be dead before anything was sent is opened anew, once.
            let unsent = matches!(&error, ApiError::Line { error: TransportError::Unreachable { .. }, .. });
            if !unsent || renewed {
                break (error, api);
            }
            renewed = true;
        };
        let mut patience = self.lines.after_a_loss();
        while let (true, Some(upid)) = (line_broke(&error), error.upid().and_then(|u| u.parse::<Upid>().ok())) {
            let left = call.follow.unwrap_or_default().saturating_sub(begun.elapsed());
            match self.follow_again(node, &api, &upid, &error, &mut patience).await {
                Ok(Some(new)) => api = new,
                Err(Trouble::Journal(journal)) => return Err(Trouble::Journal(journal)),
                Ok(None) | Err(_) => break,
            }
            log.again();
            let since = Instant::now();
            match api.follow(&upid, left, &|line| log.line(line)).await {
                Ok(end) => {
                    let body = json!({"data": end.upid});
                    return Ok(Ok(ApiAnswer { status: 200, reason: "OK".into(), body, task: Some(end) }));
                }
                Err(new) => error = new,
            }
            if since.elapsed() >= HELD {
                patience.renew();
            }
        }
        Ok(Err(error))
    }

    /// A new line to the node; `None` once patience is at its end.
    async fn follow_again(
        &self,
        node: &str,
        old: &Arc<NodeApi>,
        upid: &Upid,
        error: &ApiError,
        patience: &mut super::patience::Patience,
    ) -> Result<Option<Arc<NodeApi>>, Trouble> {
        let why = error.to_string();
        self.lines.lost(node, old.remote(), &why).await;
        if !self.lines.again(node, patience, &why).await? {
            return Ok(None);
        }
        let api = self.lines.node(node).await?;
        let what = format!("the task {}, which runs on in the node: followed again", upid.kind);
        self.recorder.progress(Event::Waiting { host: node.to_string(), what });
        Ok(Some(api))
    }
}

/// Shows the lines of a task's log, each once, though every new line to the node reads it from its beginning.
struct Log<'a> {
    engine: &'a Engine,
    host: String,
    shown: AtomicUsize,
    heard: AtomicUsize,
}

impl<'a> Log<'a> {
    fn new(engine: &'a Engine, host: &str) -> Self {
        Self { engine, host: host.to_string(), shown: AtomicUsize::new(0), heard: AtomicUsize::new(0) }
    }

    fn line(&self, line: &str) {
        let number = self.heard.fetch_add(1, Ordering::Relaxed);
        if number >= self.shown.load(Ordering::Relaxed) {
            self.shown.store(number + 1, Ordering::Relaxed);
            self.engine.recorder.progress(Event::TaskLog { host: self.host.clone(), line: line.to_string() });
        }
    }

    fn again(&self) {
        self.heard.store(0, Ordering::Relaxed);
    }
}
