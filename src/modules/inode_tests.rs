//! Real looks at real files in a scratch folder: the script runs in this machine's `sh`.

use super::super::bench;
use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

fn seen(path: &std::path::Path, follow: bool, reading: Reading) -> Inode {
    let path = path.to_str().unwrap();
    read(path, &bench::ask(&look(path, follow, reading))).unwrap()
}

#[test]
fn every_kind_is_told_apart_whatever_its_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["plain", "with space", "it's \"quoted\"", "-n", "two\nlines", "$HOME `id`", "é*?", "trailing\n"] {
        let file = dir.path().join(name);
        std::fs::write(&file, "hello\nworld").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o4750)).unwrap();
        let inode = seen(&file, false, Reading::Content(100));
        assert_eq!((inode.kind, inode.mode, inode.size), (Kind::File, 0o4750, 11), "{name}");
        assert_eq!(inode.body, Body::Bytes(b"hello\nworld".to_vec()), "{name}");
        assert_eq!(seen(&file.join("below"), false, Reading::Nothing).kind, Kind::Absent, "{name}");
        let link = dir.path().join(format!("link to {name}"));
        symlink(name, &link).unwrap();
        assert_eq!(seen(&link, false, Reading::Nothing).kind, Kind::Link(name.to_string()));
        assert_eq!(seen(&link, true, Reading::Nothing).kind, Kind::File);
    }
    assert_eq!(seen(dir.path(), false, Reading::Content(9)).kind, Kind::Directory);
    assert_eq!(seen(&dir.path().join("no"), true, Reading::Content(9)).kind, Kind::Absent);
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    assert_eq!(seen(&dir.path().join("dangling"), true, Reading::Nothing).kind, Kind::Absent);
    assert_eq!(seen("/dev/null".as_ref(), false, Reading::Content(9)).kind, Kind::Other);
}

#[test]
fn what_cannot_be_looked_at_is_not_called_absent() {
    let dir = tempfile::tempdir().unwrap();
    symlink("loop", dir.path().join("loop")).unwrap();
    let why = |path: std::path::PathBuf| {
        let path = path.to_str().unwrap();
        read(path, &bench::ask(&look(path, true, Reading::Nothing))).unwrap_err().to_string()
    };
    let text = why(dir.path().join("loop"));
    assert!(text.ends_with("Too many levels of symbolic links"), "{text}");
    let text = why(dir.path().join("x".repeat(300)));
    assert!(text.ends_with("File name too long"), "{text}");
}

#[test]
fn content_up_to_the_limit_then_the_hash_if_the_size_fits() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, b"a\0\xff\n\n").unwrap();
    assert_eq!(seen(&file, false, Reading::Content(5)).body, Body::Bytes(b"a\0\xff\n\n".to_vec()));
    assert_eq!(seen(&file, false, Reading::Content(4)).body, Body::Unknown);
    assert_eq!(seen(&file, false, Reading::Nothing).body, Body::Unknown);
    let hash = Body::Sha256(crate::key::digest(b"a\0\xff\n\n"));
    assert_eq!(seen(&file, false, Reading::ContentOrHash(4, 5)).body, hash);
    assert_eq!(seen(&file, false, Reading::ContentOrHash(4, 6)).body, Body::Unknown);
    assert_eq!(seen(&file, false, Reading::Hash).body, hash);
    std::fs::write(&file, b"").unwrap();
    assert_eq!(seen(&file, false, Reading::Content(0)).body, Body::Bytes(Vec::new()));
}

#[test]
fn what_cannot_be_read_is_never_guessed() {
    let unreadable = |text: &str| parse(&Output::of(0, text, "")).unwrap_err();
    for text in [
        "",
        "f",
        "f\n644 0 0 3 root:root",
        "f\n644 0 0 3 root:root\nwhat\n",
        "x\n644 0 0 3 root:root\n",
        "f\n9 0 0 0 r:r\nnone\n",
    ] {
        assert!(matches!(unreadable(text), ModuleError::Unreadable { .. }), "{text}");
    }
    let denied = Answer::Cmd(Output::of(1, "", "ls: cannot access '/root/x': Permission denied\n"));
    let error = read("/root/x", &denied).unwrap_err();
    assert_eq!(error.to_string(), "/root/x: ls: cannot access '/root/x': Permission denied");
}

#[test]
fn freebsd_prints_four_octal_digits() {
    let inode = parse(&Output::of(0, "d\n0755 0 0 512 root:wheel\n", "")).unwrap();
    assert_eq!((inode.mode, inode.group.as_str()), (0o755, "wheel"));
}

#[test]
fn attributes_are_compared_by_name_or_number() {
    let inode = parse(&Output::of(0, "f\n644 33 33 0 www-data:www-data\nnone\n", "")).unwrap();
    let wanted = Attributes { mode: Some(Mode(0o644)), owner: Some("www-data"), group: Some("33") };
    assert!(inode.attributes("/x", wanted).is_none());
    let wanted = Attributes { mode: Some(Mode(0o600)), owner: Some("root"), group: None };
    let change = inode.attributes("/x", wanted).unwrap();
    assert_eq!(bench::lines(&change.actions), ["chown root /x", "chmod 00600 /x"]);
    let Undo::Actions(undo) = change.undo else { panic!() };
    assert_eq!(bench::lines(&undo), ["chown 33:33 /x", "chmod 00644 /x"]);
}

#[test]
fn a_binary_with_a_secret_in_it_cannot_be_given_back() {
    let mut bytes = vec![0xff];
    assert_eq!(content(&bytes), Some(Content::Bytes(vec![0xff])));
    bytes.extend(secret::mark("db").into_bytes());
    assert_eq!(content(&bytes), None);
}
