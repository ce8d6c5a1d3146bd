//! `fetch`: a file of the target comes here.

use super::inode::{Body, Inode, Kind, Reading};
use super::{
    Action, Answer, Ask, Change, Cx, Diff, Example, FetchFile, LocalBody, Module, ModuleError, Problem, Undo,
    ValueChange, Want, inode,
};
use crate::key::digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Fetch;

/// Parameters of `fetch`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Absolute path of a file on the target.
    src: String,
    /// Local file that it becomes, relative to the runbook's folder. With several hosts, put `{{ host.name }}` in it.
    dest: String,
}

impl Module for Fetch {
    type Params = Params;
    type State = Inode;

    const NAME: &'static str = "fetch";
    const SUMMARY: &'static str = "a file of the target, brought here";
    const EXAMPLES: &'static [Example] = &[Example {
        name: "the node's network file, before a change",
        yaml: "fetch: { src: /etc/network/interfaces, dest: fetched/pve/interfaces }\n",
    }];

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = inode::wrong_path("src", &params.src);
        if params.dest.is_empty() || params.dest.ends_with('/') {
            let problem = Problem::at("dest", "`dest` is a file").hint("write the file's name after the last slash");
            out.push(problem);
        }
        out
    }

    fn local_files(params: &Params) -> Vec<Want> {
        vec![Want::optional(&params.dest)]
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        vec![Ask::Cmd(inode::look(&params.src, true, Reading::Hash))]
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Inode, ModuleError> {
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        inode::read(&params.src, first)
    }

    fn plan(params: &Params, cx: &Cx, inode: &Inode) -> Result<Vec<Change>, ModuleError> {
        let remote = match (&inode.kind, &inode.body) {
            (Kind::File, Body::Sha256(hash)) => hash,
            (Kind::Absent, _) => return Err(ModuleError::refused(format!("{} is not there", params.src))),
            _ => return Err(ModuleError::refused(format!("{} is {}, not a file", params.src, inode.word()))),
        };
        let Some(local) = cx.files.first() else {
            return Err(ModuleError::refused(format!("{} has not been looked at", params.dest)));
        };
        let old = match &local.body {
            LocalBody::Missing => None,
            LocalBody::Inline(bytes) => Some(digest(bytes)),
            LocalBody::Large { sha256, .. } => Some(sha256.clone()),
            LocalBody::Tree(_) => return Err(ModuleError::refused(format!("{} is a folder", local.path.display()))),
        };
        if old.as_ref() == Some(remote) {
            return Ok(Vec::new());
        }
        let action = Action::Fetch(FetchFile { src: params.src.clone(), dest: local.path.clone(), user: None });
        let what = format!("fetch {} ({} bytes) to {}", params.src, inode.size, params.dest);
        let diff = Diff::Values(vec![ValueChange::new("sha256", old.as_deref(), Some(remote))]);
        Ok(vec![Change::new(what, vec![action], Undo::Nothing).diff(diff)])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LocalFile, bench};
    use super::*;
    use serde_json::json;

    #[test]
    fn fetched_once_then_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (src, dest) = (dir.path().join("src"), dir.path().join("a/b"));
        std::fs::write(&src, "x\n").unwrap();
        let step = bench::instance("fetch", json!({ "src": src, "dest": "a/b" }));
        assert_eq!(step.local_files(), [Want::optional("a/b")]);
        let cx = |body| Cx { files: vec![LocalFile { path: dest.clone(), body, mode: 0 }], ..Cx::default() };
        let changes = bench::decide(step.as_ref(), &cx(LocalBody::Missing)).unwrap().changes;
        bench::act(&changes[0].actions).unwrap();
        let now = LocalBody::Inline(std::fs::read(&dest).unwrap());
        assert_eq!(bench::decide(step.as_ref(), &cx(now)).unwrap().changes, []);
        let other = LocalBody::Large { len: 2, sha256: "0".repeat(64) };
        assert_eq!(bench::decide(step.as_ref(), &cx(other)).unwrap().changes.len(), 1);
        std::fs::remove_file(&src).unwrap();
        let error = bench::decide(step.as_ref(), &cx(LocalBody::Missing)).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not there", src.display()));
    }

    #[test]
    fn wrong_parameters_are_found_before_any_host() {
        let wrong = |v| bench::problems("fetch", v);
        assert_eq!(wrong(json!({ "src": "x", "dest": "y" })), ["`x` is not an absolute path"]);
        assert_eq!(wrong(json!({ "src": "/x", "dest": "y/" })), ["`dest` is a file"]);
    }
}
