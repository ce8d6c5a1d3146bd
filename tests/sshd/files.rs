//! Files there and back.

use crate::fixture::{Sshd, User, processes, run, sh, sh_text, until};
use piton::cmd::Cmd;
use piton::modules::{Content, FetchFile, Owner, PutFile, PutTree};
use piton::secret::mark;
use piton::transport::{Batch, Remote, TransportError};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn put(path: &Path, content: Content) -> PutFile {
    PutFile { path: path.to_str().unwrap().into(), content, mode: None, owner: Owner::default(), user: None }
}

fn text(path: &Path, text: &str) -> PutFile {
    put(path, Content::Text(text.into()))
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Names in a folder, so that nothing temporary stays unseen.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn why(remote: &dyn Remote, file: &PutFile) -> String {
    match remote.put(file).await.unwrap_err() {
        TransportError::File { host, path, why } => {
            assert_eq!((host.as_str(), path.as_str()), ("web", file.path.as_str()));
            why
        }
        other => panic!("{other:?}"),
    }
}

async fn all_of_it(sshd: &Sshd, user: &User) {
    let remote = sshd.connect(&user.name).await;
    let dir = user.home.join("dir with ' and !");
    assert!(run(&remote, Cmd::new(["mkdir", dir.to_str().unwrap()])).await.ok());

    // New: 0644, whatever the umask; mode as asked; content exact.
    for (name, want) in [("a", "x\n"), ("b", ""), ("c\nd", "no newline \\n % '")] {
        remote.put(&text(&dir.join(name), want)).await.unwrap();
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), want);
        assert_eq!(mode(&dir.join(name)), 0o644);
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    remote.put(&PutFile { mode: Some(0o4750), ..put(&dir.join("bin"), Content::Bytes(bytes.clone())) }).await.unwrap();
    assert_eq!((fs::read(dir.join("bin")).unwrap(), mode(&dir.join("bin"))), (bytes, 0o4750));

    // There already: the mode stays unless given; a link is followed.
    fs::set_permissions(dir.join("a"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("a", dir.join("link")).unwrap();
    remote.put(&text(&dir.join("link"), "through the link")).await.unwrap();
    assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "through the link");
    assert_eq!(mode(&dir.join("a")), 0o640);
    assert!(fs::symlink_metadata(dir.join("link")).unwrap().is_symlink());

    // What cannot be.
    assert_eq!(why(&remote, &text(&dir, "x")).await, "is a directory");
    assert_eq!(why(&remote, &text(Path::new("/dev/null"), "x")).await, "is not a regular file");
    let nowhere = dir.join("nowhere/x");
    assert_eq!(
        why(&remote, &text(&nowhere, "x")).await,
        format!("there is no directory {}", dir.join("nowhere").display())
    );
    assert_eq!(why(&remote, &text(Path::new("/etc/piton-test"), &"x".repeat(1_000_000))).await, "Permission denied");
    let root = Owner { user: Some("root".into()), group: None };
    assert_eq!(why(&remote, &PutFile { owner: root, ..text(&dir.join("b"), "x") }).await, "Operation not permitted");
    assert!(matches!(
        remote.put(&put(&dir.join("b"), Content::Local("/nonexistent".into()))).await.unwrap_err(),
        TransportError::Local { .. }
    ));
    // A source that gives another number of bytes than it said, as one does that is cut.
    let said = why(&remote, &put(&dir.join("b"), Content::Local("/proc/self/status".into()))).await;
    assert!(said.ends_with(" bytes arrived, not 0"), "{said}");
    assert_eq!(fs::read_to_string(dir.join("b")).unwrap(), "");
    assert_eq!(names(&dir), ["a", "b", "bin", "c\nd", "link"]);

    // Back again.
    let here = tempfile::tempdir().unwrap();
    let dest = here.path().join("new/folder/bin");
    let fetch = FetchFile { src: dir.join("bin").to_str().unwrap().into(), dest: dest.clone(), user: None };
    remote.fetch(&fetch).await.unwrap();
    assert_eq!(fs::read(&dest).unwrap(), fs::read(dir.join("bin")).unwrap());
    for (src, reason) in [(dir.join("nowhere"), "No such file or directory"), (dir.clone(), "is a directory")] {
        let fetch = FetchFile { src: src.to_str().unwrap().into(), dest: dest.clone(), user: None };
        let error = remote.fetch(&fetch).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{} on web: {reason}", src.display()));
    }
    assert_eq!(names(dest.parent().unwrap()), ["bin"]);
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_from_dash() {
    let sshd = Sshd::start();
    all_of_it(&sshd, &sshd.user("dash")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_from_tcsh() {
    let sshd = Sshd::start();
    all_of_it(&sshd, &sshd.user("tcsh")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_stays_or_is_as_asked() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(sshd.root()).await;
    let path = user.home.join("file");
    fs::write(&path, "old").unwrap();
    sh("chown", &[&format!("{}:daemon", user.name), path.to_str().unwrap()]);
    let uid = path.metadata().unwrap().uid();
    let daemon = path.metadata().unwrap().gid();
    remote.put(&text(&path, "new")).await.unwrap();
    assert_eq!((path.metadata().unwrap().uid(), path.metadata().unwrap().gid()), (uid, daemon));
    let owner = Owner { user: Some("daemon".into()), group: None };
    remote.put(&PutFile { owner, ..text(&path, "new") }).await.unwrap();
    assert_ne!(path.metadata().unwrap().uid(), uid);
    assert_eq!(path.metadata().unwrap().gid(), daemon);
    let owner = Owner { user: Some("nobody-such".into()), group: None };
    let said = why(&remote, &PutFile { owner, ..text(&path, "newer") }).await;
    assert!(said.contains("nobody-such"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    // A full disk, the real one.
    let small = user.home.join("small");
    fs::create_dir(&small).unwrap();
    sh("mount", &["-t", "tmpfs", "-o", "size=64k", "tmpfs", small.to_str().unwrap()]);
    remote.put(&text(&small.join("f"), "fits")).await.unwrap();
    let said = why(&remote, &text(&small.join("f"), &"x".repeat(200_000))).await;
    let (left, content) = (names(&small), fs::read_to_string(small.join("f")).unwrap());
    sh("umount", &[small.to_str().unwrap()]);
    assert_eq!(said, "No space left on device");
    assert_eq!((left, content), (vec!["f".to_string()], "fits".to_string()));
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_at_wire_speed_and_a_cut_one_replaces_nothing() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = Arc::new(sshd.connect(&user.name).await);
    let large = sshd.dir.path().join("large");
    fs::File::create(&large).unwrap().set_len(200 << 20).unwrap();
    let dest = user.home.join("large");
    let begun = Instant::now();
    remote.put(&put(&dest, Content::Local(large.clone()))).await.unwrap();
    println!("\n200 MiB there: {:?}", begun.elapsed());
    assert_eq!(dest.metadata().unwrap().len(), 200 << 20);
    let begun = Instant::now();
    let back = FetchFile { src: dest.to_str().unwrap().into(), dest: sshd.dir.path().join("back"), user: None };
    remote.fetch(&back).await.unwrap();
    println!("200 MiB back: {:?}", begun.elapsed());
    assert_eq!(sshd.dir.path().join("back").metadata().unwrap().len(), 200 << 20);

    // Cancelled in the middle: the pipe never ends.
    fs::write(&dest, "old").unwrap();
    sh("chown", &[&user.name, dest.to_str().unwrap()]);
    let temporary = || names(&user.home).iter().any(|n| n.starts_with(".piton-"));
    let putting = tokio::spawn({
        let (remote, file) = (Arc::clone(&remote), put(&dest, Content::Local(large)));
        async move { remote.put(&file).await }
    });
    until("it is under way", temporary).await;
    remote.cancel(std::time::Duration::from_secs(1)).await;
    let result = putting.await.unwrap();
    if let Err(error) = result {
        assert_eq!(error.to_string(), format!("{} on web: cancelled", dest.display()));
        assert_eq!(fs::read_to_string(&dest).unwrap(), "old");
    }
    until("the temporary file is gone", || !temporary()).await;
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder() {
    let sshd = Sshd::start();
    let user = sshd.user("tcsh");
    let src = sshd.dir.path().join("src");
    fs::create_dir_all(src.join("a/b c")).unwrap();
    let names: Vec<String> =
        (0..300).map(|i| format!("a/b c/f{i}")).chain(["-n".into(), "a/it's\nnew".into()]).collect();
    for name in &names {
        fs::write(src.join(name), format!("content of {name}")).unwrap();
    }
    fs::set_permissions(src.join("-n"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("a/b c/f0", src.join("link")).unwrap();
    let files: Vec<_> = names.iter().map(Into::into).chain(["link".into()]).collect();
    let dest = user.home.join("x/y");
    let tree =
        PutTree { src: src.clone(), dest: dest.to_str().unwrap().into(), files, owner: Owner::default(), user: None };

    let remote = sshd.connect(&user.name).await;
    let begun = Instant::now();
    remote.put_tree(&tree).await.unwrap();
    println!("\n{} files: {:?}", tree.files.len(), begun.elapsed());
    let uid = user.home.metadata().unwrap().uid();
    for name in &names {
        assert_eq!(fs::read_to_string(dest.join(name)).unwrap(), format!("content of {name}"));
        assert_eq!(dest.join(name).metadata().unwrap().uid(), uid);
    }
    assert_eq!(mode(&dest.join("-n")), 0o750);
    assert!(fs::symlink_metadata(dest.join("link")).unwrap().is_file());
    let owned = Owner { user: Some("root".into()), group: None };
    let error = remote.put_tree(&PutTree { owner: owned, ..tree.clone() }).await.unwrap_err();
    assert!(error.to_string().contains("only root can give files to 0:"), "{error}");
    let error = remote.put_tree(&PutTree { dest: "/etc/piton-test".into(), ..tree.clone() }).await.unwrap_err();
    assert_eq!(error.to_string(), "/etc/piton-test on web: Permission denied");
    remote.close().await;

    let remote = sshd.connect(sshd.root()).await;
    let dest = user.home.join("owned");
    let owner = Owner { user: Some(user.name.clone()), group: Some("daemon".into()) };
    remote.put_tree(&PutTree { owner, dest: dest.to_str().unwrap().into(), ..tree.clone() }).await.unwrap();
    let daemon = piton_gid("daemon");
    for path in [dest.clone(), dest.join("a"), dest.join("a/b c/f7")] {
        let meta = path.metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (uid, daemon), "{}", path.display());
    }
    let owner = Owner { user: None, group: Some("nogroup-such".into()) };
    let error = remote.put_tree(&PutTree { owner, ..tree.clone() }).await.unwrap_err();
    assert!(error.to_string().ends_with("there is no group nogroup-such"), "{error}");
    remote.close().await;
}

fn piton_gid(name: &str) -> u32 {
    let text = fs::read_to_string("/etc/group").unwrap();
    let line = text.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_argument_list_and_in_no_output() {
    const CANARY: &str = "canary'7f3a $(x) 91";
    let sshd = Sshd::start();
    let user = sshd.user("bash");
    sshd.vault.insert("db", CANARY.into()).unwrap();
    let remote = Arc::new(sshd.connect(&user.name).await);
    let go = user.home.join("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let echo =
        Cmd::shell(format!("{wait}; cat; echo \"$PW\"; echo \"$PW\" >&2")).stdin(mark("db")).env("PW", mark("db"));
    let running = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.run(Batch::one(echo)).await.remove(0).unwrap() }
    });
    let go_name = go.to_str().unwrap().to_string();
    until("it runs", || processes(|_| true).iter().any(|l| l.starts_with("sh -c while") && l.contains(&go_name))).await;
    let file = user.home.join("secret");
    let putting = text(&file, &format!("password={}\n", mark("db")));
    remote.put(&PutFile { mode: Some(0o600), ..putting }).await.unwrap();
    let seen = processes(|_| true);
    assert!(!seen.iter().any(|line| line.contains("canary'7f3a")), "{seen:?}");
    fs::write(&go, "").unwrap();
    let output = running.await.unwrap();
    assert_eq!(output.stdout.text(), format!("{}{}\n", mark("db"), mark("db")));
    assert_eq!(output.stderr.text(), format!("{}\n", mark("db")));
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("password={CANARY}\n"));
    let output = sh_text(remote.as_ref(), "cat secret").await;
    assert_eq!(output.stdout.text(), format!("password={}\n", mark("db")));
    remote.close().await;
}
