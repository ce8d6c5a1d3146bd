//! `assert`: expressions that must hold. The engine evaluates them, because modules see no variables.

use super::scalar::Listed;
use super::{Answer, Ask, Change, Cx, Example, Module, ModuleError, Nature, Problem, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step kind.
#[derive(Debug)]
pub struct Assert;

/// Parameters of `assert`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Expressions that must all be true, as in `when`; one, or a list.
    that: Listed,
    /// What to say if one is not.
    msg: Option<String>,
    /// What each expression came to, in the same order; set by the engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    results: Vec<bool>,
}

impl Module for Assert {
    type Params = Params;
    type State = ();

    const NAME: &'static str = "assert";
    const SUMMARY: &'static str = "expressions that must hold";
    const EXAMPLES: &'static [Example] = &[
        Example { name: "one expression", yaml: "assert: { that: \"host.name != ''\" }\n" },
        Example {
            name: "several, with what to do about it",
            yaml: "assert: { that: [\"host.name != ''\", 1 < 2], msg: the inventory gives this host no name }\n",
        },
    ];

    fn nature(_params: &Params) -> Nature {
        Nature::Looks
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = Vec::new();
        if params.that.0.is_empty() {
            out.push(Problem::at("that", "`that` has no expression"));
        }
        if params.that.0.iter().any(|e| e.trim().is_empty()) {
            out.push(Problem::at("that", "an expression is empty"));
        }
        if !params.results.is_empty() && params.results.len() != params.that.0.len() {
            out.push(Problem::at("results", "`results` is set by piton, not by runbooks"));
        }
        out
    }

    fn probe(_params: &Params, _cx: &Cx) -> Vec<Ask> {
        Vec::new()
    }

    fn read(params: &Params, _cx: &Cx, _answers: &[Answer]) -> Result<(), ModuleError> {
        if params.results.len() == params.that.0.len() {
            return Ok(());
        }
        Err(ModuleError::unreadable("the expressions have not been evaluated", ""))
    }

    fn plan(_params: &Params, _cx: &Cx, _state: &()) -> Result<Vec<Change>, ModuleError> {
        Ok(Vec::new())
    }

    fn verdict(params: &Params, _cx: &Cx, _state: &()) -> Verdict {
        let broken: Vec<_> = params
            .that
            .0
            .iter()
            .zip(&params.results)
            .filter(|(_, holds)| !**holds)
            .map(|(e, _)| format!("`{e}`"))
            .collect();
        if broken.is_empty() {
            return Verdict::Holds;
        }
        let verb = if broken.len() == 1 { "does" } else { "do" };
        let text = format!("{} {verb} not hold", broken.join(", "));
        Verdict::Fails(params.msg.as_ref().map_or(text.clone(), |msg| format!("{msg} ({text})")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    fn verdict(params: serde_json::Value) -> Verdict {
        bench::decide(bench::instance("assert", params).as_ref(), &Cx::default()).unwrap().verdict
    }

    #[test]
    fn the_verdict_names_what_does_not_hold() {
        assert_eq!(verdict(json!({ "that": ["a", "b"], "results": [true, true] })), Verdict::Holds);
        let fails = verdict(json!({ "that": ["a", "b", "c"], "results": [true, false, false] }));
        assert_eq!(fails, Verdict::Fails("`b`, `c` do not hold".into()));
        let fails = verdict(json!({ "that": "x > 1", "msg": "x is too small", "results": [false] }));
        assert_eq!(fails, Verdict::Fails("x is too small (`x > 1` does not hold)".into()));
    }

    #[test]
    fn what_was_not_evaluated_never_holds() {
        let step = bench::instance("assert", json!({ "that": "a" }));
        assert!(bench::decide(step.as_ref(), &Cx::default()).is_err());
        assert_eq!(bench::problems("assert", json!({ "that": [] })), ["`that` has no expression"]);
        assert_eq!(
            bench::problems("assert", json!({ "that": "a", "results": [true, true] })),
            ["`results` is set by piton, not by runbooks"]
        );
    }
}
