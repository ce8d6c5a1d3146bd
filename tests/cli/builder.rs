//! One builder for all tests of the command line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One call of piton in a folder of its own, with an empty environment.
pub struct Test {
    folder: tempfile::TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: String,
    stdout: Option<String>,
    stderr: Option<String>,
    status: i32,
}

/// What came out.
pub struct Got {
    /// Standard output; the folder's path as `[DIR]`.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// The folder, as long as this lives.
    pub folder: tempfile::TempDir,
}

impl Test {
    /// In a new folder; `HOME` is `home` in it.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        Self {
            folder,
            args: Vec::new(),
            env: Vec::new(),
            stdin: String::new(),
            stdout: Some(String::new()),
            stderr: Some(String::new()),
            status: 0,
        }
    }

    /// Writes a file first.
    pub fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Puts a journal of `fixtures/` where a run of this id would have left it.
    pub fn journal(self, run: &str, fixture: &str) -> Self {
        let text = std::fs::read(fixtures().join(fixture)).unwrap();
        self.file(&format!("home/.local/state/piton/runs/{run}/journal.jsonl"), text)
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Several arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The exact standard output; empty if not said.
    pub fn stdout(mut self, text: impl Into<String>) -> Self {
        self.stdout = Some(text.into());
        self
    }

    /// The exact standard error; empty if not said.
    pub fn stderr(mut self, text: impl Into<String>) -> Self {
        self.stderr = Some(text.into());
        self
    }

    /// The test looks at both outputs itself.
    pub fn any_output(mut self) -> Self {
        self.stdout = None;
        self.stderr = None;
        self
    }

    /// The exit code; 0 if not said.
    pub fn status(mut self, code: i32) -> Self {
        self.status = code;
        self
    }

    /// Runs it and compares everything at once.
    #[track_caller]
    pub fn run(self) -> Got {
        let mut child = Command::new(env!("CARGO_BIN_EXE_piton"))
            .args(&self.args)
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .env("PATH", "/usr/bin:/bin")
            .envs(self.env.clone())
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input closes the pipe: not an error of the test.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), self.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        let place = self.folder.path().to_str().unwrap();
        let plain = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().replace(place, "[DIR]");
        let got = Got { stdout: plain(&output.stdout), stderr: plain(&output.stderr), folder: self.folder };
        let mut wrong = String::new();
        if output.status.code() != Some(self.status) {
            writeln!(wrong, "exit: wanted {}, got {:?}", self.status, output.status.code()).unwrap();
        }
        for (name, want, got) in [("stdout", &self.stdout, &got.stdout), ("stderr", &self.stderr, &got.stderr)] {
            if let Some(want) = want
                && want != got
            {
                writeln!(wrong, "{name} (- wanted, + got):\n{}", compare(want, got)).unwrap();
            }
        }
        assert!(
            wrong.is_empty(),
            "piton {}\n{wrong}---- stdout\n{}---- stderr\n{}",
            self.args.join(" "),
            got.stdout,
            got.stderr
        );
        got
    }
}

/// A diff that shows where two texts part.
pub fn compare(want: &str, got: &str) -> String {
    let diff = similar::TextDiff::from_lines(want, got);
    diff.iter_all_changes().fold(String::new(), |mut out, change| {
        let sign = match change.tag() {
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Equal => ' ',
        };
        let _ = writeln!(out, "{sign}{}", change.value().trim_end_matches('\n'));
        out
    })
}

/// The folder of this test's files.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/fixtures")
}

/// Compares with a file of the fixtures, or writes it with `PITON_GOLDEN=overwrite`.
#[track_caller]
pub fn golden(path: &Path, got: &str) {
    if std::env::var("PITON_GOLDEN").as_deref() == Ok("overwrite") {
        std::fs::write(path, got).unwrap();
        return;
    }
    let want = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        want == got,
        "{} (- wanted, + got; PITON_GOLDEN=overwrite writes it)\n{}",
        path.display(),
        compare(&want, got)
    );
}
