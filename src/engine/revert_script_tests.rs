//! The program in real shells, in temporary directories: armed, fired, confirmed, both at once.

use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// A host's files and the folder of a revert, in a temporary directory.
struct Place {
    dir: tempfile::TempDir,
    revert: Revert,
}

impl Place {
    fn new(files: &[&str], after: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let files = files.iter().map(|f| path(f)).collect();
        let shell = |text: &&str| vec!["sh".to_string(), "-c".into(), text.replace("DIR", &path(""))];
        let revert = Revert { files, after: after.iter().map(shell).collect() };
        Self { dir, revert }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn folder(&self) -> String {
        self.path("piton/revert-run-1").display().to_string()
    }

    fn marks(&self) -> Vec<String> {
        let states = ["armed", "firing", "reverted", "failed", "disarmed"];
        let there = states.iter().filter(|s| Path::new(&self.folder()).join(s).exists());
        there.map(ToString::to_string).collect()
    }

    fn arm(&self, seconds: u64) -> Output {
        run(&arm(&self.folder(), &self.revert, Duration::from_secs(seconds)))
    }

    fn tell(&self, word: &str) -> String {
        let output = run(&tell(&self.folder(), word));
        assert_eq!((output.status.code(), said(&output.stderr)), (Some(0), String::new()), "{word}");
        said(&output.stdout)
    }

    /// The timers of this place that live.
    fn timers(&self) -> usize {
        let line = |e: fs::DirEntry| fs::read_to_string(e.path().join("cmdline")).ok();
        let all = fs::read_dir("/proc").unwrap().flatten().filter_map(line);
        all.filter(|line| line.contains(&format!("{}/revert.sh\0wait", self.folder()))).count()
    }
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_string()
}

fn run(cmd: &Cmd) -> Output {
    use std::io::Write;
    let mut command = Command::new(&cmd.argv[0]);
    command.args(&cmd.argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(cmd.stdin.clone().unwrap_or_default().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "not within twenty seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes, mode, owner and time of a file.
fn looks(path: &Path) -> (Vec<u8>, u32, u32, i64, i64) {
    let meta = fs::metadata(path).unwrap();
    (fs::read(path).unwrap(), meta.mode(), meta.uid(), meta.mtime(), meta.mtime_nsec())
}

#[test]
fn the_text_is_this() {
    let revert = Revert {
        files: vec!["/etc/network/interfaces".into(), "/etc/it's".into()],
        after: vec![vec!["ifreload".into(), "-a".into()], vec!["sh".into(), "-c".into(), "echo a; b".into()]],
    };
    let all = super::text("/var/lib/piton/revert-r-1", &revert);
    let head = r#"# Written by piton: takes a change back unless it is confirmed in time.
dir=/var/lib/piton/revert-r-1
unit=piton-revert-r-1
tools='ifreload echo'
each() {
  rc=0
  "$1" 0 /etc/network/interfaces || rc=1
  "$1" 1 '/etc/it'\''s' || rc=1
  return $rc
}
parses() {
  sh -n -c 'echo a; b' || return 1
  return 0
}
after() {
  rc=0
  ifreload -a || { say "exit status $? of" 'ifreload -a'; rc=1; }
  sh -c 'echo a; b' || { say "exit status $? of" 'sh -c '\''echo a; b'\'''; rc=1; }
  return $rc
}

"#;
    assert_eq!(all.strip_suffix(BODY), Some(head));
    assert_eq!(folder(&RunId("r".into()), 1), "/var/lib/piton/revert-r-1");
}

#[test]
fn systemd_gets_a_timer_that_is_sharp_and_a_unit_for_the_next_boot() {
    // Not run here: this machine has no systemd. What it would be told is held to the word.
    for line in [
        "guard && systemd-run --quiet --collect --unit=\"$unit\" --on-active=\"${1}s\" \\\n      --timer-property=AccuracySec=100ms /bin/sh \"$dir/revert.sh\" fire",
        "ConditionPathExists=|$dir/armed\nConditionPathExists=|$dir/firing\n",
        "ExecStart=/bin/sh $dir/revert.sh boot\n",
        "WantedBy=multi-user.target\n",
        "systemctl enable --quiet \"$unit-boot.service\"",
        "systemctl stop \"$unit.timer\"",
    ] {
        assert!(BODY.contains(line), "{line}");
    }
}

#[test]
fn it_fires_by_itself_and_everything_is_byte_for_byte_as_before() {
    let place = Place::new(&["plain", "odd 'name'", "link", "absent", "gone/deep"], &["echo ran >> DIR/after"]);
    fs::write(place.path("plain"), b"a\0b\nno newline").unwrap();
    fs::set_permissions(place.path("plain"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(place.path("odd 'name'"), "odd\n").unwrap();
    fs::write(place.path("behind"), "behind\n").unwrap();
    symlink("behind", place.path("link")).unwrap();
    fs::create_dir(place.path("gone")).unwrap();
    fs::write(place.path("gone/deep"), "deep\n").unwrap();
    let files = ["plain", "odd 'name'", "behind", "gone/deep"];
    let before = files.map(|f| looks(&place.path(f)));

    let armed = place.arm(1);
    assert_eq!((armed.status.code(), said(&armed.stdout)), (Some(0), "armed".into()), "{armed:?}");
    assert_eq!(fs::metadata(place.folder()).unwrap().mode() & 0o777, 0o700);
    fs::remove_file(place.path("plain")).unwrap();
    fs::write(place.path("odd 'name'"), "spoiled\n").unwrap();
    fs::write(place.path("link"), "spoiled\n").unwrap();
    fs::write(place.path("absent"), "there\n").unwrap();
    fs::remove_dir_all(place.path("gone")).unwrap();
    assert!(!place.path("after").exists());

    until("the revert has run", || place.marks() == ["reverted"]);
    assert_eq!(place.tell("status"), "reverted");
    assert_eq!(files.map(|f| looks(&place.path(f))), before);
    assert_eq!(fs::read_link(place.path("link")).unwrap(), Path::new("behind"));
    assert!(!place.path("absent").exists());
    assert_eq!(fs::read_to_string(place.path("after")).unwrap(), "ran\n");
    assert_eq!(fs::metadata(place.path("after")).unwrap().mode() & 0o777, 0o644);

    // It says what is not as it was; confirming comes too late; a second shot does nothing.
    fs::write(place.path("plain"), "again\n").unwrap();
    assert_eq!(place.tell("status"), format!("reverted\ndiffers {}", place.path("plain").display()));
    assert!(place.tell("disarm").starts_with("reverted"));
    place.tell("fire");
    assert_eq!(fs::read_to_string(place.path("plain")).unwrap(), "again\n");
    place.tell("clear");
    assert_eq!((place.path("piton").exists(), place.tell("status")), (false, "gone".into()));
    until("no timer is left", || place.timers() == 0);
}

#[test]
fn what_is_confirmed_stays_and_leaves_nothing() {
    let place = Place::new(&["file"], &["echo ran >> DIR/after"]);
    fs::write(place.path("file"), "old\n").unwrap();
    assert!(place.arm(60).status.success());
    assert_eq!((place.timers(), place.tell("status")), (1, "armed".into()));
    fs::write(place.path("file"), "new\n").unwrap();
    assert_eq!(place.tell("disarm"), "disarmed");
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "new\n");
    assert!(!place.path("piton").exists() && !place.path("after").exists());
    until("no timer is left", || place.timers() == 0);
    assert_eq!(place.tell("disarm"), "gone");
}

#[test]
fn it_fires_at_once_when_told_and_also_if_its_timer_is_dead() {
    for dead in [false, true] {
        let place = Place::new(&["file"], &[]);
        fs::write(place.path("file"), "old\n").unwrap();
        assert!(place.arm(600).status.success());
        fs::write(place.path("file"), "new\n").unwrap();
        if dead {
            let pid = fs::read_to_string(Path::new(&place.folder()).join("pid")).unwrap();
            run(&Cmd::new(["kill", "-9", "--", &format!("-{}", pid.trim())]));
            until("the timer is dead", || place.timers() == 0);
        }
        place.tell("now");
        until("it has fired", || place.marks() == ["reverted"]);
        assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "old\n");
    }
}

#[test]
fn of_confirming_and_firing_at_the_same_moment_one_wins() {
    for round in 0..20 {
        let place = Place::new(&["file"], &[]);
        fs::write(place.path("file"), "old\n").unwrap();
        assert!(place.arm(600).status.success());
        fs::write(place.path("file"), "new\n").unwrap();
        let start = |word: &str| {
            let cmd = tell(&place.folder(), word);
            Command::new(&cmd.argv[0]).args(&cmd.argv[1..]).stdout(Stdio::piped()).spawn().unwrap()
        };
        // Both orders of starting.
        let (disarm, fire) = if round % 2 == 0 {
            let disarm = start("disarm");
            (disarm, start("fire"))
        } else {
            let fire = start("fire");
            (start("disarm"), fire)
        };
        let answer = said(&disarm.wait_with_output().unwrap().stdout);
        fire.wait_with_output().unwrap();
        let now = fs::read_to_string(place.path("file")).unwrap();
        if answer == "disarmed" {
            assert_eq!((now.as_str(), place.path("piton").exists()), ("new\n", false));
        } else {
            assert!(["firing", "reverted"].contains(&answer.as_str()), "{answer}");
            assert_eq!((now.as_str(), place.marks()), ("old\n", vec!["reverted".to_string()]));
        }
    }
}

#[test]
fn what_cannot_be_relied_on_is_not_armed() {
    let missing = |place: &Place| {
        let output = place.arm(60);
        assert_eq!((output.status.code(), place.marks(), place.timers()), (Some(1), vec![], 0));
        said(&output.stdout)
    };
    let place = Place::new(&["file"], &["no-such-tool --now"]);
    assert_eq!(missing(&place), "the revert needs the program no-such-tool, which is not here");
    let place = Place::new(&["file"], &["if true; then"]);
    assert_eq!(missing(&place), "what the revert runs afterwards cannot be parsed");
    let place = Place::new(&["folder"], &[]);
    fs::create_dir(place.path("folder")).unwrap();
    assert_eq!(missing(&place), format!("{} is not a plain file", place.path("folder").display()));
    assert_eq!(place.tell("status"), "none");
    // The folder is the once-token.
    assert_ne!(place.arm(60).status.code(), Some(0));
}

#[test]
fn a_revert_that_half_works_says_so_and_keeps_the_copies() {
    let place = Place::new(&["file"], &["exit 7"]);
    fs::write(place.path("file"), "old\n").unwrap();
    assert!(place.arm(600).status.success());
    fs::write(place.path("file"), "new\n").unwrap();
    place.tell("now");
    until("it has fired", || place.marks() == ["failed"]);
    assert_eq!(place.tell("status"), "failed\nexit status 7 of sh -c 'exit 7'");
    assert_eq!(fs::read_to_string(place.path("file")).unwrap(), "old\n");
    assert_eq!(fs::read_to_string(Path::new(&place.folder()).join("0")).unwrap(), "old\n");
}

#[test]
fn a_revert_that_a_power_cut_stopped_goes_on_at_the_next_boot() {
    let place = Place::new(&["file"], &[]);
    fs::write(place.path("file"), "old\n").unwrap();
    assert!(place.arm(600).status.success());
    fs::write(place.path("file"), "half").unwrap();
    let at = |name: &str| Path::new(&place.folder()).join(name);
    fs::rename(at("armed"), at("firing")).unwrap();
    place.tell("fire");
    assert_eq!(place.marks(), ["firing"]);
    place.tell("boot");
    assert_eq!(
        (place.marks(), fs::read_to_string(place.path("file")).unwrap()),
        (vec!["reverted".into()], "old\n".into())
    );
    place.tell("clear");
}
