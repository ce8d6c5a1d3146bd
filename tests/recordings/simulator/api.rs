//! Every row of the HTTP recording against the simulated node.

use super::api_scenes::{before, begin};
use super::bench::{Bench, rows};
use super::{masks, uncovered};
use piton::lab::pve::answer::Body;
use piton::lab::pve::params::Auth;
use piton::lab::pve::{Params, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A recorded call.
#[derive(Deserialize)]
pub struct Row {
    pub seq: u32,
    pub method: String,
    pub path: String,
    pub params: BTreeMap<String, Value>,
    pub auth: String,
    pub status: u16,
    pub reason: String,
    pub body: Value,
    pub note: String,
}

impl Row {
    fn request(&self, path: String, names: &Names) -> Request {
        let mut params = Params::default();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (key, value) in &self.params {
            match value {
                Value::Array(list) => list.iter().for_each(|value| params.push(key, text(value))),
                value => {
                    let text = text(value);
                    params.push(key, names.tokens.get(&text).cloned().unwrap_or(text));
                }
            }
        }
        let auth = match self.auth.as_str() {
            "none" => Auth::None,
            "bad-ticket" => Auth::Bad,
            _ => Auth::Valid,
        };
        Request { method: self.method.clone(), path, params, auth }
    }
}

/// The UPID in a path, if there is one.
fn upid_in(path: &str) -> Option<&str> {
    path.split('/').find(|part| part.starts_with("UPID:"))
}

/// Kind and id of a task: the only parts of its name that both nodes share.
fn kind_of(upid: &str) -> Vec<&str> {
    upid.split(':').skip(5).take(2).collect()
}

/// Recorded task names and ours.
#[derive(Default)]
pub struct Names {
    ours: BTreeMap<String, String>,
    /// Digests, and process ids in guests, that a later call sends back.
    tokens: BTreeMap<String, String>,
    /// Tasks of calls that the recording does not show.
    pub unseen: Vec<String>,
}

impl Names {
    fn path(&mut self, path: &str) -> String {
        let Some(theirs) = upid_in(path) else { return path.to_owned() };
        if !self.ours.contains_key(theirs)
            && let Some(at) = self.unseen.iter().position(|upid| kind_of(upid) == kind_of(theirs))
        {
            self.ours.insert(theirs.to_owned(), self.unseen.remove(at));
        }
        self.ours.get(theirs).map_or_else(|| path.to_owned(), |ours| path.replace(theirs, ours))
    }
}

fn seen(response: &Response) -> Value {
    let body = match &response.body {
        Body::Empty => json!(""),
        Body::Json(value) => value.clone(),
        Body::Text(text) => json!(text),
        Body::Hangup => Value::Null,
    };
    json!({"status": response.status, "reason": response.reason, "body": masks::json(&body)})
}

async fn replay(bench: &Bench, row: &Row, names: &mut Names) -> Result<(), String> {
    let path = names.path(&row.path);
    let request = row.request(path, names);
    let response = bench.sim.handle(request).await;
    if let (Some(theirs), Some(ours)) = (row.body["data"].as_str(), response.data().as_str())
        && theirs.starts_with("UPID:")
    {
        names.ours.insert(theirs.to_owned(), ours.to_owned());
        bench.sim.wait(ours).await;
    }
    if let (Some(theirs), Some(ours)) = (row.body["data"]["digest"].as_str(), response.data()["digest"].as_str()) {
        names.tokens.insert(theirs.to_owned(), ours.to_owned());
    }
    if row.path.ends_with("/agent/exec") {
        let text = |data: &Value| data["pid"].to_string();
        names.tokens.insert(text(&row.body["data"]), text(response.data()));
    }
    let reason = if row.status == 0 { "" } else { &row.reason };
    let want = json!({"status": row.status, "reason": reason, "body": masks::json(&row.body)});
    let got = seen(&response);
    if want == got { Ok(()) } else { Err(format!("want {want}\n     got {got}")) }
}

#[tokio::test(start_paused = true)]
async fn every_row_of_the_api_is_answered_as_recorded_or_listed() {
    let rows: Vec<Row> = rows("api-8.4.jsonl");
    let bench = begin(&rows);
    let mut names = Names::default();
    let mut results = Vec::new();
    for row in &rows {
        before(&bench, row.seq, &mut names).await;
        let result = replay(&bench, row, &mut names).await;
        results.push((row.seq, format!("{} {} ({})", row.method, row.path, row.note), result));
    }
    uncovered::hold_to_list("api", &results);
}
