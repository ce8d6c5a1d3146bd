//! Who answers in a run: the person at the terminal, `--yes`, or nobody.

use super::terminal;
use crate::engine::operator::{NoAnswer, Operator};
use crate::modules::PromptKind;
use crate::report::clean;
use crate::report::screen::Screen;
use crate::transport::Boxed;
use tokio::sync::Mutex;

/// Answers for the person who typed the command.
pub struct Asker {
    /// `--yes`: confirmations are given without asking.
    yes: bool,
    /// Somebody sits at the terminal.
    terminal: bool,
    screen: Screen,
    /// One question at a time.
    one: Mutex<()>,
}

impl Asker {
    /// Asks on the terminal if there is one; the display steps aside meanwhile.
    pub fn new(yes: bool, screen: Screen) -> Self {
        Self { yes, terminal: terminal::is_there(), screen, one: Mutex::default() }
    }

    async fn answer(&self, host: &str, kind: &PromptKind) -> Result<String, NoAnswer> {
        if let Some(answer) = unasked(kind, self.yes, self.terminal) {
            return answer;
        }
        let _one = self.one.lock().await;
        self.screen.pause();
        let (host, kind) = (clean::line(host), kind.clone());
        let answer = tokio::task::spawn_blocking(move || at_terminal(&host, &kind)).await;
        self.screen.resume();
        match answer {
            Ok(answer) => answer,
            Err(error) => Err(no(format!("the question could not be asked: {error}"))),
        }
    }
}

impl Operator for Asker {
    fn ask<'a>(&'a self, host: &'a str, kind: &'a PromptKind) -> Boxed<'a, Result<String, NoAnswer>> {
        Box::pin(self.answer(host, kind))
    }
}

fn no(why: impl Into<String>) -> NoAnswer {
    NoAnswer { why: why.into() }
}

/// What can be answered without asking a person; `None`: ask.
fn unasked(kind: &PromptKind, yes: bool, terminal: bool) -> Option<Result<String, NoAnswer>> {
    match kind {
        PromptKind::Confirm(_) if yes => Some(Ok("yes".to_string())),
        PromptKind::Ask { default: Some(default), .. } if yes => Some(Ok(default.clone())),
        PromptKind::Notice(_) => Some(Ok(String::new())),
        PromptKind::Confirm(_) if !terminal => Some(Err(no("no terminal to ask at; `--yes` confirms without asking"))),
        PromptKind::Typed { .. } | PromptKind::Manual(_) | PromptKind::Ask { .. } if yes => {
            Some(Err(no("`--yes` confirms, but this needs a person: run it at a terminal without `--yes`")))
        }
        _ if !terminal => Some(Err(no("no terminal to ask at: run it where somebody can answer"))),
        _ => None,
    }
}

/// Asks until the answer is one.
fn at_terminal(host: &str, kind: &PromptKind) -> Result<String, NoAnswer> {
    let text = clean::text(kind.text());
    let place = if host.is_empty() { String::new() } else { format!("{host}: ") };
    let read = |tail: &str| {
        let question = format!("\n{place}{text}{tail} ");
        terminal::ask(&question).map_err(|e| no(format!("the terminal gave no answer: {e}")))
    };
    match kind {
        PromptKind::Confirm(_) => loop {
            match read(" [yes/no]")?.to_lowercase().as_str() {
                "y" | "yes" => return Ok("yes".to_string()),
                "n" | "no" => return Ok("no".to_string()),
                _ => {}
            }
        },
        PromptKind::Ask { default, .. } => {
            let tail = default.as_ref().map_or_else(|| ":".to_string(), |d| format!(" [{}]:", clean::line(d)));
            loop {
                match (read(&tail)?, default) {
                    (answer, Some(default)) if answer.is_empty() => return Ok(default.clone()),
                    (answer, None) if answer.is_empty() => {}
                    (answer, _) => return Ok(answer),
                }
            }
        }
        PromptKind::Manual(_) => read("\nPress Enter when it is done, Ctrl-C to stop."),
        PromptKind::Notice(_) => Ok(String::new()),
        PromptKind::Typed { name, .. } => {
            let answer = read(&format!("\nType {} to go on:", clean::line(name)))?;
            if answer == *name { Ok(answer) } else { Err(no(format!("`{}` was to be typed", clean::line(name)))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(default: Option<&str>) -> PromptKind {
        PromptKind::Ask { text: "t".into(), default: default.map(Into::into) }
    }

    #[test]
    fn yes_confirms_and_takes_defaults_and_nothing_else() {
        let yes = |kind| unasked(&kind, true, true);
        assert_eq!(yes(PromptKind::Confirm("go?".into())), Some(Ok("yes".into())));
        assert_eq!(yes(ask(Some("4"))), Some(Ok("4".into())));
        assert_eq!(yes(PromptKind::Notice("n".into())), Some(Ok(String::new())));
        assert!(matches!(yes(ask(None)), Some(Err(_))));
        assert!(matches!(yes(PromptKind::Manual("m".into())), Some(Err(_))));
        let typed = PromptKind::Typed { text: "delete?".into(), name: "extranet".into() };
        assert!(matches!(yes(typed), Some(Err(_))));
    }

    #[test]
    fn without_a_terminal_there_is_no_answer_and_at_one_there_is_a_question() {
        for kind in [PromptKind::Confirm("go?".into()), ask(Some("4")), PromptKind::Manual("m".into())] {
            assert!(matches!(unasked(&kind, false, false), Some(Err(_))), "{kind:?}");
            assert_eq!(unasked(&kind, false, true), None, "{kind:?}");
        }
    }
}
