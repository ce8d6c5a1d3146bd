//! Batches, output, background processes, deadlines, cancel, and a line that is lost.

use crate::fixture::{Sshd, processes, run, sh, sh_text, until};
use piton::cmd::{Captured, Cmd, Ended, Output};
use piton::transport::{Batch, Live, Remote, Stream, TransportError};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A `sleep` that can be told from all others: nobody else sleeps for so odd a time.
fn marker() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("6{}.{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

type Seen = (usize, Stream, String, Instant);

fn lives(marker: &str) -> bool {
    // Not the shell that was given the text, but the program itself.
    processes(|_| true).iter().any(|line| line.ends_with(&format!("sleep {marker}")))
}

fn ended(results: &[Result<Output, TransportError>]) -> Vec<Ended> {
    results.iter().map(|r| r.as_ref().unwrap().ended).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_or_stops_at_the_first_failure() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let cmds = || vec![Cmd::shell("echo 1"), Cmd::shell("echo 2; exit 3").stdin("x\ny"), Cmd::new(["cat"]).stdin("3")];
    let results = remote.run(Batch::all(cmds())).await;
    assert_eq!(ended(&results), [Ended::Code(0), Ended::Code(3), Ended::Code(0)]);
    let texts: Vec<_> = results.iter().map(|r| r.as_ref().unwrap().stdout.text().into_owned()).collect();
    assert_eq!(texts, ["1\n", "2\n", "3"]);
    let results = remote.run(Batch { stop_at_first_failure: true, ..Batch::all(cmds()) }).await;
    assert_eq!(ended(&results), [Ended::Code(0), Ended::Code(3), Ended::NotBegun]);
    // The next batch knows nothing of it.
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_and_nothing_of_the_batch_runs() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let file = user.home.join("touched");
    let touch = Cmd::new(["touch", file.to_str().unwrap()]);
    let results = remote.run(Batch::all(vec![touch, Cmd::new(["echo", &piton::secret::mark("db")])])).await;
    assert!(results.iter().all(|r| matches!(r, Err(TransportError::Refused { .. }))), "{results:?}");
    assert!(!file.exists());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_in_the_background_neither_holds_us_nor_mixes_in() {
    let sshd = Sshd::start();
    let user = sshd.user("bash");
    let remote = sshd.connect(&user.name).await;
    let begun = Instant::now();
    let late = "(sleep 0.3; echo LATE; echo LATE >&2; sleep 2; touch survived) & echo now";
    let quiet = Cmd::shell("sleep 1; echo quiet");
    let results =
        remote.run(Batch::all(vec![Cmd::shell(late), quiet, Cmd::shell(late), Cmd::new(["id", "-un"])])).await;
    let texts: Vec<_> = results.iter().map(|r| r.as_ref().unwrap().stdout.text().into_owned()).collect();
    assert_eq!(texts, ["now\n".to_string(), "quiet\n".into(), "now\n".into(), format!("{}\n", user.name)]);
    assert!(results.iter().all(|r| r.as_ref().unwrap().stderr.bytes.is_empty()));
    assert!(begun.elapsed() < Duration::from_secs(3));
    // It was not killed, and not by a broken pipe either.
    until("the background process goes on", || user.home.join("survived").exists()).await;
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_lines_come_while_it_runs() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    sshd.vault.insert("pw", "hunter22".into()).unwrap();
    let remote = sshd.connect(&user.name).await;
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let sink = Arc::clone(&seen);
    let live: Live = Arc::new(move |i, s, line| sink.lock().unwrap().push((i, s, line.into(), Instant::now())));
    let cmds = vec![Cmd::shell("echo a"), Cmd::shell("printf hunt; sleep 0.2; echo er22 >&1; sleep 0.5; echo c >&2")];
    remote.run(Batch { live: Some(live), ..Batch::all(cmds) }).await;
    let done = Instant::now();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let lines: Vec<_> = seen.iter().map(|(i, s, l, _)| (*i, *s, l.as_str())).collect();
    let mark = piton::secret::mark("pw");
    assert_eq!(lines, [(0, Stream::Out, "a"), (1, Stream::Out, mark.as_str()), (1, Stream::Err, "c")]);
    assert!(done - seen[1].3 > Duration::from_millis(400), "the line came only at the end");
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_input_and_a_large_output_do_not_wait_for_each_other() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let text = "0123456789 abcdefghij\n".repeat(40_000);
    let noise = Cmd::shell("head -c 3000000 /dev/zero");
    let results = remote.run(Batch::all(vec![noise, Cmd::new(["cat"]).stdin(text.clone())])).await;
    assert_eq!(results[0].as_ref().unwrap().stdout.total, 3_000_000);
    let output = results[1].as_ref().unwrap();
    assert_eq!(output.stdout.bytes, text.as_bytes()[..text.len().min(Captured::KEEP)]);
    assert_eq!(output.stdout.total, text.len() as u64);
    remote.close().await;
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// In a process of its own: other tests use memory, too.
#[test]
fn a_hundred_mib_of_output_are_not_held_in_memory() {
    let me = std::env::current_exe().unwrap();
    let args = ["--exact", "batches::inner_a_hundred_mib", "--ignored", "--nocapture"];
    let output = std::process::Command::new(me).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", text.lines().find(|l| l.contains("100 MiB")).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by a_hundred_mib_of_output_are_not_held_in_memory"]
async fn inner_a_hundred_mib() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    sshd.vault.insert("pw", "hunter22".into()).unwrap();
    let remote = sshd.connect(&user.name).await;
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    let (before, begun) = (peak_kib(), Instant::now());
    let output = sh_text(&remote, "yes 'a line of output, not a short one' | head -c 104857600").await;
    let (grown, took) = (peak_kib() - before, begun.elapsed());
    println!("\n100 MiB of output: {took:?}, memory grew by {grown} KiB");
    assert_eq!((output.ended, output.stdout.total), (Ended::Code(0), 100 << 20));
    assert_eq!(output.stdout.bytes.len(), Captured::KEEP);
    assert_eq!(output.stdout.spill.unwrap().metadata().unwrap().len(), 100 << 20);
    assert!(grown < 32 * 1024, "{grown} KiB");
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_here_does_not_hurt_the_command() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let mut settings = sshd.settings();
    settings.run_dir = "/nonexistent".into();
    let remote = piton::transport::SshRemote::connect(sshd.target(&user.name), settings).await.unwrap();
    let cmd = Cmd::shell("head -c 3000000 /dev/zero && touch finished");
    let error = remote.run(Batch::one(cmd)).await.remove(0).unwrap_err();
    assert!(matches!(&error, TransportError::Local { why, .. } if why.contains("No such file")), "{error:?}");
    assert!(user.home.join("finished").exists());
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_kills_the_whole_group() {
    let sshd = Sshd::start();
    for shell in ["dash", "tcsh"] {
        let user = sshd.user(shell);
        let remote = sshd.connect(&user.name).await;
        let (a, b) = (marker(), marker());
        let text = format!("echo begun; sleep {a} | cat & sleep {b}");
        let slow = Cmd::shell(text).timeout(Duration::from_millis(400));
        let begun = Instant::now();
        let results = remote.run(Batch::all(vec![slow, Cmd::shell("echo next")])).await;
        assert_eq!(ended(&results), [Ended::TimedOut, Ended::Code(0)]);
        assert_eq!(results[0].as_ref().unwrap().stdout.text(), "begun\n");
        assert_eq!(results[1].as_ref().unwrap().stdout.text(), "next\n");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        until("no process left", || !lives(&a) && !lives(&b)).await;
        remote.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hear_term_is_killed() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let a = marker();
    let deaf = Cmd::shell(format!("trap '' TERM; sleep {a}; sleep {a}")).timeout(Duration::from_millis(200));
    assert_eq!(run(&remote, deaf).await.ended, Ended::TimedOut);
    assert!(!lives(&a));
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_kills_what_runs_and_begins_nothing_more() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = Arc::new(sshd.connect(&user.name).await);
    let (a, file) = (marker(), user.home.join("begun"));
    let cmds = vec![
        Cmd::shell("echo first"),
        Cmd::shell(format!("echo second; sleep {a}")),
        Cmd::new(["touch", file.to_str().unwrap()]),
    ];
    let running = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.run(Batch::all(cmds)).await }
    });
    until("it runs", || lives(&a)).await;
    let begun = Instant::now();
    remote.cancel(Duration::from_secs(2)).await;
    let results = running.await.unwrap();
    assert_eq!(ended(&results), [Ended::Code(0), Ended::Cancelled, Ended::NotBegun]);
    assert_eq!(results[1].as_ref().unwrap().stdout.text(), "second\n");
    assert!(!lives(&a) && !file.exists());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // The connection is as good as new.
    assert!(run(remote.as_ref(), Cmd::new(["true"])).await.ok());
    remote.close().await;
}

/// The sshd that serves this user, and no other; newer ones call it `sshd-session`.
fn signal_sshd_of(user: &str, signal: Signal) {
    let mut found = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let mut words = line.split(['\0', ' ', '@']);
        if words.next().is_some_and(|w| w.starts_with("sshd")) && words.next() == Some(user) {
            let pid: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
            found += usize::from(kill_process(Pid::from_raw(pid).unwrap(), signal).is_ok());
        }
    }
    assert!(found > 0, "no sshd serves {user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_line_is_noticed() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = Arc::new(sshd.connect(&user.name).await);
    let a = marker();
    let running = tokio::spawn({
        let (remote, text) = (Arc::clone(&remote), format!("sleep {a}"));
        async move { remote.run(Batch::one(Cmd::shell(text))).await.remove(0) }
    });
    until("it runs", || lives(&a)).await;
    let begun = Instant::now();
    signal_sshd_of(&user.name, Signal::STOP);
    let result = tokio::time::timeout(Duration::from_secs(15), running).await;
    println!("\na silent line is noticed after {:?}", begun.elapsed());
    signal_sshd_of(&user.name, Signal::KILL);
    sh("pkill", &["-9", "-u", &user.name]);
    let error = result.expect("noticed in time").unwrap().unwrap_err();
    assert!(error.is_unknown() && error.to_string().contains("not responding"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_also_kills_what_nobody_waits_for_any_more() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let a = marker();
    let begun = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&begun);
    let live: Live = Arc::new(move |_, _, _| flag.store(true, Ordering::Relaxed));
    let batch = Batch { live: Some(live), ..Batch::one(Cmd::shell(format!("echo begun; sleep {a}; :"))) };
    tokio::select! {
        _ = remote.run(batch) => panic!("it ended"),
        () = until("it runs", || lives(&a) && begun.load(Ordering::Relaxed)) => {}
    }
    remote.cancel(Duration::from_secs(1)).await;
    assert!(!lives(&a));
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_a_failure_even_with_status_0() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let (a, file) = (marker(), user.home.join("begun"));
    let polite = format!("trap 'exit 0' TERM; sleep {a} & wait");
    let cmds = vec![
        Cmd::shell(polite).timeout(Duration::from_millis(200)),
        Cmd::new(["touch", file.to_str().unwrap()]),
        Cmd::new(["true"]),
    ];
    let results = remote.run(Batch { stop_at_first_failure: true, ..Batch::all(cmds) }).await;
    assert_eq!(ended(&results), [Ended::TimedOut, Ended::NotBegun, Ended::NotBegun]);
    assert!(!file.exists() && !lives(&a));
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_batches_at_a_time_do_not_wait_for_each_other() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let flag = user.home.join("flag");
    let waits = Cmd::shell("while [ ! -e flag ]; do sleep 0.05; done").timeout(Duration::from_secs(8));
    let touch = Cmd::new(["touch", flag.to_str().unwrap()]);
    let (a, b) = tokio::join!(run(&remote, waits), run(&remote, touch));
    assert!(a.ok() && b.ok(), "{a:?} {b:?}");
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_cut_leaves_what_ran_unknown() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = Arc::new(sshd.connect(&user.name).await);
    let a = marker();
    let cmds = vec![Cmd::shell("echo first"), Cmd::shell(format!("sleep {a}")), Cmd::shell("echo third")];
    let running = tokio::spawn({
        let remote = Arc::clone(&remote);
        async move { remote.run(Batch::all(cmds)).await }
    });
    until("it runs", || lives(&a)).await;
    signal_sshd_of(&user.name, Signal::KILL);
    let results = tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    assert!(results[0].as_ref().unwrap().ok());
    for result in &results[1..] {
        assert!(matches!(result, Err(TransportError::Lost { host, .. }) if host == "web"), "{result:?}");
    }
    let again = remote.run(Batch::one(Cmd::new(["true"]))).await.remove(0);
    assert!(matches!(again, Err(TransportError::Unreachable { .. })), "{again:?}");
    remote.close().await;
    sh("pkill", &["-9", "-u", &user.name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_close_nothing_of_ours_is_left() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let folders = || -> Vec<String> {
        let me = format!("{}/ssh_config", sshd.dir.path().display());
        let place = std::env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| "/tmp".into());
        std::fs::read_dir(place)
            .unwrap()
            .flatten()
            .filter(|e| std::fs::read_to_string(e.path().join("config")).is_ok_and(|text| text.contains(&me)))
            .map(|e| e.path().display().to_string())
            .collect()
    };
    let remote = sshd.connect(&user.name).await;
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    let ours = folders();
    assert_eq!(ours.len(), 1);
    assert!(!user.processes().is_empty());
    remote.close().await;
    until("nothing runs there", || user.processes().is_empty()).await;
    assert!(folders().is_empty());
    until("the master is gone", || processes(|_| true).iter().all(|line| !line.contains(&ours[0]))).await;
    assert!(!Path::new(&ours[0]).exists());
}

/// Not asserted: times on a shared machine.
#[tokio::test(flavor = "multi_thread")]
async fn how_fast() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let begun = Instant::now();
    let remote = sshd.connect(&user.name).await;
    run(&remote, Cmd::new(["true"])).await;
    println!("\nconnect and first command: {:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(run(&remote, Cmd::new(["true"])).await.ok());
    }
    let single = begun.elapsed();
    let begun = Instant::now();
    assert!(remote.run(Batch::all(vec![Cmd::new(["true"]); 20])).await.iter().all(Result::is_ok));
    let batch = begun.elapsed();
    remote.close().await;
    let config = sshd.dir.path().join("ssh_config");
    let dir = tempfile::tempdir().unwrap();
    let ssh = || {
        let mut ssh = std::process::Command::new("ssh");
        ssh.arg("-F").arg(&config).arg("-S").arg(dir.path().join("s")).args(["-o", "ControlMaster=auto", "-o"]);
        ssh.args(["ControlPersist=5", "-p", &sshd.port.to_string(), &format!("{}@127.0.0.1", user.name), "true"]);
        assert!(ssh.stderr(std::process::Stdio::null()).status().unwrap().success());
    };
    ssh();
    let begun = Instant::now();
    (0..20).for_each(|_| ssh());
    println!("20 commands: one by one {single:?}, in a batch {batch:?}, ssh over ControlMaster {:?}", begun.elapsed());
}
