//! A world that fits in memory: hosts are maps of names to values, commands read and set them, faults are ordered by
//! the number of the call. Its three step kinds have the three natures.

use piton::cmd::{Cmd, Output};
use piton::compile::{CheckpointMode, OnFailure, Program, Section, Step};
use piton::engine::cancel::Cancel;
use piton::engine::clock::Clock;
use piton::engine::operator::{NoAnswer, Operator};
use piton::engine::{Ending, Options, Parts, run};
use piton::event::{Event, Sink, Stamped};
use piton::journal::{Journaled, RunDir, StateDir, read};
use piton::key::{RunId, StepKey};
use piton::load::expr::Expr;
use piton::load::inventory::{Host, HostKind, Inventory};
use piton::load::node::{Kind, Node, Style};
use piton::load::source::{FileId, Sources, Span};
use piton::modules::{
    Action, Answer, Ask, Change, Cx, Diff, Erased, Example, FetchFile, Module, ModuleError, Nature, Of, PromptKind,
    PutFile, PutTree, Undo, ValueChange, Verdict,
};
use piton::secret::Vault;
use piton::transport::{Batch, Boxed, Connect, Remote, TransportError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a call instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The line breaks before the host got it.
    LostBefore,
    /// The line breaks after the host did it.
    LostAfter,
    /// The host says exit status 1 and does nothing.
    ExitOne,
    /// The host cannot be connected to.
    Unreachable,
    /// We die before the host gets it.
    DieBefore,
    /// We die after the host did it, before we hear of it.
    DieAfter,
}

#[derive(Debug, Default)]
pub struct Inside {
    pub values: BTreeMap<(String, String), String>,
    /// Every command, `host: words`.
    pub calls: Vec<String>,
    pub faults: BTreeMap<usize, Fault>,
    /// Those that the host really carried out.
    pub done: Vec<String>,
    /// Folder for jobs: durable steps run for real on this machine.
    pub jobs: Option<std::path::PathBuf>,
    /// How often somebody connected.
    pub connects: usize,
    /// After the first loss no host can be connected to for so long.
    pub away: Option<Duration>,
    /// When that ends.
    pub back: Option<tokio::time::Instant>,
    /// Reverts on the hosts, by folder.
    pub reverts: BTreeMap<String, super::deadman::Deadman>,
    /// True once a call met one of the deaths.
    pub dead: Arc<tokio::sync::Notify>,
    /// Hosts that cannot be connected to, and hosts where nobody may become anybody.
    pub down: BTreeSet<String>,
    pub no_sudo: BTreeSet<String>,
    /// Host of every batch, in order.
    pub batches: Vec<String>,
    /// Where the nodes' lease files are, a folder a host, and the moment that their clocks start from.
    pub leases: Option<PathBuf>,
    pub epoch: Option<tokio::time::Instant>,
}

/// The world: shared by the transport and the test.
#[derive(Debug, Clone, Default)]
pub struct World(pub Arc<Mutex<Inside>>);

impl World {
    pub fn set(&self, host: &str, name: &str, value: &str) {
        self.0.lock().unwrap().values.insert((host.into(), name.into()), value.into());
    }

    pub fn get(&self, host: &str, name: &str) -> Option<String> {
        self.0.lock().unwrap().values.get(&(host.into(), name.into())).cloned()
    }

    pub fn calls(&self) -> Vec<String> {
        self.0.lock().unwrap().calls.clone()
    }

    pub fn done(&self) -> Vec<String> {
        self.0.lock().unwrap().done.clone()
    }

    pub fn connects(&self) -> usize {
        self.0.lock().unwrap().connects
    }

    /// The first loss makes every host go away for so long.
    pub fn away(&self, how_long: Duration) {
        self.0.lock().unwrap().away = Some(how_long);
    }

    /// The n-th call from now on (from 0) meets this fault.
    pub fn fault(&self, n: usize, fault: Fault) {
        let mut inside = self.0.lock().unwrap();
        let at = inside.calls.len() + n;
        inside.faults.insert(at, fault);
    }

    fn call(&self, host: &str, cmd: &Cmd) -> Result<Output, TransportError> {
        let mut inside = self.0.lock().unwrap();
        let number = inside.calls.len();
        let line = super::deadman::line(cmd).unwrap_or_else(|| cmd.argv.join(" "));
        inside.calls.push(format!("{host}: {line}"));
        super::deadman::tick(&mut inside);
        let lost = || TransportError::Lost { host: host.into(), why: "a fault".into() };
        let fault = inside.faults.get(&number).copied();
        if matches!(fault, Some(Fault::LostBefore | Fault::LostAfter))
            && let Some(away) = inside.away.take()
        {
            inside.back = Some(tokio::time::Instant::now() + away);
        }
        match fault {
            Some(Fault::LostBefore) => return Err(lost()),
            Some(Fault::ExitOne) => return Ok(Output::of(1, "", "a fault\n")),
            _ => {}
        }
        if super::deadman::is_cut(&inside, host) {
            return Err(lost());
        }
        inside.done.push(format!("{host}: {line}"));
        let words: Vec<&str> = cmd.argv.iter().map(String::as_str).collect();
        let output = match words.as_slice() {
            ["get", name] => match inside.values.get(&(host.to_string(), (*name).to_string())) {
                Some(value) => Output::of(0, &format!("{value}\n"), ""),
                None => Output::of(0, "", ""),
            },
            ["set", name, value] => {
                inside.values.insert((host.into(), (*name).into()), (*value).into());
                Output::of(0, "", "")
            }
            ["sh", "-c", _, "sh", folder, word] => super::deadman::told(&mut inside, host, folder, word),
            ["add", name] => {
                let value = inside.values.entry((host.into(), (*name).into())).or_insert_with(|| "0".into());
                *value = (value.parse::<u32>().unwrap() + 1).to_string();
                Output::of(0, &format!("now {value}\n"), "")
            }
            ["true"] if cmd.user.is_some() && inside.no_sudo.contains(host) => {
                let user = cmd.user.clone().unwrap_or_default();
                return Err(TransportError::Become { host: host.into(), user, why: "no".into() });
            }
            ["true"] | ["nap", _] | ["stuck", ..] => Output::of(0, "", ""),
            ["sh", "-c", _, "piton-lease", ..] => on_node(&inside, host, &words),
            ["sh", "-c", text] if text.contains("/etc/network/interfaces") => {
                let said = inside.values.get(&(host.to_string(), "look".to_string()));
                Output::of(0, said.map_or("now 0\n", String::as_str), "")
            }
            ["sh", "-c", ..] => real(inside.jobs.as_ref().expect("a folder for jobs"), cmd),
            ["fail", code] => Output::of(code.parse().unwrap(), "", "it said no\n"),
            other => panic!("the world has no command {other:?}"),
        };
        if fault == Some(Fault::LostAfter) { Err(lost()) } else { Ok(output) }
    }
}

/// Held while a child has our open files: between its fork and its exec a journal that we close stays locked.
static FORKING: Mutex<()> = Mutex::new(());

/// What a program says.
pub fn said(command: &mut Command) -> std::process::Output {
    let held = FORKING.lock().unwrap();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(held);
    child.wait_with_output().unwrap()
}

/// From here on a journal that was closed is closed in every child too.
pub fn no_child_has_our_files() {
    drop(FORKING.lock().unwrap());
}

/// The real script about leases, in a folder of the test's and with the paused clock's time.
fn on_node(inside: &Inside, host: &str, words: &[&str]) -> Output {
    let [_, _, script, name, verb, _, rest @ ..] = words else { panic!("{words:?}") };
    let dir = inside.leases.as_ref().expect("a folder for leases").join(host);
    let now = 1_795_400_000 + inside.epoch.expect("an epoch").elapsed().as_secs();
    let script = format!("date() {{ echo {now}; }}\n{script}");
    let mut command = Command::new("sh");
    command.args(["-c", &script, name, verb]).arg(dir).args(rest);
    let said = said(&mut command);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Output::of(said.status.code().unwrap(), &text(&said.stdout), &text(&said.stderr))
}

/// Runs a command of this machine.
fn real(jobs: &std::path::Path, cmd: &Cmd) -> Output {
    use std::io::Write as _;
    let mut command = Command::new(&cmd.argv[0]);
    command.args(&cmd.argv[1..]).env("PITON_JOBS", jobs).envs(&cmd.env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(cmd.stdin.clone().unwrap_or_default().as_bytes()).unwrap();
    let got = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output::of(got.status.code().unwrap_or(-1), &text(got.stdout), &text(got.stderr))
}

struct Line {
    host: String,
    world: World,
}

impl Remote for Line {
    fn name(&self) -> &str {
        &self.host
    }

    fn via(&self) -> &'static str {
        "memory"
    }

    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>> {
        Box::pin(async move {
            // A step to another task, so that hosts really interleave.
            tokio::task::yield_now().await;
            self.world.0.lock().unwrap().batches.push(self.host.clone());
            let mut out: Vec<Result<Output, TransportError>> = Vec::new();
            for cmd in &batch.cmds {
                let (fault, dead) = {
                    let inside = self.world.0.lock().unwrap();
                    (inside.faults.get(&inside.calls.len()).copied(), inside.dead.clone())
                };
                if fault == Some(Fault::DieBefore) {
                    dead.notify_one();
                    std::future::pending::<()>().await;
                }
                if let [nap, seconds] = &cmd.argv[..]
                    && nap == "nap"
                {
                    tokio::time::sleep(Duration::from_secs(seconds.parse().unwrap())).await;
                }
                let lost = out.iter().find_map(|r| r.as_ref().err().cloned());
                out.push(lost.map_or_else(|| self.world.call(&self.host, cmd), Err));
                if fault == Some(Fault::DieAfter) {
                    dead.notify_one();
                    std::future::pending::<()>().await;
                }
            }
            out
        })
    }

    fn put<'a>(&'a self, file: &'a PutFile) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(async move { panic!("no files in this world: {}", file.path) })
    }

    fn put_tree<'a>(&'a self, tree: &'a PutTree) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(async move { panic!("no files in this world: {}", tree.dest) })
    }

    fn fetch<'a>(&'a self, file: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>> {
        Box::pin(async move { panic!("no files in this world: {}", file.src) })
    }

    fn cancel(&self, _grace: Duration) -> Boxed<'_, ()> {
        Box::pin(async {})
    }

    fn close(&self) -> Boxed<'_, ()> {
        Box::pin(async {})
    }
}

impl Connect for World {
    fn connect<'a>(&'a self, host: &'a str) -> Boxed<'a, Result<Arc<dyn Remote>, TransportError>> {
        Box::pin(async move {
            let number = self.calls().len();
            super::deadman::tick(&mut self.0.lock().unwrap());
            if super::deadman::is_cut(&self.0.lock().unwrap(), host) {
                return Err(TransportError::Unreachable { host: host.into(), why: "it is cut off".into(), hint: None });
            }
            let back = self.0.lock().unwrap().back;
            if back.is_some_and(|back| tokio::time::Instant::now() < back) {
                return Err(TransportError::Unreachable { host: host.into(), why: "it is away".into(), hint: None });
            }
            self.0.lock().unwrap().connects += 1;
            let inside = self.0.lock().unwrap();
            if inside.faults.get(&number) == Some(&Fault::Unreachable) || inside.down.contains(host) {
                return Err(TransportError::Unreachable { host: host.into(), why: "a fault".into(), hint: None });
            }
            Ok(Arc::new(Line { host: host.into(), world: self.clone() }) as Arc<dyn Remote>)
        })
    }
}

/// Converges: a name must have a value.
pub struct Switch;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchParams {
    name: String,
    value: String,
    #[serde(default)]
    stuck: bool,
}

impl Module for Switch {
    type Params = SwitchParams;
    type State = Option<String>;
    const NAME: &'static str = "switch";
    const SUMMARY: &'static str = "a value by name";
    const EXAMPLES: &'static [Example] = &[];

    fn probe(p: &SwitchParams, _cx: &Cx) -> Vec<Ask> {
        vec![Ask::Cmd(Cmd::new(["get", &p.name]))]
    }

    fn read(p: &SwitchParams, _cx: &Cx, answers: &[Answer]) -> Result<Option<String>, ModuleError> {
        let output = answers[0].output()?;
        if !output.ok() {
            return Err(ModuleError::probe(format!("the value of {}", p.name), output.stderr.text().trim()));
        }
        Ok(output.stdout.text().lines().next().map(str::to_string))
    }

    fn plan(p: &SwitchParams, _cx: &Cx, state: &Option<String>) -> Result<Vec<Change>, ModuleError> {
        if state.as_ref() == Some(&p.value) {
            return Ok(Vec::new());
        }
        let word = if p.stuck { "stuck" } else { "set" };
        let undo = match state {
            Some(old) => Undo::Actions(vec![Action::Run(Cmd::new(["set", p.name.as_str(), old]))]),
            None => Undo::Impossible("it had no value".into()),
        };
        let run = Action::Run(Cmd::new([word, p.name.as_str(), p.value.as_str()]));
        let diff = Diff::Values(vec![ValueChange::new(&p.name, state.as_deref(), Some(&p.value))]);
        Ok(vec![Change::new(format!("set {} to {}", p.name, p.value), vec![run], undo).diff(diff)])
    }
}

/// Always runs: any command of the world.
pub struct Poke;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PokeParams {
    words: Vec<String>,
}

impl Module for Poke {
    type Params = PokeParams;
    type State = ();
    const NAME: &'static str = "poke";
    const SUMMARY: &'static str = "a command";
    const EXAMPLES: &'static [Example] = &[];

    fn nature(_: &PokeParams) -> Nature {
        Nature::AlwaysRuns
    }

    fn probe(_: &PokeParams, _: &Cx) -> Vec<Ask> {
        Vec::new()
    }

    fn read(_: &PokeParams, _: &Cx, _: &[Answer]) -> Result<(), ModuleError> {
        Ok(())
    }

    fn plan(p: &PokeParams, _: &Cx, (): &()) -> Result<Vec<Change>, ModuleError> {
        let undo = Undo::Impossible("a command".into());
        Ok(vec![Change::new(format!("run {}", p.words.join(" ")), vec![Action::Run(Cmd::new(p.words.clone()))], undo)])
    }
}

/// Looks: a name must have a value.
pub struct Peek;

impl Module for Peek {
    type Params = SwitchParams;
    type State = Option<String>;
    const NAME: &'static str = "peek";
    const SUMMARY: &'static str = "looks at a value";
    const EXAMPLES: &'static [Example] = &[];

    fn nature(_: &SwitchParams) -> Nature {
        Nature::Looks
    }

    fn probe(p: &SwitchParams, cx: &Cx) -> Vec<Ask> {
        Switch::probe(p, cx)
    }

    fn read(p: &SwitchParams, cx: &Cx, answers: &[Answer]) -> Result<Option<String>, ModuleError> {
        Switch::read(p, cx, answers)
    }

    fn plan(_: &SwitchParams, _: &Cx, _: &Option<String>) -> Result<Vec<Change>, ModuleError> {
        Ok(Vec::new())
    }

    fn verdict(p: &SwitchParams, _: &Cx, state: &Option<String>) -> Verdict {
        if state.as_ref() == Some(&p.value) {
            Verdict::Holds
        } else {
            Verdict::Fails(format!("{} is {state:?}", p.name))
        }
    }
}

static SWITCH: Of<Switch> = Of::NEW;
static POKE: Of<Poke> = Of::NEW;
static PEEK: Of<Peek> = Of::NEW;

pub const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };

fn node(value: &Value) -> Node {
    let kind = match value {
        Value::Null => Kind::Null,
        Value::Bool(b) => Kind::Bool(*b),
        Value::Number(n) => Kind::Int(n.as_i64().unwrap()),
        Value::String(s) => Kind::Str(s.clone(), Style::Quoted),
        Value::Array(items) => Kind::Seq(items.iter().map(node).collect()),
        Value::Object(map) => Kind::Map(
            map.iter().map(|(k, v)| (piton::load::node::Key { name: k.clone(), span: SPAN }, node(v))).collect(),
        ),
    };
    Node { span: SPAN, kind }
}

pub fn expr(text: &str) -> Expr {
    Expr { text: text.into(), span: SPAN }
}

/// A step on host `a`.
pub fn step(name: &str, module: &'static dyn Erased, params: Value) -> Step {
    Step {
        key: StepKey(format!("s/{name}")),
        name: name.into(),
        span: SPAN,
        module,
        params: node(&params),
        hosts: vec!["a".into()],
        when: None,
        each: None,
        register: None,
        until: None,
        retries: 0,
        delay: Duration::from_secs(3),
        r#become: None,
        become_user: "root".into(),
        tags: vec![],
        ignore_errors: false,
        changed_when: None,
        failed_when: None,
        no_log: false,
        run_once: false,
        durable: false,
        timeout: None,
        confirm_within: None,
        vars: vec![],
        inputs: vec![],
        left_out: None,
    }
}

pub fn switch(name: &str, value: &str) -> Step {
    step(&format!("{name}-{value}"), &SWITCH, json!({"name": name, "value": value}))
}

pub fn stuck(name: &str, value: &str) -> Step {
    step("stuck", &SWITCH, json!({"name": name, "value": value, "stuck": true}))
}

pub fn poke(words: &[&str]) -> Step {
    step(&words.join("-"), &POKE, json!({ "words": words }))
}

pub fn peek(name: &str, value: &str) -> Step {
    step("peek", &PEEK, json!({"name": name, "value": value}))
}

pub fn each(mut step: Step, items: Value) -> Step {
    step.each = Some(node(&items));
    step
}

fn host(name: &str) -> Host {
    Host {
        name: name.into(),
        span: SPAN,
        kind: HostKind::Other,
        address: name.into(),
        user: None,
        port: None,
        local: false,
        transport: piton::load::inventory::Transport::Auto,
        r#become: false,
        become_password: None,
        role: None,
        datasets: vec![],
        vars: vec![],
    }
}

pub fn section(on_failure: OnFailure, steps: Vec<Step>) -> Section {
    Section { name: "s".into(), checkpoint: CheckpointMode::Auto, on_failure, steps }
}

pub fn program(sections: Vec<Section>) -> Program {
    let mut sources = Sources::default();
    sources.add("r.yml", "");
    Program {
        name: "a test".into(),
        path: "r.yml".into(),
        project: ".".into(),
        digest: "d".into(),
        inventory: Arc::new(Inventory {
            path: "i.yml".into(),
            hosts: vec![host("a"), host("b"), host("c")],
            groups: vec![],
            roles: vec![],
            vars: vec![],
            secrets: vec![],
            ssh_config: None,
            lab: false,
        }),
        sources: Arc::new(sources),
        vars: vec![],
        sets: Map::new(),
        inputs: Map::new(),
        sections,
        warnings: vec![],
    }
}

#[derive(Debug, Default)]
pub struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn run_id(&self) -> RunId {
        RunId("20261123-000000-abcd".into())
    }
}

/// Answers prompts from a list; nobody is there when it is empty.
#[derive(Debug, Default)]
pub struct Script(pub Mutex<Vec<String>>);

impl Operator for Script {
    fn ask<'a>(&'a self, _host: &'a str, _kind: &'a PromptKind) -> Boxed<'a, Result<String, NoAnswer>> {
        Box::pin(async move {
            let mut left = self.0.lock().unwrap();
            if left.is_empty() { Err(NoAnswer { why: "nobody is there".into() }) } else { Ok(left.remove(0)) }
        })
    }
}

#[derive(Debug, Default)]
pub struct Seen(pub Mutex<Vec<Event>>);

impl Sink for Seen {
    fn event(&self, event: &Stamped) {
        self.0.lock().unwrap().push(event.event.clone());
    }
}

/// What a run left behind.
pub struct Left {
    pub ending: Ending,
    pub journal: Journaled,
    pub dir: RunDir,
    pub seen: Vec<Event>,
    _folder: tempfile::TempDir,
}

impl Left {
    /// `host step word` of each task that ended, sorted.
    pub fn outcomes(&self) -> Vec<String> {
        let mut out: Vec<String> = self
            .seen
            .iter()
            .filter_map(|e| match e {
                Event::TaskEnded { task, outcome, .. } => {
                    let item = task.item.map(|i| format!("[{i}]")).unwrap_or_default();
                    Some(format!("{} {}{item} {}", task.host, task.step.0.trim_start_matches("s/"), outcome.word()))
                }
                _ => None,
            })
            .collect();
        out.sort();
        out
    }

    /// Why the task of this host and step failed or is unknown.
    pub fn why(&self, step: &str) -> String {
        use piton::event::Outcome::{Failed, Ignored, Skipped, Unknown};
        let of_step = |e: &Event| match e {
            Event::TaskEnded { task, outcome, .. } if task.step.0 == format!("s/{step}") => Some(outcome.clone()),
            _ => None,
        };
        let why = |outcome| match outcome {
            Failed(why) | Unknown(why) | Ignored(why) | Skipped(why) => Some(why),
            _ => None,
        };
        self.seen.iter().filter_map(of_step).find_map(why).unwrap_or_default()
    }
}

/// Runs a program in the world.
pub async fn go(world: &World, program: Program) -> Left {
    go_with(world, program, vec![], Cancel::default()).await
}

/// Everything that an engine needs, for a run in this folder.
pub fn parts(world: &World, program: &Program, dir: &RunDir, answers: Vec<String>, seen: Arc<Seen>) -> Parts {
    let clock = Arc::new(Ticks::default());
    Parts {
        program: Arc::new(program.clone()),
        connect: Arc::new(world.clone()),
        vault: Arc::new(Vault::default()),
        operator: Arc::new(Script(Mutex::new(answers))),
        clock: clock.clone(),
        cancel: Cancel::default(),
        sinks: vec![seen],
        options: Options {
            run: clock.run_id(),
            dir: Some(dir.clone()),
            forks: 5,
            step: false,
            patience: Duration::from_secs(60),
            operator: "me@here".into(),
            keep: 3,
            state: None,
            vars: Value::Null,
            lease: None,
            preflight: false,
        },
    }
}

pub async fn go_with(world: &World, program: Program, answers: Vec<String>, cancel: Cancel) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let dir = StateDir::at(folder.path()).create(&Ticks::default().run_id()).unwrap();
    let seen = Arc::new(Seen::default());
    let parts = Parts { cancel, ..parts(world, &program, &dir, answers, seen.clone()) };
    let ending = run(parts).await.unwrap();
    let journal = read(&dir).unwrap();
    assert_eq!(journal.state, ending.state, "the journal folds to the state of the live run");
    let seen = seen.0.lock().unwrap().clone();
    Left { ending, journal, dir, seen, _folder: folder }
}
