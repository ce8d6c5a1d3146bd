//! The typed [`Module`] behind a `dyn`-safe face, once, so that the table can be static.

use super::{Answer, Ask, Change, Cx, Example, Module, ModuleError, Nature, Poll, Problem, Verdict, Want};
use serde::Serialize;
use serde_json::{Map, Value};
use std::marker::PhantomData;

/// A step kind as the table holds it.
pub trait Erased: Sync {
    /// The key in a step.
    fn name(&self) -> &'static str;
    /// One line.
    fn summary(&self) -> &'static str;
    /// Worked examples.
    fn examples(&self) -> &'static [Example];
    /// The parameter that a bare string stands for.
    fn shorthand(&self) -> Option<&'static str>;
    /// JSON Schema of the parameters.
    fn schema(&self) -> Value;
    /// Parameters from a rendered value.
    ///
    /// # Errors
    /// [`ParamError`] with the path of the value that does not fit.
    fn parse(&self, value: Value) -> Result<Box<dyn Instance>, ParamError>;
}

/// Parameters that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// Path in the parameters.
    pub at: Vec<String>,
    /// What serde said.
    pub message: String,
}

/// What the answers led to.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What would have to change.
    pub changes: Vec<Change>,
    /// For steps that look.
    pub verdict: Verdict,
    /// Extra fields for `out.<register>`.
    pub facts: Map<String, Value>,
    /// What is worth reading although nothing is wrong.
    pub notes: Vec<String>,
}

/// One step's module with its parameters.
pub trait Instance: Send + Sync + std::fmt::Debug {
    /// See [`Module::nature`].
    fn nature(&self) -> Nature;
    /// See [`Module::repeatable`].
    fn repeatable(&self) -> bool;
    /// See [`Module::needs_checkpoint`].
    fn needs_checkpoint(&self) -> bool;
    /// See [`Module::validate`].
    fn validate(&self) -> Vec<Problem>;
    /// See [`Module::local_files`].
    fn local_files(&self) -> Vec<Want>;
    /// See [`Module::probe`].
    fn probe(&self, cx: &Cx) -> Vec<Ask>;
    /// Read, plan, verdict and facts in one go.
    ///
    /// # Errors
    /// Those of [`Module::read`] and [`Module::plan`].
    fn decide(&self, cx: &Cx, answers: &[Answer]) -> Result<Decision, ModuleError>;
    /// See [`Module::poll`].
    fn poll(&self) -> Option<Poll>;
    /// The parameters again as a value: for digests and reports.
    fn value(&self) -> Value;
}

/// A typed module in the table.
pub struct Of<M>(PhantomData<fn() -> M>);

impl<M> Of<M> {
    /// The entry.
    pub const NEW: Self = Self(PhantomData);
}

impl<M: Module> Erased for Of<M> {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn summary(&self) -> &'static str {
        M::SUMMARY
    }

    fn examples(&self) -> &'static [Example] {
        M::EXAMPLES
    }

    fn shorthand(&self) -> Option<&'static str> {
        M::SHORTHAND
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(M::Params).to_value()
    }

    fn parse(&self, value: Value) -> Result<Box<dyn Instance>, ParamError> {
        let value = match (value, M::SHORTHAND) {
            (Value::String(text), Some(field)) => Value::Object(Map::from_iter([(field.to_string(), text.into())])),
            (Value::Null, _) => Value::Object(Map::new()),
            (value, _) => value,
        };
        match serde_path_to_error::deserialize::<_, M::Params>(value) {
            Ok(params) => Ok(Box::new(Bound::<M>(params))),
            Err(error) => {
                let at = error.path().iter().filter_map(segment).collect();
                Err(ParamError { at, message: error.into_inner().to_string() })
            }
        }
    }
}

fn segment(segment: &serde_path_to_error::Segment) -> Option<String> {
    use serde_path_to_error::Segment;
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

struct Bound<M: Module>(M::Params);

impl<M: Module> std::fmt::Debug for Bound<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple(M::NAME).field(&self.0).finish()
    }
}

impl<M: Module> Instance for Bound<M> {
    fn nature(&self) -> Nature {
        M::nature(&self.0)
    }

    fn repeatable(&self) -> bool {
        M::repeatable(&self.0)
    }

    fn needs_checkpoint(&self) -> bool {
        M::needs_checkpoint(&self.0)
    }

    fn validate(&self) -> Vec<Problem> {
        M::validate(&self.0)
    }

    fn local_files(&self) -> Vec<Want> {
        M::local_files(&self.0)
    }

    fn probe(&self, cx: &Cx) -> Vec<Ask> {
        M::probe(&self.0, cx)
    }

    fn decide(&self, cx: &Cx, answers: &[Answer]) -> Result<Decision, ModuleError> {
        let state = M::read(&self.0, cx, answers)?;
        let verdict = M::verdict(&self.0, cx, &state);
        let changes = M::plan(&self.0, cx, &state)?;
        Ok(Decision { changes, verdict, facts: M::facts(&self.0, &state), notes: M::notes(&self.0, &state) })
    }

    fn poll(&self) -> Option<Poll> {
        M::poll(&self.0)
    }

    fn value(&self) -> Value {
        serde_json::to_value(Wrap(&self.0)).unwrap_or(Value::Null)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Wrap<'a, T: Serialize>(&'a T);
