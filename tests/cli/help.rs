//! Help: there for every subcommand, and never wider than 80 columns.

use crate::builder::Test;

/// Every subcommand that `piton help` lists.
fn listed() -> Vec<String> {
    let help = Test::new().arg("--help").any_output().run().stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    commands.lines().map(|l| l.split_whitespace().next().unwrap().to_string()).collect()
}

#[test]
fn every_help_fits_80_columns_and_says_something() {
    let mut calls = vec![vec!["--help".to_string()], vec!["-h".to_string()]];
    let listed = listed();
    assert!(listed.contains(&"report".to_string()), "{listed:?}");
    for name in listed.into_iter().filter(|name| name != "help") {
        calls.push(vec![name.clone(), "--help".into()]);
        calls.push(vec![name, "-h".into()]);
    }
    for call in calls {
        let help = Test::new().args(call.clone()).any_output().run();
        assert!(help.stdout.contains("Usage: piton"), "{call:?}: {}", help.stdout);
        for line in help.stdout.lines() {
            assert!(line.chars().count() <= 80, "{call:?}: {line}");
        }
        assert_eq!(help.stderr, "", "{call:?}");
    }
}

#[test]
fn an_unknown_subcommand_is_wrong_usage() {
    Test::new()
        .arg("reprot")
        .status(2)
        .stderr(
            "error: unrecognized subcommand 'reprot'\n\n  tip: a similar subcommand exists: 'report'\n\n\
             Usage: piton [OPTIONS] <COMMAND>\n\nFor more information, try '--help'.\n",
        )
        .run();
}

#[test]
fn no_argument_shows_the_help_on_stderr_and_is_wrong_usage() {
    let got = Test::new().any_output().status(2).run();
    assert!(got.stderr.contains("Usage: piton"), "{}", got.stderr);
    assert_eq!(got.stdout, "");
}

#[test]
fn version() {
    Test::new().arg("--version").stdout(concat!("piton ", env!("CARGO_PKG_VERSION"), "\n")).run();
}

#[test]
fn quiet_and_verbose_exclude_each_other() {
    let got = Test::new().args(["-q", "-v", "runs", "list"]).any_output().status(2).run();
    assert!(got.stderr.starts_with("error: the argument '--quiet' cannot be used with '--verbose'"), "{}", got.stderr);
}
