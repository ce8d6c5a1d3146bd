//! Before the first change: this run's leases, and a look at everything that the run needs, on all hosts side by side
//! and in one batch each. All problems are told at once, and then nothing is changed.

use super::Engine;
use super::lease::Took;
use super::lease_file::{Mine, Reply};
use super::needs::Need;
use super::trouble::Trouble;
use crate::checkpoint::GuestRef;
use crate::cmd::{ApiAnswer, ApiCall, Cmd, Output};
use crate::event::{Event, Problem};
use crate::exit::Exit;
use crate::journal::JournalError;
use crate::pve::{config, coverage};
use crate::transport::api::ApiError;
use crate::transport::{Batch, Remote, TransportError};
use std::path::Path;
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Room that the journal and long outputs must have here: 50 MiB.
const ROOM: u64 = 50 << 20;

/// How this machine is called in a problem.
const HERE: &str = "this machine";

/// Seconds that the clocks of a node and of this machine may differ without a word.
const SKEW: u64 = 60;

/// A node's clock, and whether somebody has staged a network configuration. Proxmox keeps it in `interfaces.new` until
/// it is applied (pve-manager `PVE/API2/Network.pm`).
const LOOK: &str = r#"echo "now $(date +%s)"; n=/etc/network/interfaces
if [ -f "$n.new" ] && ! cmp -s "$n" "$n.new"; then echo staged; fi"#;

/// What was found on one host.
#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    unreachable: bool,
    leased: bool,
    /// It asked for a lease.
    asked: bool,
}

/// What a batch gave: answers to GETs, outputs of commands.
type Seen = (Vec<Result<ApiAnswer, ApiError>>, Vec<Result<Output, TransportError>>);

impl Engine {
    /// Takes the leases and looks at what the run needs. `true`: it may begin. With `strict` a lease that cannot be had
    /// stops the run; the way back only warns then.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn may_begin(self: &Arc<Self>, needs: Vec<Need>, strict: bool) -> Result<bool, JournalError> {
        let order: Vec<String> = needs.iter().map(|n| n.host.clone()).collect();
        let (first, then): (Vec<Need>, Vec<Need>) = needs.into_iter().partition(|n| n.lease);
        let mut leases_left = first.len();
        let mut all: JoinSet<Result<Found, JournalError>> = JoinSet::new();
        for need in first.into_iter().chain(then) {
            let engine = self.clone();
            all.spawn(async move {
                // Never closed, so a permit always comes.
                let _permit = engine.forks.acquire().await;
                engine.look_at(&need, strict).await
            });
        }
        let mut problems: Vec<Problem> =
            if self.options.preflight { self.room().into_iter().collect() } else { vec![] };
        let (mut unreachable, mut leased) = (false, false);
        while let Some(joined) = all.join_next().await {
            let found = joined.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()))?;
            for text in found.warnings {
                self.recorder.record(Event::Warning { text })?;
            }
            leases_left -= usize::from(found.asked);
            unreachable |= found.unreachable;
            if found.leased && !leased {
                leased = true;
                problems.clear();
            }
            // What another operator's run does on the node may well look like a problem there.
            if found.leased || !leased {
                problems.extend(found.problems);
            }
            if leased && leases_left == 0 {
                break;
            }
        }
        if problems.is_empty() {
            return Ok(true);
        }
        problems.sort_by_key(|p| order.iter().position(|host| *host == p.host));
        let exit = match (leased, unreachable) {
            (true, _) => Exit::Leased,
            (_, true) => Exit::Unreachable,
            _ if problems.iter().all(|p| p.host == HERE) => Exit::Local,
            _ => Exit::Failed,
        };
        // Set once: a run begins once.
        let _ = self.refused.set(exit);
        self.recorder.record(Event::Refused { problems })?;
        Ok(false)
    }

    /// One host: connect, and one batch (with guests to look at, on the node's API session).
    async fn look_at(&self, need: &Need, strict: bool) -> Result<Found, JournalError> {
        let host = &need.host;
        let mine = need.lease.then(|| self.new_lease()).flatten();
        let mut found = Found { asked: need.lease, ..Found::default() };
        let mut cmds: Vec<Cmd> = mine.iter().map(|m| self.lease_cmd(host, m.take(None))).collect();
        let look = self.options.preflight && self.program.inventory.api_name(host).is_some();
        if look {
            cmds.push(Cmd::shell(LOOK));
        }
        cmds.extend(need.users.iter().map(|user| Cmd { user: Some(user.clone()), ..Cmd::new(["true"]) }));
        let begun = Instant::now();
        let (answers, outputs) = match self.seen(need, &cmds).await {
            Ok(seen) => seen,
            Err(trouble) => {
                let unreachable = matches!(trouble, Trouble::Unreachable(_));
                if need.answers || strict {
                    found.unreachable = unreachable;
                    let todo = "make it answer, or leave it out with --limit".to_string();
                    found.problems.push(problem(host, trouble.to_string(), &todo));
                } else {
                    found.warnings.push(format!("no lease on {host}: {trouble}"));
                }
                return Ok(found);
            }
        };
        let mut outputs = outputs.into_iter();
        if let Some(mine) = mine {
            self.lease_result(host, mine, outputs.next(), begun, strict, &mut found).await?;
        }
        if look && let Some(Ok(output)) = outputs.next() {
            let ours = self.clock.now() / 1000;
            found.warnings.extend(look_warnings(host, &output.stdout.text(), ours, need.bridge));
        }
        for (user, output) in need.users.iter().zip(outputs) {
            if let Err(error) = output {
                let todo = format!("let the login user become {user} there (sudo), or give `become_password`");
                // A user other than root may be made by a step before the one that needs it.
                if user == "root" {
                    found.problems.push(problem(host, error.to_string(), &todo));
                } else {
                    found.warnings.push(error.to_string());
                }
                break;
            }
        }
        let storages = answers.first().map(|a| list_of_storages(a.as_ref()));
        for (guest, answer) in need.guests.iter().zip(answers.iter().skip(1)) {
            if let Some(wrong) = guest_problem(guest, answer.as_ref(), storages.as_ref()) {
                found.problems.push(wrong);
            }
        }
        Ok(found)
    }

    /// The batch; once more if the line broke in it.
    async fn seen(&self, need: &Need, cmds: &[Cmd]) -> Result<Seen, Trouble> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (seen, remote) = self.seen_once(need, cmds).await?;
            match seen.1.iter().find_map(|o| o.as_ref().err().filter(|e| e.is_unknown())) {
                Some(error) if tries == 1 => self.lines.lost(&need.host, &remote, &error.to_string()).await,
                Some(error) => return Err(Trouble::looking(error)),
                None => return Ok(seen),
            }
        }
    }

    async fn seen_once(&self, need: &Need, cmds: &[Cmd]) -> Result<(Seen, Arc<dyn Remote>), Trouble> {
        if need.guests.is_empty() {
            let remote = self.lines.remote(&need.host).await?;
            let outputs = if cmds.is_empty() { Vec::new() } else { remote.run(Batch::all(cmds.to_vec())).await };
            return Ok(((Vec::new(), outputs), remote));
        }
        let api = self.lines.node(&need.host).await?;
        let mut calls = vec![ApiCall::get("/storage")];
        calls.extend(need.guests.iter().map(|g| ApiCall::get(format!("/nodes/{{node}}/qemu/{}/config", g.vmid))));
        let looked = api.gets_and_run(&calls, cmds.to_vec()).await;
        Ok(((looked.answers, looked.outputs), api.remote().clone()))
    }

    async fn lease_result(
        &self,
        host: &str,
        mine: Mine,
        output: Option<Result<Output, TransportError>>,
        begun: Instant,
        strict: bool,
        found: &mut Found,
    ) -> Result<(), JournalError> {
        let answer = match output {
            Some(Ok(output)) => Reply::read(&output),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("no answer".to_string()),
        };
        match self.took(host, mine, answer, begun).await? {
            Took::Ours => {}
            Took::Theirs(problem) => {
                found.leased = true;
                found.problems.push(problem);
            }
            Took::No(why) if strict => {
                let todo = "the run needs the right and the room to write there: log in as root, or set `become: true`";
                found.problems.push(problem(host, format!("no lease: {why}"), todo));
            }
            Took::No(why) => found.warnings.push(format!("no lease on {host}: {why}")),
        }
        Ok(())
    }

    /// Is there room for the journal?
    fn room(&self) -> Option<Problem> {
        let dir = self.options.dir.as_ref()?;
        let stat = rustix::fs::statvfs(dir.path()).ok()?;
        little_room(dir.path(), stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

fn problem(host: &str, what: impl Into<String>, todo: &str) -> Problem {
    Problem { host: host.to_string(), what: what.into(), todo: todo.to_string() }
}

fn little_room(path: &Path, free: u64) -> Option<Problem> {
    let what = || format!("{} has {} MiB left, too little for a journal", path.display(), free >> 20);
    (free < ROOM).then(|| problem(HERE, what(), "make room (50 MiB), or choose another folder: --state-dir"))
}

/// What is worth a word in the answer to [`LOOK`].
fn look_warnings(host: &str, said: &str, ours: u64, bridge: bool) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(theirs) = said.lines().find_map(|l| l.strip_prefix("now ")?.parse::<u64>().ok())
        && theirs.abs_diff(ours) > SKEW
    {
        let word = if theirs > ours { "ahead of" } else { "behind" };
        let by = theirs.abs_diff(ours);
        out.push(format!("the clock of {host} is {by} s {word} this machine's: times in reports do not fit together"));
    }
    if bridge && said.lines().any(|l| l == "staged") {
        out.push(format!(
            "{host} has network changes that somebody staged and did not apply (/etc/network/interfaces.new): they are \
             applied together with this run's"
        ));
    }
    out
}

fn list_of_storages(answer: Result<&ApiAnswer, &ApiError>) -> Result<Vec<coverage::Storage>, String> {
    let answer = answer.map_err(ToString::to_string)?;
    if !answer.ok() {
        return Err(answer.message());
    }
    coverage::Storage::list(answer.data()).map_err(|e| e.to_string())
}

/// Why no checkpoint of the guest can be taken now.
fn guest_problem(
    guest: &GuestRef,
    answer: Result<&ApiAnswer, &ApiError>,
    storages: Option<&Result<Vec<coverage::Storage>, String>>,
) -> Option<Problem> {
    let vmid = guest.vmid;
    let never = "mend that, or write `checkpoint: never` in the section if a way back is not needed";
    let no = |why: String, todo: &str| Some(problem(&guest.name, format!("no checkpoint is possible: {why}"), todo));
    let config = match answer {
        Ok(answer) if answer.ok() => answer.data(),
        Ok(answer) => return no(answer.message(), "give it the `vmid` of a VM of its node in the inventory"),
        Err(error) => return no(error.to_string(), never),
    };
    match config::text(config, "lock").as_deref() {
        // These pass, or belong to an earlier try of this run: the checkpoint itself waits for them.
        None | Some("snapshot" | "snapshot-delete" | "rollback") => {}
        Some(lock) => {
            let todo = format!(
                "wait for the task that holds it; if none runs (`pvesh get /cluster/tasks`), `qm unlock {vmid}` on the \
                 node"
            );
            return Some(problem(&guest.name, format!("VM {vmid} is locked ({lock})"), &todo));
        }
    }
    match storages {
        Some(Ok(storages)) => coverage::obstacle(config, storages).and_then(|why| no(why, never)),
        Some(Err(why)) => no(why.clone(), never),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(data: &serde_json::Value) -> ApiAnswer {
        ApiAnswer { status: 200, reason: "OK".into(), body: json!({ "data": data }), task: None }
    }

    #[test]
    fn a_clock_that_is_off_and_a_staged_network_are_told() {
        assert_eq!(look_warnings("pve", "now 1060\n", 1000, true), Vec::<String>::new());
        let [skew] = &look_warnings("pve", "now 939\n", 1000, true)[..] else { panic!() };
        assert!(skew.starts_with("the clock of pve is 61 s behind this machine's"), "{skew}");
        assert_eq!(look_warnings("pve", "now 1000\nstaged\n", 1000, true).len(), 1);
        assert_eq!(look_warnings("pve", "now 1000\nstaged\n", 1000, false).len(), 0);
    }

    #[test]
    fn a_full_disk_is_a_problem_before_the_run() {
        assert_eq!(little_room(Path::new("/x"), ROOM), None);
        let told = little_room(Path::new("/x"), ROOM - 1).unwrap();
        assert_eq!(told.what, "/x has 49 MiB left, too little for a journal");
    }

    #[test]
    fn locks_that_pass_are_no_problem_and_others_are() {
        let guest = GuestRef::new("extranet", 101);
        let storages = Ok(coverage::Storage::list(&json!([{"storage": "local-zfs", "type": "zfspool"}])).unwrap());
        let told = |config: serde_json::Value| guest_problem(&guest, Ok(&answer(&config)), Some(&storages));
        assert_eq!(told(json!({"scsi0": "local-zfs:vm-101-disk-0"})), None);
        assert_eq!(told(json!({"lock": "snapshot"})), None);
        assert_eq!(told(json!({"lock": "backup"})).unwrap().what, "VM 101 is locked (backup)");
        let raw = told(json!({"scsi0": "/dev/sdb"})).unwrap();
        assert!(raw.what.starts_with("no checkpoint is possible: scsi0 /dev/sdb"), "{}", raw.what);
    }
}
