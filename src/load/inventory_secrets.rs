//! The `secrets:` of an inventory: where values come from.

use super::fields::{self, entries, known, text, texts};
use super::inventory::{Provider, SecretSource};
use super::node::{Key, Kind, Node};
use super::source::Diagnostic;
use std::path::Path;

/// Reads where each comes from; values never stand here.
pub fn secrets(node: &Node, folder: &Path, diagnostics: &mut Vec<Diagnostic>) -> Vec<SecretSource> {
    let mut secrets = Vec::new();
    for (key, value) in entries(node, "secrets", diagnostics) {
        if !fields::is_variable(&key.name) {
            diagnostics.push(
                Diagnostic::error("P0307", key.span, format!("`{}` cannot be the name of a secret", key.name))
                    .hint("letters, digits and `_`"),
            );
        }
        let providers: &[&str] = &["command", "env", "file", "prompt"];
        if let Kind::Str(..) = value.kind {
            diagnostics.push(
                Diagnostic::error("P0208", value.span, "the value of a secret must not stand in an inventory")
                    .hint("say where it comes from: `command: [pass, show, NAME]`, `file: PATH`, `env: NAME` or `prompt: TEXT`"),
            );
            continue;
        }
        let fields = entries(value, &key.name, diagnostics);
        known(fields, providers, "a secret", diagnostics);
        let mut sources: Vec<&(Key, Node)> =
            fields.iter().filter(|(k, _)| providers.contains(&k.name.as_str())).collect();
        let Some((provider, setting)) = sources.pop() else {
            diagnostics.push(
                Diagnostic::error(
                    "P0211",
                    key.span,
                    format!("nothing says where the secret `{}` comes from", key.name),
                )
                .hint("one of command, file, env, prompt"),
            );
            continue;
        };
        if let Some((first, _)) = sources.first() {
            diagnostics.push(
                Diagnostic::error("P0211", provider.span, format!("the secret `{}` comes from two places", key.name))
                    .also(first.span, "and here"),
            );
            continue;
        }
        let from = match provider.name.as_str() {
            "command" => {
                let words: Vec<String> = match &setting.kind {
                    Kind::Str(line, _) => line.split_whitespace().map(str::to_string).collect(),
                    _ => texts(setting, "command", diagnostics).into_iter().map(|(t, _)| t).collect(),
                };
                if words.is_empty() {
                    diagnostics.push(Diagnostic::error("P0211", setting.span, "an empty command"));
                    continue;
                }
                Some(Provider::Command(words))
            }
            "file" => text(setting, "file", diagnostics).map(|p| Provider::File(crate::modules::inside(folder, &p))),
            "env" => text(setting, "env", diagnostics).map(Provider::Env),
            _ => text(setting, "prompt", diagnostics).map(Provider::Prompt),
        };
        if let Some(from) = from {
            secrets.push(SecretSource { name: key.name.clone(), span: key.span, from });
        }
    }
    secrets
}
