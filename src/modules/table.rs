//! The table of step kinds: one line each, sorted by name.

use super::assert::Assert;
use super::command::Command;
use super::copy::Copy;
use super::fetch::Fetch;
use super::file::File;
use super::http::Http;
use super::line::Line;
use super::prompt::Prompt;
use super::pve_bridge::PveBridge;
use super::pve_snapshot::PveSnapshot;
use super::pve_vm::PveVm;
use super::script::Script;
use super::service::Service;
use super::template::Template;
use super::wait::Wait;
use super::{Erased, Of};

/// Every step kind.
pub static ALL: &[&dyn Erased] = &[
    &Of::<Assert>::NEW,
    &Of::<Command>::NEW,
    &Of::<Copy>::NEW,
    &Of::<Fetch>::NEW,
    &Of::<File>::NEW,
    &Of::<Http>::NEW,
    &Of::<Line>::NEW,
    &Of::<Prompt>::NEW,
    &Of::<PveBridge>::NEW,
    &Of::<PveSnapshot>::NEW,
    &Of::<PveVm>::NEW,
    &Of::<Script>::NEW,
    &Of::<Service>::NEW,
    &Of::<Template>::NEW,
    &Of::<Wait>::NEW,
];

/// The step kind of this name.
pub fn find(name: &str) -> Option<&'static dyn Erased> {
    ALL.iter().copied().find(|m| m.name() == name)
}

/// All names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|m| m.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_kind_is_sorted_described_and_strict() {
        let all: Vec<_> = names().collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(all, sorted);
        for module in ALL {
            assert!(!module.summary().is_empty() && !module.examples().is_empty(), "{}", module.name());
            let schema = module.schema();
            assert_eq!(schema["additionalProperties"], false, "{}", module.name());
            for (field, of) in schema["properties"].as_object().unwrap() {
                assert!(of["description"].is_string(), "{}.{field} has no description", module.name());
            }
            let unknown = serde_json::json!({ "no_such_parameter": 1 });
            let error = module.parse(unknown).unwrap_err();
            assert!(error.message.contains("no_such_parameter"), "{}: {error}", module.name());
        }
    }

    #[test]
    fn every_example_is_right() {
        for module in ALL {
            for example in module.examples() {
                let step: serde_json::Value = serde_saphyr::from_str(example.yaml).unwrap();
                let params = step[module.name()].clone();
                assert!(!params.is_null(), "{}: {}", module.name(), example.name);
                let instance =
                    module.parse(params).unwrap_or_else(|e| panic!("{}: {}: {e}", module.name(), example.name));
                assert_eq!(instance.validate(), [], "{}: {}", module.name(), example.name);
                let again = module.parse(instance.value()).unwrap_or_else(|e| panic!("{}: {e}", module.name()));
                assert_eq!(again.value(), instance.value());
            }
        }
    }
}
