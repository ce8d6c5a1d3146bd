//! `prompt`: what only a person can do or decide.

use super::{Action, Answer, Ask, Change, Cx, Example, Module, ModuleError, Nature, Problem, PromptKind, Undo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Prompt;

/// Parameters of `prompt`: exactly one of them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A yes-or-no question; no stops the run.
    confirm: Option<String>,
    /// A question with an answer in words, kept in `out.<register>.answer`.
    ask: Option<Question>,
    /// Something to do by hand; Enter says that it is done.
    manual: Option<String>,
    /// A text to read; nothing is asked.
    notice: Option<String>,
    /// A question that only a name, typed out, says yes to.
    typed: Option<Typed>,
}

/// A question with an answer in words.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The question.
    text: String,
    /// Taken for an empty answer.
    default: Option<String>,
}

/// A question that only a name says yes to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// The question.
    text: String,
    /// What has to be typed.
    name: String,
}

impl Params {
    fn kinds(&self) -> Vec<PromptKind> {
        let mut out = Vec::new();
        out.extend(self.confirm.clone().map(PromptKind::Confirm));
        out.extend(self.ask.clone().map(|q| PromptKind::Ask { text: q.text, default: q.default }));
        out.extend(self.manual.clone().map(PromptKind::Manual));
        out.extend(self.notice.clone().map(PromptKind::Notice));
        out.extend(self.typed.clone().map(|t| PromptKind::Typed { text: t.text, name: t.name }));
        out
    }
}

impl Module for Prompt {
    type Params = Params;
    type State = ();

    const NAME: &'static str = "prompt";
    const SUMMARY: &'static str = "a question, a confirmation, or work for a person";
    const SHORTHAND: Option<&'static str> = Some("confirm");
    const EXAMPLES: &'static [Example] = &[
        Example { name: "yes or no", yaml: "prompt: Is the console of the node at hand?\n" },
        Example {
            name: "work by hand",
            yaml: "prompt: { manual: \"Plug the second NIC into the DMZ switch, then press Enter.\" }\n",
        },
        Example {
            name: "a name that must be typed",
            yaml: "prompt: { typed: { text: \"This erases the pool tank.\", name: tank } }\n",
        },
    ];

    fn nature(_params: &Params) -> Nature {
        Nature::AlwaysRuns
    }

    fn repeatable(_params: &Params) -> bool {
        true
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let kinds = params.kinds();
        let mut out = Vec::new();
        if kinds.len() != 1 {
            let message = "exactly one of `confirm`, `ask`, `manual`, `notice` and `typed` is needed";
            out.push(Problem { at: Vec::new(), message: message.to_string(), hint: None });
        }
        for kind in &kinds {
            if kind.text().trim().is_empty() {
                out.push(Problem { at: Vec::new(), message: "the text is empty".to_string(), hint: None });
            }
            if let PromptKind::Typed { name, .. } = kind
                && (name.is_empty() || name.trim() != name)
            {
                out.push(Problem::at("typed", "`name` is empty, or has spaces around it"));
            }
        }
        out
    }

    fn probe(_params: &Params, _cx: &Cx) -> Vec<Ask> {
        Vec::new()
    }

    fn read(_params: &Params, _cx: &Cx, _answers: &[Answer]) -> Result<(), ModuleError> {
        Ok(())
    }

    fn plan(params: &Params, _cx: &Cx, _state: &()) -> Result<Vec<Change>, ModuleError> {
        let change = |kind: PromptKind| {
            let verb = match kind {
                PromptKind::Notice(_) => "say",
                PromptKind::Manual(_) => "wait for a person",
                _ => "ask",
            };
            Change::new(format!("{verb}: {}", kind.text().trim()), vec![Action::Prompt(kind)], Undo::Nothing)
        };
        Ok(params.kinds().into_iter().map(change).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    #[test]
    fn exactly_one_question() {
        let change = |v| {
            let step = bench::instance("prompt", v);
            assert_eq!((step.validate(), step.nature()), (vec![], Nature::AlwaysRuns));
            let mut changes = step.decide(&Cx::default(), &[]).unwrap().changes;
            assert_eq!(changes.len(), 1);
            changes.remove(0)
        };
        assert_eq!(change(json!("Go on?")).actions, [Action::Prompt(PromptKind::Confirm("Go on?".into()))]);
        let ask = change(json!({ "ask": { "text": "Which disk?", "default": "sda" } }));
        assert_eq!(ask.what, "ask: Which disk?");
        let typed = PromptKind::Typed { text: "t".into(), name: "tank".into() };
        assert_eq!(change(json!({ "typed": { "text": "t", "name": "tank" } })).actions, [Action::Prompt(typed)]);
        let one = "exactly one of `confirm`, `ask`, `manual`, `notice` and `typed` is needed";
        assert_eq!(bench::problems("prompt", json!({})), [one]);
        assert_eq!(bench::problems("prompt", json!({ "confirm": "a", "notice": "b" })), [one]);
        assert_eq!(bench::problems("prompt", json!({ "notice": " " })), ["the text is empty"]);
    }
}
