//! Texts, local files large and small, and folders, on real paths.

use super::super::{Content, Diff, Undo, bench};
use super::*;
use crate::key::digest;
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

#[test]
fn a_text_is_written_once_and_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("-n $(id)");
    let step = bench::instance("copy", json!({ "content": "é\n", "dest": dest, "mode": "0640" }));
    let changes = bench::round_trip(step.as_ref(), &Cx::default());
    let path = dest.to_str().unwrap().to_string();
    assert_eq!(changes[0].diff, Diff::Text { path, before: None, after: Some("é\n".into()) });
    bench::take_back(&changes);
    assert!(!dest.exists());
}

#[test]
fn only_the_mode_differs() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("f");
    std::fs::write(&dest, "x").unwrap();
    let changes = bench::round_trip(
        bench::instance("copy", json!({ "content": "x", "dest": dest, "mode": "0711" })).as_ref(),
        &Cx::default(),
    );
    assert_eq!(bench::lines(&changes[0].actions), [format!("chmod 00711 {}", dest.display())]);
}

#[test]
fn a_folder_as_dest_takes_the_files_name_if_it_ends_with_a_slash() {
    let dir = tempfile::tempdir().unwrap();
    let cx = Cx { files: vec![bench::local("/p/files/a/motd", "hi\n")], ..Cx::default() };
    let step = |dest: String| bench::instance("copy", json!({ "src": "a/motd", "dest": dest }));
    bench::round_trip(step(format!("{}/", dir.path().display())).as_ref(), &cx);
    assert_eq!(std::fs::read_to_string(dir.path().join("motd")).unwrap(), "hi\n");
    let error = bench::decide(step(dir.path().display().to_string()).as_ref(), &cx).unwrap_err();
    assert_eq!(error.to_string(), format!("{} is a folder", dir.path().display()));
}

#[test]
fn a_large_file_is_compared_by_size_and_hash() {
    let dir = tempfile::tempdir().unwrap();
    let (src, dest) = (dir.path().join("src"), dir.path().join("dest"));
    let bytes = vec![7u8; 300 * 1024];
    std::fs::write(&src, &bytes).unwrap();
    let body = LocalBody::Large { len: bytes.len() as u64, sha256: digest(&bytes) };
    let cx = Cx { files: vec![LocalFile { path: src.clone(), body, mode: 0o644 }], ..Cx::default() };
    let step = bench::instance("copy", json!({ "src": "src", "dest": dest }));
    let changes = bench::round_trip(step.as_ref(), &cx);
    let super::super::Action::Write(file) = &changes[0].actions[0] else { panic!() };
    assert_eq!(file.content, Content::Local(src));
    let mut other = bytes;
    other[0] = 8;
    std::fs::write(&dest, &other).unwrap();
    let changes = bench::round_trip(step.as_ref(), &cx);
    assert!(matches!(&changes[0].undo, Undo::Impossible(why) if why.contains("too large")));
}

#[test]
fn without_force_a_file_that_is_there_stays() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("f");
    let step = bench::instance("copy", json!({ "content": "new", "dest": dest, "force": false }));
    bench::round_trip(step.as_ref(), &Cx::default());
    std::fs::write(&dest, "mine").unwrap();
    assert_eq!(bench::decide(step.as_ref(), &Cx::default()).unwrap().changes, []);
}

fn folder(root: &Path, names: &[&str]) -> LocalFile {
    let file = |name: &str| {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, name).unwrap();
        (PathBuf::from(name), bench::local(path.to_str().unwrap(), name))
    };
    LocalFile { path: root.into(), body: LocalBody::Tree(names.iter().map(|n| file(n)).collect()), mode: 0o755 }
}

#[test]
fn of_a_folder_only_what_differs_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (src, dest) = (dir.path().join("src"), dir.path().join("to/de st"));
    let names = ["a", "b/two\nlines", "b/back\\slash", "c/d/e f"];
    let cx = Cx { files: vec![folder(&src, &names)], ..Cx::default() };
    let step = bench::instance("copy", json!({ "src": "src", "dest": dest }));
    let first = bench::round_trip(step.as_ref(), &cx);
    assert_eq!(first[0].what, format!("write 4 of 4 files in {}", dest.display()));
    std::fs::write(dest.join("b/back\\slash"), "other").unwrap();
    std::fs::write(dest.join("mine"), "not ours").unwrap();
    let second = bench::round_trip(step.as_ref(), &cx);
    assert_eq!(second[0].what, format!("write 1 of 4 files in {}", dest.display()));
    assert!(matches!(second[0].undo, Undo::Impossible(_)));
    bench::take_back(&first);
    let left: Vec<_> = std::fs::read_dir(&dest).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["mine"]);
}

#[test]
fn a_folder_with_a_wrong_owner_is_not_already_so() {
    let dir = tempfile::tempdir().unwrap();
    let (src, dest) = (dir.path().join("src"), dir.path().join("dest"));
    let cx = Cx { files: vec![folder(&src, &["a", "two\nlines"])], ..Cx::default() };
    folder(&dest, &["a", "two\nlines"]);
    let step = |owner: u32| bench::instance("copy", json!({ "src": "src", "dest": dest, "owner": owner.to_string() }));
    let me = std::fs::metadata(&dest).unwrap().uid();
    assert_eq!(bench::decide(step(me).as_ref(), &cx).unwrap().changes, []);
    let changes = bench::decide(step(me + 1).as_ref(), &cx).unwrap().changes;
    assert!(changes[0].what.starts_with("write 2 of 2 files"), "{}", changes[0].what);
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("copy", v);
    assert_eq!(wrong(json!({ "dest": "/x" })), ["`src` or `content` is needed"]);
    assert_eq!(
        wrong(json!({ "src": "a", "content": "b", "dest": "/x" })),
        ["write either `src` or `content`, not both"]
    );
    assert_eq!(wrong(json!({ "content": "b", "dest": "/x/" })), ["`dest` is a folder, and `content` has no file name"]);
    assert_eq!(
        wrong(json!({ "content": "b", "dest": "x", "owner": "a:b" })),
        ["`x` is not an absolute path", "`a:b` is not a name"]
    );
    assert_eq!(
        wrong(json!({ "content": "b", "dest": "/x", "mode": 420 })),
        ["invalid type: integer `420`, expected a mode in quotes, like \"0644\""]
    );
}
