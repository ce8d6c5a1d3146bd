//! Fetches the values of secrets before a run, each at most once and only those that are used.

use super::{Stop, terminal};
use crate::load::inventory::{Provider, SecretSource};
use crate::secret::Vault;
use secrecy::SecretString;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;
use zeroize::Zeroizing;

/// More than this is not a secret but a mistake: 64 KiB.
const LONGEST: u64 = 64 * 1024;

/// Fetches the sources for which `needed` holds.
///
/// # Errors
/// Bad input: nothing was contacted. Never holds a value.
pub async fn fetch(sources: &[SecretSource], needed: impl Fn(&str) -> bool) -> Result<Vault, Stop> {
    let vault = Vault::default();
    for source in sources.iter().filter(|s| needed(&s.name)) {
        let name = &source.name;
        let value = value(name, &source.from).await?;
        if value.contains('\0') {
            return Err(wrong(name, "its value holds a NUL byte"));
        }
        vault.insert(name, SecretString::from(value.as_str())).map_err(|e| Stop::input(e.to_string()))?;
    }
    Ok(vault)
}

async fn value(name: &str, from: &Provider) -> Result<Zeroizing<String>, Stop> {
    match from {
        Provider::Command(argv) => command(name, argv).await,
        Provider::File(path) => file(name, path),
        Provider::Env(variable) => match std::env::var(variable) {
            Ok(value) => Ok(Zeroizing::new(value)),
            Err(_) => Err(wrong(name, &format!("the environment variable {variable} is not set (or is not UTF-8)"))),
        },
        Provider::Prompt(text) => prompt(name, text).await,
    }
}

/// Its standard output; what it says on standard error goes to the operator, who may have to unlock something.
async fn command(name: &str, argv: &[String]) -> Result<Zeroizing<String>, Stop> {
    let Some((program, args)) = argv.split_first() else { return Err(wrong(name, "its command is empty")) };
    // `Command::output` would take standard error too.
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| wrong(name, &format!("`{program}` cannot be started: {e}")))?;
    let output = child.wait_with_output().await.map_err(|e| wrong(name, &format!("`{program}`: {e}")))?;
    let stdout = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(wrong(name, &format!("`{program}` ended with {}", output.status)));
    }
    text(name, stdout)
}

/// A file that nobody else may read: a secret that others can read is none.
fn file(name: &str, path: &Path) -> Result<Zeroizing<String>, Stop> {
    let shown = path.display();
    let fail = |e: std::io::Error| wrong(name, &format!("{shown}: {e}"));
    let file = std::fs::File::open(path).map_err(fail)?;
    // Of the open file, not of the name: it cannot be exchanged in between.
    let about = file.metadata().map_err(fail)?;
    if !about.is_file() {
        return Err(wrong(name, &format!("{shown} is not a file")));
    }
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me {
        return Err(wrong(name, &format!("{shown} belongs to user {}, not to you ({me})", about.uid())));
    }
    if about.mode() & 0o077 != 0 {
        let mode = about.mode() & 0o7777;
        return Err(wrong(name, &format!("{shown} can be read or written by others (mode {mode:04o})"))
            .hint(format!("chmod 600 {}", crate::cmd::quote(&shown.to_string()))));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    text(name, bytes)
}

async fn prompt(name: &str, text: &str) -> Result<Zeroizing<String>, Stop> {
    if !terminal::is_there() {
        return Err(wrong(name, "it is to be typed, and there is no terminal"));
    }
    let question = format!("{}: ", crate::report::clean::line(text));
    let typed = tokio::task::spawn_blocking(move || terminal::ask_hidden(&question)).await;
    match typed {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(wrong(name, &format!("nothing was typed: {error}"))),
        Err(error) => Err(wrong(name, &error.to_string())),
    }
}

/// Bytes as text, without one newline at the end.
fn text(name: &str, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, Stop> {
    if bytes.len() as u64 > LONGEST {
        return Err(wrong(name, "its value is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(name, "its value is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Zeroizing::new(text.strip_suffix('\r').unwrap_or(text).to_string()))
}

fn wrong(name: &str, why: &str) -> Stop {
    Stop::input(format!("secret `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::source::{FileId, Span};
    use std::os::unix::fs::PermissionsExt as _;

    fn source(name: &str, from: Provider) -> SecretSource {
        SecretSource { name: name.into(), span: Span { file: FileId(0), start: 0, end: 0 }, from }
    }

    async fn fetched(from: Provider) -> Result<String, Stop> {
        let vault = fetch(&[source("db", from)], |_| true).await?;
        Ok(vault.reveal(&crate::secret::mark("db")).unwrap().to_string())
    }

    fn sh(text: &str) -> Provider {
        Provider::Command(vec!["sh".into(), "-c".into(), text.into()])
    }

    #[tokio::test]
    async fn a_command_gives_its_output_less_one_newline() {
        assert_eq!(fetched(sh("echo hunter22")).await.unwrap(), "hunter22");
        assert_eq!(fetched(sh("printf 'two\\nlines\\n\\n'")).await.unwrap(), "two\nlines\n");
    }

    #[tokio::test]
    async fn a_command_that_fails_is_bad_input_without_its_output() {
        let stop = fetched(sh("echo hunter22; exit 3")).await.unwrap_err();
        assert_eq!(stop.to_string(), "error: secret `db`: `sh` ended with exit status: 3");
        assert_eq!(stop.exit, crate::exit::Exit::BadInput);
        let stop = fetched(Provider::Command(vec!["/no/such".into()])).await.unwrap_err();
        assert!(stop.message.starts_with("secret `db`: `/no/such` cannot be started: "), "{stop}");
    }

    #[tokio::test]
    async fn a_file_must_be_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        std::fs::write(&path, "hunter22\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(fetched(Provider::File(path.clone())).await.unwrap(), "hunter22");
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let stop = fetched(Provider::File(path.clone())).await.unwrap_err();
            assert!(stop.message.ends_with(&format!("by others (mode {mode:04o})")), "{stop}");
            assert_eq!(stop.hint, Some(format!("chmod 600 {}", path.display())));
        }
    }

    #[tokio::test]
    async fn only_what_is_needed_is_fetched() {
        let sources = [source("never", sh("exit 1")), source("used", sh("echo hunter22"))];
        let vault = fetch(&sources, |name| name == "used").await.unwrap();
        assert!(vault.has("used") && !vault.has("never"));
    }

    #[tokio::test]
    async fn values_that_cannot_be_kept_out_of_outputs_are_refused() {
        let stop = fetched(sh("echo abc")).await.unwrap_err();
        assert!(stop.message.contains("fewer than 4 bytes"), "{stop}");
        let stop = fetched(sh("printf 'ab\\0cd'")).await.unwrap_err();
        assert_eq!(stop.message, "secret `db`: its value holds a NUL byte");
    }

    #[tokio::test]
    async fn a_variable_that_is_not_set_is_named() {
        let stop = fetched(Provider::Env("PITON_TEST_NOT_SET".into())).await.unwrap_err();
        assert!(stop.message.contains("PITON_TEST_NOT_SET is not set"), "{stop}");
    }
}
