//! `template`: a file of the target from a Handlebars template. Secrets in it stay marks until the wire.

use super::inode::{Attributes, Inode, Reading};
use super::write::{self, New, Target};
use super::{Answer, Ask, Change, Cx, Example, LocalBody, LocalFile, Mode, Module, ModuleError, Problem, Want, inode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Template;

/// Parameters of `template`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The template: a local file, relative to `templates/` or the runbook's folder.
    src: String,
    /// Absolute path on the target.
    dest: String,
    /// Permission bits, quoted octal: "0644". Without it those of the old file stay; a new one gets 0644.
    mode: Option<Mode>,
    /// Owner, by name or number.
    owner: Option<String>,
    /// Group, by name or number.
    group: Option<String>,
    /// Command that must end with 0 on the new content before it takes its place; `%s` is its path.
    validate: Option<String>,
}

impl Module for Template {
    type Params = Params;
    type State = Inode;

    const NAME: &'static str = "template";
    const SUMMARY: &'static str = "a file from a template";
    const EXAMPLES: &'static [Example] = &[Example {
        name: "a compose file with a secret in it",
        yaml: "template: { src: extranet/compose.yml.hbs, dest: /opt/extranet/docker-compose.yml, mode: \"0640\" }\n",
    }];

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = inode::wrong_path("dest", &params.dest);
        if params.dest.ends_with('/') {
            out.push(Problem::at("dest", "`dest` is a file").hint("write the file's name after the last slash"));
        }
        out.extend(inode::wrong_owner(params.owner.as_deref(), params.group.as_deref()));
        out.extend(write::wrong_validate(params.validate.as_deref()));
        out
    }

    fn local_files(params: &Params) -> Vec<Want> {
        vec![Want::template(&params.src)]
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        vec![Ask::Cmd(inode::look(&params.dest, true, Reading::Content(LocalFile::INLINE)))]
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Inode, ModuleError> {
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        inode::read(&params.dest, first)
    }

    fn plan(params: &Params, cx: &Cx, inode: &Inode) -> Result<Vec<Change>, ModuleError> {
        let Some(LocalFile { body: LocalBody::Inline(text), .. }) = cx.files.first() else {
            let why = format!("{} is not a template: a text of at most 256 KiB is needed", params.src);
            return Err(ModuleError::refused(why));
        };
        let target = Target {
            path: &params.dest,
            attributes: Attributes {
                mode: params.mode,
                owner: params.owner.as_deref(),
                group: params.group.as_deref(),
            },
            validate: params.validate.as_deref(),
            run: &cx.run,
        };
        write::plan(&target, inode, &New::Bytes(text))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Content, Diff, Undo, bench};
    use super::*;
    use crate::secret::mark;
    use serde_json::json;

    fn cx(text: &str) -> Cx {
        Cx { files: vec![bench::local("/p/templates/x.hbs", text)], run: "20261123-1a2b".into(), ..Cx::default() }
    }

    #[test]
    fn written_once_then_nothing_then_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("it's a file");
        std::fs::write(&dest, "old\n").unwrap();
        let step = bench::instance("template", json!({ "src": "x.hbs", "dest": dest, "mode": "0640" }));
        assert_eq!(step.local_files(), [Want::template("x.hbs")]);
        let changes = bench::round_trip(step.as_ref(), &cx("new\n"));
        assert_eq!(std::fs::read_to_string(&dest).unwrap(), "new\n");
        let path = dest.to_str().unwrap().to_string();
        assert_eq!(changes[0].diff, Diff::Text { path, before: Some("old\n".into()), after: Some("new\n".into()) });
        bench::take_back(&changes);
        assert_eq!(std::fs::read_to_string(&dest).unwrap(), "old\n");
    }

    #[test]
    fn a_secret_compares_by_its_mark() {
        let text = format!("password={}\n", mark("db"));
        let params: Params = bench::params::<Template>(json!({ "src": "x", "dest": "/etc/x" }));
        let out = format!("f\n640 0 0 20 root:root\ncontent\n{text}");
        let answers = [Answer::Cmd(crate::cmd::Output::of(0, &out, ""))];
        let inode = Template::read(&params, &cx(""), &answers).unwrap();
        assert_eq!(Template::plan(&params, &cx(&text), &inode).unwrap(), []);
        let changes = Template::plan(&params, &cx("password=\n"), &inode).unwrap();
        let Undo::Actions(undo) = &changes[0].undo else { panic!() };
        let super::super::Action::Write(file) = &undo[0] else { panic!() };
        assert_eq!((&file.content, file.mode), (&Content::Text(text), Some(0o640)));
    }

    #[test]
    fn validate_runs_before_the_file_is_touched_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let dest = dir.path().join("sshd config");
        std::fs::write(&dest, "old\n").unwrap();
        let step =
            |validate: &str| bench::instance("template", json!({ "src": "x", "dest": dest, "validate": validate }));
        let changes = bench::decide(step("grep -q good %s").as_ref(), &cx("bad\n")).unwrap().changes;
        assert!(bench::act(&changes[0].actions).is_err());
        assert_eq!(std::fs::read_to_string(&dest).unwrap(), "old\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        bench::round_trip(step("grep -q good %s").as_ref(), &cx("good\n"));
        assert_eq!(std::fs::read_to_string(&dest).unwrap(), "good\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn wrong_parameters_are_found_before_any_host() {
        let wrong = |v| bench::problems("template", v);
        assert_eq!(wrong(json!({ "src": "x", "dest": "etc/x" })), ["`etc/x` is not an absolute path"]);
        assert_eq!(wrong(json!({ "src": "x", "dest": "/etc/" })), ["`dest` is a file"]);
        assert_eq!(
            wrong(json!({ "src": "x", "dest": "/x", "mode": "rw" })),
            ["`rw` is not a mode: write octal digits in quotes, like \"0644\""]
        );
        assert_eq!(
            wrong(json!({ "src": "x", "dest": "/x", "validate": "nginx -t" })),
            ["`validate` does not say where the file is"]
        );
    }
}
