//! Edits as a table, then a real file.

use super::super::bench;
use super::*;
use serde_json::{Value, json};

fn edit(mut params: Value, old: &str) -> String {
    params["path"] = "/x".into();
    let params = bench::params::<Line>(params);
    assert_eq!(Line::validate(&params), []);
    let new = edited(&params, old).unwrap();
    assert_eq!(edited(&params, &new).unwrap(), new, "the second time changes nothing");
    new
}

#[test]
fn a_matching_line_is_replaced_or_a_new_one_put_where_it_belongs() {
    let table = [
        (json!({ "line": "b" }), "a\n", "a\nb\n"),
        (json!({ "line": "a" }), "a\nc\n", "a\nc\n"),
        (json!({ "line": "a" }), "", "a\n"),
        (json!({ "line": "" }), "a\n", "a\n\n"),
        (json!({ "line": "P no", "regexp": "^#?P " }), "#P x\nP yes\nQ\n", "#P x\nP no\nQ\n"),
        (json!({ "line": "P no", "regexp": "^P " }), "Q\n", "Q\nP no\n"),
        (json!({ "line": "n", "insertafter": "^a" }), "a1\na2\nb\n", "a1\na2\nn\nb\n"),
        (json!({ "line": "n", "insertafter": "^z" }), "a\nb\n", "a\nb\nn\n"),
        (json!({ "line": "n", "insertafter": "EOF" }), "a\nb\n", "a\nb\nn\n"),
        (json!({ "line": "n", "insertbefore": "^b" }), "a\nb\nb\n", "a\nb\nn\nb\n"),
        (json!({ "line": "n", "insertbefore": "BOF" }), "a\n", "n\na\n"),
        (json!({ "line": "n", "insertbefore": "^z" }), "a\n", "a\nn\n"),
        (json!({ "state": "absent", "line": "a" }), "a\nb\na\n", "b\n"),
        (json!({ "state": "absent", "regexp": "^a" }), "a1\nb\na2\n", "b\n"),
        (json!({ "state": "absent", "regexp": "^a" }), "a\n", ""),
    ];
    for (params, old, new) in table {
        assert_eq!(edit(params.clone(), old), new, "{params} on {old:?}");
    }
}

#[test]
fn line_ends_stay_what_they_are() {
    assert_eq!(edit(json!({ "line": "b" }), "a"), "a\nb");
    assert_eq!(edit(json!({ "line": "b" }), "a\r\nc"), "a\r\nc\r\nb");
    assert_eq!(edit(json!({ "line": "b" }), "a\r\n"), "a\r\nb\r\n");
    assert_eq!(edit(json!({ "line": "X", "regexp": "^x$" }), "a\r\nx\r\nb\r\n"), "a\r\nX\r\nb\r\n");
    assert_eq!(edit(json!({ "line": "X", "regexp": "^x" }), "a\nx"), "a\nX");
    assert_eq!(edit(json!({ "line": "n", "insertbefore": "BOF" }), "a"), "n\na");
}

#[test]
fn a_real_file_is_edited_once_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("two\nlines.conf");
    std::fs::write(&path, "a\nPort 22").unwrap();
    let step =
        bench::instance("line", json!({ "path": path, "regexp": "^Port ", "line": "Port 2222", "mode": "0600" }));
    let changes = bench::round_trip(step.as_ref(), &Cx::default());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nPort 2222");
    bench::take_back(&changes);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nPort 22");
}

#[test]
fn a_missing_file_is_made_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new");
    let error = bench::decide(bench::instance("line", json!({ "path": path, "line": "a" })).as_ref(), &Cx::default());
    assert_eq!(error.unwrap_err().to_string(), format!("{} is not there", path.display()));
    let absent = bench::instance("line", json!({ "path": path, "line": "a", "state": "absent" }));
    assert_eq!(bench::decide(absent.as_ref(), &Cx::default()).unwrap().changes, []);
    let changes = bench::round_trip(
        bench::instance("line", json!({ "path": path, "line": "a", "create": true })).as_ref(),
        &Cx::default(),
    );
    bench::take_back(&changes);
    assert!(!path.exists());
    std::fs::write(&path, b"\xff\n").unwrap();
    let error = bench::decide(bench::instance("line", json!({ "path": path, "line": "a" })).as_ref(), &Cx::default());
    assert_eq!(error.unwrap_err().to_string(), format!("{} is not a UTF-8 text", path.display()));
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("line", v);
    assert_eq!(wrong(json!({ "path": "/x" })), ["`line` is needed: the line as it shall be"]);
    assert_eq!(wrong(json!({ "path": "/x", "state": "absent" })), ["`line` or `regexp` is needed"]);
    assert_eq!(wrong(json!({ "path": "/x", "line": "a\nb" })), ["`line` is one line"]);
    assert!(
        wrong(json!({ "path": "/x", "line": "a", "regexp": "(" }))[0].starts_with("`(` is not a regular expression")
    );
}
