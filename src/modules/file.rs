//! `file`: what a path is (file, folder, link, absent), its mode and its owner.

use super::inode::{Attributes, Inode, Kind, Reading};
use super::{
    Action, Answer, Ask, Change, Cx, Diff, Example, LocalFile, Mode, Module, ModuleError, Nature, Problem, Undo,
    ValueChange, inode,
};
use crate::cmd::Cmd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct File;

/// What is at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A file that is there already; it is not created.
    #[default]
    File,
    /// A folder; it and its parents are created.
    Directory,
    /// Nothing; a folder goes with everything in it.
    Absent,
    /// A symbolic link to `src`.
    Link,
    /// A file; created empty, else its times become now. Acts every time.
    Touch,
}

/// Parameters of `file`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Absolute path on the target.
    path: String,
    /// What shall be there: file, directory, absent, link or touch.
    #[serde(default)]
    state: State,
    /// Permission bits, quoted octal: "0644".
    mode: Option<Mode>,
    /// Owner, by name or number.
    owner: Option<String>,
    /// Group, by name or number.
    group: Option<String>,
    /// For a link: what it points to.
    src: Option<String>,
    /// For a folder: mode and owner of everything in it too. Files get the same mode as folders.
    #[serde(default)]
    recurse: bool,
}

impl Params {
    fn attributes(&self) -> Attributes<'_> {
        Attributes { mode: self.mode, owner: self.owner.as_deref(), group: self.group.as_deref() }
    }

    fn path(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        if path.is_empty() { "/" } else { path }
    }

    fn recursive(&self) -> bool {
        self.recurse && (self.mode.is_some() || self.owner.is_some() || self.group.is_some())
    }
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    inode: Inode,
    /// `directory`: levels of the path that are not there; `absent`: entries of the folder.
    count: usize,
    /// Paths inside with another mode or owner.
    inside: usize,
}

/// Prints how many levels of a path are missing.
const MISSING: &str =
    r#"p=$1 n=0; while [ -n "$p" ] && [ ! -e "$p" ] && [ ! -L "$p" ]; do n=$((n + 1)); p=${p%/*}; done; echo "$n""#;
/// Prints how many entries a folder has, 0 for anything else.
const ENTRIES: &str = r#"[ -d "$1" ] && [ ! -L "$1" ] || { echo 0; exit; }
e=$(ls -A -- "$1") || exit 1
if [ -n "$e" ]; then printf '%s\n' "$e" | grep -c ''; else echo 0; fi"#;
/// Prints how many paths of a folder `find` selects by the other arguments.
const SELECTED: &str = r#"p=$1; shift; [ -d "$p" ] || { echo 0; exit; }
e=$(find "$p/" "$@" -exec echo x \;) || exit 1
if [ -n "$e" ]; then printf '%s\n' "$e" | grep -c ''; else echo 0; fi"#;

impl Module for File {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "file";
    const SUMMARY: &'static str = "a path: file, folder, link or absent, with mode and owner";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "a folder that only root may enter",
            yaml: "file: { path: /opt/extranet, state: directory, mode: \"0700\" }\n",
        },
        Example {
            name: "a link",
            yaml: "file: { path: /etc/nginx/sites-enabled/npm, state: link, src: ../sites-available/npm }\n",
        },
        Example { name: "a file that must not be there", yaml: "file: { path: /etc/motd.old, state: absent }\n" },
    ];

    fn nature(params: &Params) -> Nature {
        if params.state == State::Touch { Nature::AlwaysRuns } else { Nature::Converges }
    }

    fn repeatable(_params: &Params) -> bool {
        true
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = inode::wrong_path("path", &params.path);
        out.extend(inode::wrong_owner(params.owner.as_deref(), params.group.as_deref()));
        match (params.state, &params.src) {
            (State::Link, None) => out.push(Problem::at("src", "a link needs `src`: what it points to")),
            (State::Link, Some(src)) if src.is_empty() => out.push(Problem::at("src", "`src` is empty")),
            (State::Link, _) | (_, None) => {}
            (_, Some(_)) => {
                out.push(Problem::at("src", "`src` is for `state: link`").hint("to send a file use `copy`"));
            }
        }
        if params.state == State::Link && params.mode.is_some() {
            out.push(Problem::at("mode", "a link has no mode of its own"));
        }
        if params.recurse && params.state != State::Directory {
            out.push(Problem::at("recurse", "`recurse` is for `state: directory`"));
        }
        if params.state == State::Absent {
            if params.mode.is_some() || params.owner.is_some() || params.group.is_some() {
                out.push(Problem::at("state", "what is absent has no mode and no owner"));
            }
            let parts: Vec<_> = params.path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
            if parts.len() < 2 || parts.contains(&"..") {
                let message = format!("`{}` is not removed: it is a top folder of the system, or may be", params.path);
                out.push(Problem::at("path", message).hint("name a path below it, without `..`"));
            }
        }
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        let path = params.path();
        let follow = !matches!(params.state, State::Absent | State::Link);
        let reading =
            if params.state == State::Absent { Reading::Content(LocalFile::INLINE) } else { Reading::Nothing };
        let mut asks = vec![Ask::Cmd(inode::look(path, follow, reading))];
        match params.state {
            State::Directory => asks.push(Ask::Cmd(Cmd::shell_with(MISSING, [path]))),
            State::Absent => asks.push(Ask::Cmd(Cmd::shell_with(ENTRIES, [path]))),
            _ => {}
        }
        if params.recursive() {
            let mut args = vec![path.to_string(), "!".into(), "-type".into(), "l".into(), "(".into()];
            let mut any = |test: &str, value: String| {
                if args.last().is_some_and(|a| a != "(") {
                    args.push("-o".into());
                }
                args.extend(["!".to_string(), test.to_string(), value]);
            };
            if let Some(mode) = params.mode {
                any("-perm", mode.to_string());
            }
            if let Some(owner) = &params.owner {
                any("-user", owner.clone());
            }
            if let Some(group) = &params.group {
                any("-group", group.clone());
            }
            args.push(")".into());
            asks.push(Ask::Cmd(Cmd::shell_with(SELECTED, args)));
        }
        asks
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let path = params.path();
        let number = |at: usize| -> Result<usize, ModuleError> {
            let Some(answer) = answers.get(at) else { return Ok(0) };
            let text = answer.good(path)?.stdout.text();
            text.trim().parse().map_err(|_| ModuleError::unreadable("a number was expected", &text))
        };
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        let counted = matches!(params.state, State::Directory | State::Absent);
        let inode = inode::read(path, first)?;
        let inside = if params.recursive() { number(2)? } else { 0 };
        Ok(Seen { inode, count: if counted { number(1)? } else { 0 }, inside })
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        match params.state {
            State::File => file(params, seen),
            State::Directory => directory(params, seen),
            State::Absent => absent(params, seen),
            State::Link => link(params, seen),
            State::Touch => touch(params, seen),
        }
    }
}

/// `chown` and `chmod` of something that was just made.
fn adorn(params: &Params, actions: &mut Vec<Action>) {
    let path = params.path();
    if let Some(spec) = params.attributes().to_owner().spec() {
        actions.push(Action::Run(inode::chown(path, &spec, params.state == State::Link)));
    }
    if let Some(mode) = params.mode {
        actions.push(Action::Run(inode::chmod(path, mode)));
    }
}

fn in_the_way(path: &str, inode: &Inode) -> ModuleError {
    ModuleError::refused(format!("{path} is {}", inode.word())).hint("remove it first with `state: absent`")
}

fn file(params: &Params, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
    let path = params.path();
    match seen.inode.kind {
        Kind::Absent => {
            let hint = "`state: file` does not create: use `state: touch`, `copy` or `template`";
            Err(ModuleError::refused(format!("{path} is not there")).hint(hint))
        }
        Kind::Directory => Err(ModuleError::refused(format!("{path} is a folder")).hint("write `state: directory`")),
        _ => Ok(seen.inode.attributes(path, params.attributes()).into_iter().collect()),
    }
}

fn directory(params: &Params, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
    let path = params.path();
    match seen.inode.kind {
        Kind::Absent => {
            let mut actions = vec![Action::Run(Cmd::new(["mkdir", "-p", path]))];
            adorn(params, &mut actions);
            let levels = std::iter::successors(Some(path), |p| p.rsplit_once('/').map(|(up, _)| up));
            let made = levels.take(seen.count.max(1)).filter(|p| !p.is_empty());
            let undo = Action::Run(Cmd::new(std::iter::once("rmdir").chain(made)));
            let mode = params.mode.map(|m| m.to_string());
            let mut values = vec![ValueChange::new("state", Some("absent"), Some("directory"))];
            if let Some(mode) = mode {
                values.push(ValueChange::new("mode", None, Some(&mode)));
            }
            let change = Change::new(format!("create the folder {path}"), actions, Undo::Actions(vec![undo]));
            Ok(vec![change.diff(Diff::Values(values))])
        }
        Kind::Directory if seen.inside > 0 => {
            let mut actions = Vec::new();
            if let Some(spec) = params.attributes().to_owner().spec() {
                actions.push(Action::Run(Cmd::new(["chown", "-R", &spec, path])));
            }
            if let Some(mode) = params.mode {
                actions.push(Action::Run(Cmd::new(["chmod", "-R", &format!("{:05o}", mode.0), path])));
            }
            let undo = Undo::Impossible(format!("the old modes and owners of {} paths are not kept", seen.inside));
            let what = format!("set mode and owner of {} paths in {path}", seen.inside);
            Ok(vec![Change::new(what, actions, undo).diff(Diff::Values(seen.inode.differences(params.attributes())))])
        }
        Kind::Directory => Ok(seen.inode.attributes(path, params.attributes()).into_iter().collect()),
        _ => Err(in_the_way(path, &seen.inode)),
    }
}

fn absent(params: &Params, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
    let path = params.path();
    let inode = &seen.inode;
    let owner = format!("{}:{}", inode.uid, inode.gid);
    let change = match &inode.kind {
        Kind::Absent => return Ok(Vec::new()),
        Kind::Other => return Err(ModuleError::refused(format!("{path} is {}", inode.word()))),
        Kind::File => {
            let diff = inode.text().map_or(Diff::None, |text| Diff::Text {
                path: path.to_string(),
                before: Some(text.to_string()),
                after: None,
            });
            let actions = vec![Action::Run(inode::remove(path))];
            Change::new(format!("remove {path}"), actions, inode.undo(path)).diff(diff)
        }
        Kind::Link(target) => {
            let back = vec![
                Action::Run(Cmd::new(["ln", "-s", "--", target, path])),
                Action::Run(inode::chown(path, &owner, true)),
            ];
            let what = format!("remove the link {path} to {target}");
            Change::new(what, vec![Action::Run(inode::remove(path))], Undo::Actions(back))
        }
        Kind::Directory if seen.count == 0 => {
            let back = vec![
                Action::Run(Cmd::new(["mkdir", path])),
                Action::Run(inode::chown(path, &owner, false)),
                Action::Run(inode::chmod(path, Mode(inode.mode))),
            ];
            let actions = vec![Action::Run(Cmd::new(["rmdir", path]))];
            Change::new(format!("remove the empty folder {path}"), actions, Undo::Actions(back))
        }
        Kind::Directory => {
            let undo = Undo::Impossible(format!("what is in {path} is not kept; a checkpoint of a guest has it"));
            let what = format!("remove the folder {path} and all that is in it ({} entries)", seen.count);
            Change::new(what, vec![Action::Run(Cmd::new(["rm", "-rf", path]))], undo)
        }
    };
    Ok(vec![change])
}

fn link(params: &Params, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
    let (path, src) = (params.path(), params.src.as_deref().unwrap_or_default());
    let make = |target: &str| Action::Run(Cmd::new(["ln", "-sfn", "--", target, path]));
    let (before, undo) = match &seen.inode.kind {
        Kind::Absent => (None, Action::Run(inode::remove(path))),
        Kind::Link(old) if old == src => {
            return Ok(seen.inode.attributes(path, params.attributes()).into_iter().collect());
        }
        Kind::Link(old) => (Some(old.as_str()), make(old)),
        _ => return Err(in_the_way(path, &seen.inode)),
    };
    let mut actions = vec![make(src)];
    adorn(params, &mut actions);
    let diff = Diff::Values(vec![ValueChange::new("link", before, Some(src))]);
    Ok(vec![Change::new(format!("link {path} to {src}"), actions, Undo::Actions(vec![undo])).diff(diff)])
}

fn touch(params: &Params, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
    let path = params.path();
    let mut actions = vec![Action::Run(Cmd::new(["touch", path]))];
    match seen.inode.kind {
        Kind::Absent => {
            adorn(params, &mut actions);
            let undo = Undo::Actions(vec![Action::Run(inode::remove(path))]);
            Ok(vec![Change::new(format!("create the empty file {path}"), actions, undo)])
        }
        Kind::Other => Err(in_the_way(path, &seen.inode)),
        _ => {
            let mut out = vec![Change::new(format!("set the times of {path} to now"), actions, Undo::Nothing)];
            out.extend(seen.inode.attributes(path, params.attributes()));
            Ok(out)
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
