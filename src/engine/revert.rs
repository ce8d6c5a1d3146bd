//! Which files and commands the revert of a step has: from its module, or from its `confirm_within:`. Pure.

use crate::load::confirm::ConfirmWithin;
use crate::modules::{Action, Change, Diff, Revert};
use std::time::Duration;

/// Gives each change the revert that it will have, so that a plan says what a run does.
///
/// # Errors
/// One line, if the step wants to be reverted and nobody says which files that would be.
pub fn cover(changes: &mut [Change], wanted: Option<&ConfirmWithin>) -> Result<(), String> {
    for change in changes.iter_mut() {
        if let Some(wanted) = wanted {
            let mut revert = change.revert.take().unwrap_or_default();
            let files = if wanted.files.is_empty() { written(change) } else { wanted.files.clone() };
            let after = wanted.after.iter().map(|text| ["sh", "-c", text].map(String::from).to_vec()).collect();
            revert.merge(&Revert { files, after });
            change.confirm_within = Some(wanted.time);
            change.revert = Some(revert);
        }
        if change.revert.as_ref().is_none_or(|r| r.files.is_empty()) {
            // Nothing would be armed, so nothing may say that it is.
            change.confirm_within = None;
            change.revert = None;
        }
    }
    if wanted.is_some() && !changes.is_empty() && whole(changes).is_none() {
        let why = "`confirm_within` has nothing to put back: no change of this step writes a file";
        return Err(format!("{why}; name them: `confirm_within: {{ time: 90s, files: [/etc/...] }}`"));
    }
    for file in changes.iter().filter_map(|c| c.revert.as_ref()).flat_map(|r| &r.files) {
        if !file.starts_with('/') || file.contains(['\n', '\0']) {
            return Err(format!("`confirm_within` cannot put `{}` back: not an absolute path", file.escape_debug()));
        }
    }
    Ok(())
}

/// The one revert of all changes of a step, and the shortest time among them; `None` if none has any.
pub fn whole(changes: &[Change]) -> Option<(Revert, Duration)> {
    let mut out: Option<(Revert, Duration)> = None;
    for change in changes {
        let (Some(revert), Some(within)) = (&change.revert, change.confirm_within) else { continue };
        let (all, shortest) = out.get_or_insert_with(|| (Revert::default(), within));
        all.merge(revert);
        *shortest = within.min(*shortest);
    }
    out
}

/// The files on the target that a change writes.
fn written(change: &Change) -> Vec<String> {
    let mut files = Vec::new();
    for action in &change.actions {
        match action {
            Action::Write(file) => files.push(file.path.clone()),
            Action::Tree(tree) => {
                let below = |f: &std::path::PathBuf| format!("{}/{}", tree.dest.trim_end_matches('/'), f.display());
                files.extend(tree.files.iter().map(below));
            }
            _ => {}
        }
    }
    if let Diff::Text { path, .. } = &change.diff {
        files.push(path.clone());
    }
    files.dedup();
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::Cmd;
    use crate::modules::{Content, Owner, PutFile, Undo};

    fn write(path: &str) -> Change {
        let content = Content::Text("x".into());
        let file = PutFile { path: path.into(), content, mode: None, owner: Owner::default(), user: None };
        Change::new("write", vec![Action::Write(file)], Undo::Nothing)
    }

    fn run() -> Change {
        Change::new("run", vec![Action::Run(Cmd::new(["true"]))], Undo::Nothing)
    }

    fn wanted(files: &[&str], after: Option<&str>) -> ConfirmWithin {
        let files = files.iter().map(ToString::to_string).collect();
        ConfirmWithin { time: Duration::from_secs(30), files, after: after.map(Into::into) }
    }

    #[test]
    fn a_plain_time_covers_the_files_that_are_written_and_says_nothing_of_the_rest() {
        let mut changes = vec![write("/etc/a"), run(), write("/etc/b")];
        cover(&mut changes, Some(&wanted(&[], Some("reload it")))).unwrap();
        let times: Vec<_> = changes.iter().map(|c| c.confirm_within.map(|d| d.as_secs())).collect();
        assert_eq!(times, [Some(30), None, Some(30)]);
        let after = vec![["sh", "-c", "reload it"].map(String::from).to_vec()];
        let files = ["/etc/a", "/etc/b"].map(String::from).to_vec();
        assert_eq!(whole(&changes), Some((Revert { files, after }, Duration::from_secs(30))));
    }

    #[test]
    fn named_files_cover_commands_too_and_without_any_it_is_an_error() {
        let mut changes = vec![run()];
        cover(&mut changes, Some(&wanted(&["/etc/c"], None))).unwrap();
        assert_eq!(whole(&changes).unwrap().0.files, ["/etc/c"]);
        let error = cover(&mut [run()], Some(&wanted(&[], None))).unwrap_err();
        assert!(error.starts_with("`confirm_within` has nothing to put back"), "{error}");
        assert!(cover(&mut [write("relative")], Some(&wanted(&[], None))).is_err());
    }

    #[test]
    fn nothing_says_that_it_reverts_without_a_revert() {
        let mut changes = vec![Change { confirm_within: Some(Duration::from_secs(9)), ..run() }];
        cover(&mut changes, None).unwrap();
        assert_eq!((changes[0].confirm_within, whole(&changes)), (None, None));
    }
}
