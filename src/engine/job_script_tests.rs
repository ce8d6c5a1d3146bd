use super::*;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The text for real, in this machine's `sh`.
fn run(base: &Path, cmd: &Cmd) -> Output {
    let mut child = Command::new(&cmd.argv[0])
        .args(&cmd.argv[1..])
        .env("PITON_JOBS", base)
        .envs(&cmd.env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(cmd.stdin.clone().unwrap_or_default().as_bytes()).unwrap();
    let got = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Output::of(got.status.code().unwrap(), &text(got.stdout), &text(got.stderr))
}

fn seen(base: &Path, name: &str) -> Look {
    read_look(&run(base, &look(name, (0, 0)))).unwrap()
}

/// Looks until it is so.
fn until(base: &Path, name: &str, is: impl Fn(&Look) -> bool) -> Look {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let look = seen(base, name);
        if is(&look) {
            return look;
        }
        assert!(Instant::now() < end, "{look:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_done(look: &Look) -> bool {
    matches!(look.state, JobState::Done(_))
}

fn nothing_left(folder: &Path) {
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_job_runs_once_however_often_it_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("piton/jobs");
    let count = folder.path().join("count");
    let script = format!("echo run >>{0}; cat; echo \"$WORD\" >&2; umask; exit 3", count.display());
    let cmd = Cmd::shell(script).stdin("in\n").env("WORD", "by env");
    for _ in 0..3 {
        assert_eq!(run(&base, &start("r-1", &cmd)), Output::of(0, "", ""));
    }
    let look = until(&base, "r-1", is_done);
    let umask = String::from_utf8(Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout).unwrap();
    assert_eq!(String::from_utf8(look.out.clone()).unwrap(), format!("in\n{umask}"));
    assert_eq!((look.state, look.err, look.left), (JobState::Done(3), b"by env\n".to_vec(), 0));
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "run\n");
    // Neither what it was told in secret nor more than needed is in its folder.
    let mut names: Vec<_> =
        std::fs::read_dir(base.join("r-1")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["begun", "err", "out", "rc", "script", "who"]);
    assert!(!std::fs::read_to_string(base.join("r-1/script")).unwrap().contains("by env"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(base.join("r-1")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(read_list(&run(&base, &list())), [("r-1".to_string(), JobState::Done(3))]);
    run(&base, &clear(&["r-1".to_string()]));
    std::fs::remove_file(count).unwrap();
    nothing_left(folder.path());
}

#[test]
fn what_runs_gives_whole_lines_from_an_offset() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let cmd = Cmd::shell(format!("echo one; printf tw; while ! [ -e {} ]; do sleep 0.05; done; echo o", go.display()));
    run(folder.path(), &start("j", &cmd));
    let first = until(folder.path(), "j", |l| l.took.0 > 0);
    assert_eq!((first.state, first.out.as_slice(), first.took), (JobState::Running, b"one\n".as_slice(), (4, 0)));
    std::fs::write(go, "").unwrap();
    until(folder.path(), "j", is_done);
    let rest = read_look(&run(folder.path(), &look("j", first.took))).unwrap();
    assert_eq!((rest.state, rest.out.as_slice(), rest.left), (JobState::Done(0), b"two\n".as_slice(), 0));
}

#[test]
fn a_long_output_comes_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &start("j", &Cmd::shell("head -c 600000 /dev/zero | tr '\\0' x")));
    until(folder.path(), "j", is_done);
    let (mut at, mut pieces) = (0, Vec::new());
    loop {
        let look = read_look(&run(folder.path(), &look("j", (at, 0)))).unwrap();
        at += look.took.0;
        pieces.push(look.out.len());
        if look.left == 0 {
            break;
        }
    }
    assert_eq!(pieces, [262_144, 262_144, 75_712]);
}

#[test]
fn a_job_that_is_gone_is_told_from_one_that_never_was() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(seen(folder.path(), "j").state, JobState::Absent);
    run(folder.path(), &start("j", &Cmd::shell("sleep 100")));
    until(folder.path(), "j", |l| l.state == JobState::Running);
    assert_eq!(run(folder.path(), &claim("j")).stdout.text(), "begun\n");
    let who = std::fs::read_to_string(folder.path().join("j/who")).unwrap();
    // Another boot, another process of the same number.
    let words: Vec<&str> = who.split_whitespace().collect();
    for other in [format!("{} {} other-boot\n", words[0], words[1]), format!("{} 1 {}\n", words[0], words[2])] {
        std::fs::write(folder.path().join("j/who"), other).unwrap();
        assert_eq!(seen(folder.path(), "j").state, JobState::Gone);
    }
    std::fs::write(folder.path().join("j/who"), &who).unwrap();
    run(folder.path(), &end("j", 20));
    // The job's shell outlives TERM to tell the exit status.
    assert_eq!(seen(folder.path(), "j").state, JobState::Done(143));
    assert_eq!(run(folder.path(), &end("j", 20)).code(), Some(0));
}

#[test]
fn a_claim_keeps_a_late_start_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("j")).unwrap();
    assert_eq!(seen(folder.path(), "j").state, JobState::New);
    assert_eq!(run(folder.path(), &claim("j")).stdout.text(), "never\n");
    // The runner that comes late finds the claim.
    let ran = folder.path().join("ran");
    let runner = format!("{COMMON}{RUNNER}");
    let late = Cmd::shell_with(
        &runner,
        [folder.path().join("j").display().to_string(), "touch".into(), ran.display().to_string()],
    );
    assert_eq!(run(folder.path(), &late).code(), Some(1));
    assert!(!ran.exists());
}

#[test]
fn a_job_that_ignores_term_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &start("j", &Cmd::shell("trap '' TERM; echo up; while :; do sleep 0.1; done")));
    until(folder.path(), "j", |l| l.took.0 > 0);
    run(folder.path(), &end("j", 3));
    assert_eq!(until(folder.path(), "j", |l| l.state != JobState::Running).state, JobState::Gone);
}

#[test]
fn answers_that_are_none_are_refused() {
    for text in ["", "running", "done x 0 0 0\n", "done 0 1 2\n", "odd 0 0 0 0\n"] {
        assert_eq!(read_look(&Output::of(0, text, "")), None, "{text:?}");
    }
}
