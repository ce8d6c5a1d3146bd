//! `line`: one line in a text file is there, or is not. The rest of the file stays as it is, byte for byte.

use super::inode::{Attributes, Body, Inode, Kind, Reading};
use super::write::{self, New, Target};
use super::{Answer, Ask, Change, Cx, Example, Mode, Module, ModuleError, Problem, inode};
use regex_lite::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Line;

/// Whether the line shall be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is there once where it belongs.
    #[default]
    Present,
    /// No line like it is there.
    Absent,
}

/// Parameters of `line`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Absolute path of a text file on the target, at most 1 MiB.
    path: String,
    /// The line, without its end.
    line: Option<String>,
    /// Regular expression for the line to replace (the last that matches) or to remove (all that match).
    regexp: Option<String>,
    /// present or absent.
    #[serde(default)]
    state: State,
    /// A new line goes after the last line that matches this regular expression; EOF (the default) is the end.
    insertafter: Option<String>,
    /// A new line goes before the last line that matches this regular expression; BOF is the beginning.
    insertbefore: Option<String>,
    /// A file that is not there is made.
    #[serde(default)]
    create: bool,
    /// Permission bits, quoted octal: "0644".
    mode: Option<Mode>,
    /// Owner, by name or number.
    owner: Option<String>,
    /// Group, by name or number.
    group: Option<String>,
    /// Command that must end with 0 on the new content before it takes its place; `%s` is its path.
    validate: Option<String>,
}

/// Files up to this size are edited; what comes back must fit into what is kept of an output.
const LARGEST: u64 = (1 << 20) - 1024;

/// A regular expression, or what is wrong with it. Rust's syntax: no look-around, no back references.
fn regex(field: &str, text: Option<&String>, special: &str) -> Result<Option<Regex>, Problem> {
    match text {
        None => Ok(None),
        Some(text) if text == special => Ok(None),
        Some(text) => Regex::new(text)
            .map(Some)
            .map_err(|e| Problem::at(field, format!("`{text}` is not a regular expression: {e}"))),
    }
}

/// One line with its end, which stays what it is.
struct Piece<'a> {
    text: &'a str,
    end: &'a str,
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let split = |line| {
        ["\r\n", "\n"]
            .iter()
            .find_map(|end| str::strip_suffix(line, end).map(|text| Piece { text, end }))
            .unwrap_or(Piece { text: line, end: "" })
    };
    text.split_inclusive('\n').map(split).collect()
}

/// The text with the line as it shall be.
fn edited(params: &Params, old: &str) -> Result<String, Problem> {
    let regexp = regex("regexp", params.regexp.as_ref(), "")?;
    let after = regex("insertafter", params.insertafter.as_ref(), "EOF")?;
    let before = regex("insertbefore", params.insertbefore.as_ref(), "BOF")?;
    let mut lines = pieces(old);
    let wanted = params.line.as_deref().unwrap_or_default();
    let last = |regex: &Regex, lines: &[Piece<'_>]| lines.iter().rposition(|l| regex.is_match(l.text));
    if params.state == State::Absent {
        lines.retain(|l| !regexp.as_ref().map_or(l.text == wanted, |regex| regex.is_match(l.text)));
    } else if let Some(at) = regexp.as_ref().and_then(|regex| last(regex, &lines)) {
        lines[at].text = wanted;
    } else if !lines.iter().any(|l| l.text == wanted) {
        let place = if params.insertbefore.as_deref() == Some("BOF") {
            Some(0)
        } else {
            let before = before.as_ref().and_then(|regex| last(regex, &lines));
            before.or_else(|| after.as_ref().and_then(|regex| last(regex, &lines)).map(|at| at + 1))
        };
        let end = if lines.first().is_some_and(|l| l.end == "\r\n") { "\r\n" } else { "\n" };
        let place = place.unwrap_or(lines.len());
        let mut new = Piece { text: wanted, end };
        if place == lines.len()
            && let Some(open) = lines.last_mut().filter(|l| l.end.is_empty())
        {
            std::mem::swap(&mut open.end, &mut new.end);
        }
        lines.insert(place, new);
    }
    Ok(lines.iter().flat_map(|l| [l.text, l.end]).collect())
}

impl Module for Line {
    type Params = Params;
    type State = Inode;

    const NAME: &'static str = "line";
    const SUMMARY: &'static str = "one line in a text file";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "a setting, whatever it was before",
            yaml: "line: { path: /etc/ssh/sshd_config, regexp: '^#?PasswordAuthentication ', line: PasswordAuthentication no, validate: sshd -t -f %s }\n",
        },
        Example {
            name: "a line that must not be there",
            yaml: "line: { path: /etc/hosts, regexp: '\\sold-server$', state: absent }\n",
        },
    ];

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = inode::wrong_path("path", &params.path);
        match (params.state, &params.line, &params.regexp) {
            (State::Present, None, _) => out.push(Problem::at("line", "`line` is needed: the line as it shall be")),
            (State::Absent, None, None) => out.push(Problem::at("line", "`line` or `regexp` is needed")),
            (State::Absent, Some(_), Some(_)) => {
                out.push(Problem::at("line", "to remove, write either `line` or `regexp`, not both"));
            }
            _ => {}
        }
        if params.line.as_deref().is_some_and(|l| l.contains(['\n', '\r', '\0'])) {
            out.push(Problem::at("line", "`line` is one line").hint("for a block use `copy` or `template`"));
        }
        if params.insertafter.is_some() && params.insertbefore.is_some() {
            out.push(Problem::at("insertbefore", "write either `insertafter` or `insertbefore`, not both"));
        }
        if let Err(problem) = edited(params, "") {
            out.push(problem);
        }
        out.extend(inode::wrong_owner(params.owner.as_deref(), params.group.as_deref()));
        out.extend(write::wrong_validate(params.validate.as_deref()));
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        vec![Ask::Cmd(inode::look(&params.path, true, Reading::Content(LARGEST)))]
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Inode, ModuleError> {
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        inode::read(&params.path, first)
    }

    fn plan(params: &Params, cx: &Cx, inode: &Inode) -> Result<Vec<Change>, ModuleError> {
        let path = &params.path;
        let old = match (&inode.kind, &inode.body) {
            (Kind::Absent, _) if params.state == State::Absent => return Ok(Vec::new()),
            (Kind::Absent, _) if params.create => "",
            (Kind::Absent, _) => {
                return Err(ModuleError::refused(format!("{path} is not there")).hint("`create: true` makes it"));
            }
            (Kind::File, Body::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) if !text.contains('\0') => text,
                _ => return Err(ModuleError::refused(format!("{path} is not a UTF-8 text"))),
            },
            (Kind::File, _) => {
                return Err(ModuleError::refused(format!("{path} has {} bytes; 1 MiB is the most", inode.size)));
            }
            _ => return Err(ModuleError::refused(format!("{path} is {}, not a file", inode.word()))),
        };
        let new = edited(params, old).map_err(|p| ModuleError::refused(p.message))?;
        let target = Target {
            path,
            attributes: Attributes {
                mode: params.mode,
                owner: params.owner.as_deref(),
                group: params.group.as_deref(),
            },
            validate: params.validate.as_deref(),
            run: &cx.run,
        };
        write::plan(&target, inode, &New::Bytes(new.as_bytes()))
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
