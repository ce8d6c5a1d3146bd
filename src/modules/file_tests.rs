//! Each state on real paths: changes once, then nothing, then goes back.

use super::super::bench;
use super::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn trip(params: serde_json::Value) -> Vec<Change> {
    bench::round_trip(bench::instance("file", params).as_ref(), &Cx::default())
}

fn refusal(params: serde_json::Value) -> String {
    bench::decide(bench::instance("file", params).as_ref(), &Cx::default()).unwrap_err().to_string()
}

#[test]
fn a_folder_is_made_with_its_parents_and_goes_away_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a b/it's/c");
    let changes = trip(json!({ "path": format!("{}/", path.display()), "state": "directory", "mode": "2750" }));
    assert_eq!(mode(&path), 0o2750);
    bench::take_back(&changes);
    assert!(!dir.path().join("a b").exists() && dir.path().exists());
}

#[test]
fn mode_of_what_is_there_changes_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "x").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let changes = trip(json!({ "path": path, "mode": "0600" }));
    assert_eq!(changes[0].diff, Diff::Values(vec![ValueChange::new("mode", Some("0640"), Some("0600"))]));
    assert_eq!(mode(&path), 0o600);
    bench::take_back(&changes);
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn set_id_bits_of_a_folder_go_when_the_mode_does_not_say_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o2755)).unwrap();
    let changes = trip(json!({ "path": dir.path(), "state": "directory", "mode": "0755" }));
    bench::take_back(&changes);
    assert_eq!(mode(dir.path()), 0o2755);
    let new = dir.path().join("new");
    trip(json!({ "path": new, "state": "directory", "mode": "0750" }));
    assert_eq!(mode(&new), 0o750);
}

#[test]
fn a_folder_is_set_with_everything_in_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in side")).unwrap();
    std::fs::write(dir.path().join("in side/f\nn"), "x").unwrap();
    std::os::unix::fs::symlink("/nowhere", dir.path().join("l")).unwrap();
    let changes = trip(json!({ "path": dir.path(), "state": "directory", "mode": "0755", "recurse": true }));
    assert_eq!(mode(&dir.path().join("in side/f\nn")), 0o755);
    assert!(matches!(&changes[0].undo, Undo::Impossible(why) if why.contains("paths are not kept")));
}

#[test]
fn absent_gives_files_links_and_empty_folders_back() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link, empty) = (dir.path().join("f"), dir.path().join("l"), dir.path().join("e"));
    std::fs::write(&file, "text\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o604)).unwrap();
    std::os::unix::fs::symlink("some where", &link).unwrap();
    std::fs::create_dir(&empty).unwrap();
    for path in [&file, &link, &empty] {
        let changes = trip(json!({ "path": path, "state": "absent" }));
        assert!(path.symlink_metadata().is_err());
        bench::take_back(&changes);
    }
    assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), mode(&file)), ("text\n", 0o604));
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("some where"));
    assert!(empty.is_dir());
    let full = dir.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("x"), "").unwrap();
    let changes = trip(json!({ "path": full, "state": "absent" }));
    assert!(changes[0].what.ends_with("all that is in it (1 entries)"), "{}", changes[0].what);
    assert!(matches!(changes[0].undo, Undo::Impossible(_)));
}

#[test]
fn a_link_is_made_moved_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l");
    let made = trip(json!({ "path": path, "state": "link", "src": "-a b" }));
    let moved = trip(json!({ "path": path, "state": "link", "src": dir.path() }));
    let again = trip(json!({ "path": path, "state": "link", "src": "c" }));
    assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("c"));
    bench::take_back(&again);
    assert_eq!(std::fs::read_link(&path).unwrap(), dir.path());
    bench::take_back(&moved);
    assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("-a b"));
    bench::take_back(&made);
    assert!(path.symlink_metadata().is_err());
}

#[test]
fn touch_acts_each_time_and_goes_away_if_it_was_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let step = bench::instance("file", json!({ "path": path, "state": "touch", "mode": "0600" }));
    assert_eq!((step.nature(), step.repeatable()), (Nature::AlwaysRuns, true));
    let first = bench::decide(step.as_ref(), &Cx::default()).unwrap().changes;
    bench::act(&first[0].actions).unwrap();
    assert_eq!(mode(&path), 0o600);
    let second = bench::decide(step.as_ref(), &Cx::default()).unwrap().changes;
    assert_eq!((second.len(), &second[0].undo), (1, &Undo::Nothing));
    bench::take_back(&first);
    assert!(!path.exists());
}

#[test]
fn what_is_in_the_way_is_never_removed_in_passing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let shown = path.display();
    assert_eq!(refusal(json!({ "path": path })), format!("{shown} is not there"));
    std::fs::write(&path, "").unwrap();
    assert_eq!(refusal(json!({ "path": path, "state": "directory" })), format!("{shown} is a file"));
    assert_eq!(refusal(json!({ "path": path, "state": "link", "src": "y" })), format!("{shown} is a file"));
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("file", v);
    assert_eq!(wrong(json!({ "path": "x" })), ["`x` is not an absolute path"]);
    assert_eq!(wrong(json!({ "path": "/x/y", "state": "link" })), ["a link needs `src`: what it points to"]);
    assert_eq!(wrong(json!({ "path": "/x/y", "src": "z" })), ["`src` is for `state: link`"]);
    assert_eq!(wrong(json!({ "path": "/x/y", "recurse": true })), ["`recurse` is for `state: directory`"]);
    for path in ["/", "/etc", "//etc/", "/etc/../", "/a/../etc", "/etc/."] {
        let all = wrong(json!({ "path": path, "state": "absent" }));
        assert_eq!(all.len(), 1, "{path}: {all:?}");
    }
}
