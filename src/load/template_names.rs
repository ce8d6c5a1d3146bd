//! The names that a template uses, with their places, found in its syntax tree before it is rendered.

use super::locate;
use super::template::{self, TemplateProblem};
use super::template_helpers::{self, is_helper};
use handlebars::template::{BlockParam, HelperTemplate, Parameter, Template, TemplateElement};
use handlebars::{Path, PathSeg};

/// A name that a template uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameUse {
    /// `["roles", "dmz", "bridge"]`, from the top of the scope.
    pub path: Vec<String>,
    /// Bytes of the text.
    pub range: (usize, usize),
}

/// A mistake in a template that its syntax allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse {
    /// One line.
    pub message: String,
    /// Bytes of the text.
    pub range: (usize, usize),
    /// What to write instead.
    pub hint: Option<String>,
}

/// What [`names`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Names in the order of the text.
    pub names: Vec<NameUse>,
    /// Unknown helpers, partials.
    pub misuses: Vec<Misuse>,
}

/// All names of a template that are looked up from the top of the scope. Names that stand for fields of the current
/// item of `each` or `with` cannot be known before and are left out.
///
/// # Errors
/// [`TemplateProblem`] if the text is no template.
pub fn names(text: &str) -> Result<Found, TemplateProblem> {
    if !template::is_template(text) {
        return Ok(Found::default());
    }
    let parsed = template::parse(text)?;
    let mut walk = Walk { text, found: Found::default(), frames: Vec::new() };
    walk.template(&parsed);
    Ok(walk.found)
}

/// One block that has names of its own.
struct Frame {
    params: Vec<String>,
    /// True if plain names in it are fields of an item.
    item: bool,
}

struct Walk<'t> {
    text: &'t str,
    found: Found,
    frames: Vec<Frame>,
}

impl Walk<'_> {
    fn template(&mut self, template: &Template) {
        for (i, element) in template.elements.iter().enumerate() {
            let at = template.mapping.get(i).map_or(0, |m| locate::offset(self.text, m.0, m.1));
            match element {
                TemplateElement::Expression(h)
                | TemplateElement::HtmlExpression(h)
                | TemplateElement::HelperBlock(h) => self.helper(h, at),
                TemplateElement::PartialExpression(_) | TemplateElement::PartialBlock(_) => {
                    self.misuse(
                        "partials (`{{> x}}`) are not supported",
                        at,
                        Some("write the text out, or make it a file of its own"),
                    );
                }
                TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                    self.misuse("decorators (`{{* x}}`) are not supported", at, None);
                }
                _ => {}
            }
        }
    }

    fn misuse(&mut self, message: &str, at: usize, hint: Option<&str>) {
        let end = self.text[at..].find("}}").map_or(self.text.len(), |e| at + e + 2);
        self.found.misuses.push(Misuse {
            message: message.to_string(),
            range: (at, end),
            hint: hint.map(str::to_string),
        });
    }

    fn helper(&mut self, helper: &HelperTemplate, at: usize) {
        let bare = helper.params.is_empty() && helper.hash.is_empty() && !helper.block;
        let name = match &helper.name {
            Parameter::Name(name) => Some(name.clone()),
            Parameter::Path(path) => template::keys(path).map(|keys| keys.join(".")),
            _ => None,
        };
        if bare && !name.as_deref().is_some_and(is_helper) {
            self.parameter(&helper.name, at);
        } else if let Some(name) = name.as_deref()
            && !is_helper(name)
        {
            let range = self.word(name, at);
            let hint = super::suggest::hint(name, template_helpers::NAMES.iter().copied(), "helpers");
            let hint = if matches!(name, "default" | "lookup_or") {
                Some("there is no default: set one under `vars:`".to_string())
            } else {
                hint
            };
            self.found.misuses.push(Misuse { message: format!("there is no helper `{name}`"), range, hint });
        }
        for parameter in helper.params.iter().chain(helper.hash.values()) {
            self.parameter(parameter, at);
        }
        let params = match &helper.block_param {
            Some(BlockParam::Single(p)) => vec![p],
            Some(BlockParam::Pair((a, b))) => vec![a, b],
            _ => Vec::new(),
        };
        let params = params.iter().filter_map(|p| p.as_name()).map(str::to_string).collect();
        let item = matches!(name.as_deref(), Some("each" | "with"));
        if let Some(inner) = &helper.template {
            if item {
                self.frames.push(Frame { params, item });
            }
            self.template(inner);
            if item {
                self.frames.pop();
            }
        }
        if let Some(inverse) = &helper.inverse {
            self.template(inverse);
        }
    }

    fn parameter(&mut self, parameter: &Parameter, at: usize) {
        match parameter {
            Parameter::Path(path) => self.path(path, at),
            Parameter::Subexpression(sub) => {
                if let TemplateElement::Expression(helper) = sub.as_element() {
                    self.helper(helper, at);
                }
            }
            _ => {}
        }
    }

    fn path(&mut self, path: &Path, at: usize) {
        let Path::Relative((segments, raw)) = path else { return };
        let rules = segments.iter().take_while(|s| matches!(s, PathSeg::Ruled(_))).count();
        let keys: Vec<String> = segments
            .iter()
            .filter_map(|s| if let PathSeg::Named(name) = s { Some(name.clone()) } else { None })
            .collect();
        let root = raw.starts_with("@root");
        let Some(first) = keys.first() else { return };
        if !root {
            if rules == 0 && self.frames.iter().any(|f| f.params.contains(first)) {
                return;
            }
            let frames = &self.frames[..self.frames.len().saturating_sub(rules)];
            if frames.iter().any(|f| f.item) {
                return;
            }
        }
        let range = self.word(raw, at);
        self.found.names.push(NameUse { path: keys, range });
    }

    /// Where a word stands at or after an offset.
    fn word(&self, word: &str, from: usize) -> (usize, usize) {
        let symbol = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@');
        let rest = &self.text[from..];
        let found = rest.match_indices(word).find(|(at, _)| {
            !rest[..*at].ends_with(symbol)
                && !rest[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-')
        });
        let at = from + found.map_or(0, |(at, _)| at);
        (at, (at + word.len()).min(self.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        names(text)
            .unwrap()
            .names
            .into_iter()
            .map(|n| {
                assert!(text[n.range.0..n.range.1].contains(n.path.last().unwrap().as_str()), "{n:?} in {text}");
                n.path.join(".")
            })
            .collect()
    }

    #[test]
    fn names_from_the_top() {
        assert_eq!(list("a {{ x }} {{ roles.dmz.bridge }} {{{ y }}}"), ["x", "roles.dmz.bridge", "y"]);
        assert_eq!(list("{{#if a}}{{ b }}{{else}}{{ c }}{{/if}}"), ["a", "b", "c"]);
        assert_eq!(list("{{#if a}}1{{else if b}}2{{/if}}"), ["a", "b"]);
        assert_eq!(
            list("{{#each list}}{{ this.x }}{{ y }}{{ @index }}{{ ../z }}{{ @root.w }}{{/each}}"),
            ["list", "z", "w"]
        );
        assert_eq!(list("{{#each list as |one|}}{{ one.x }}{{/each}}{{ one }}"), ["list", "one"]);
        assert_eq!(list("{{ quote (lower name) }} {{ join hosts \", \" }}"), ["name", "hosts"]);
        assert_eq!(list(r"\{{ docker }} {{ x }}"), ["x"]);
        assert_eq!(list("{{ list.0 }} {{ list.[1] }}"), ["list.0", "list.1"]);
        assert_eq!(list("{{! x }}{{!-- y --}}z"), Vec::<String>::new());
    }

    #[test]
    fn places_are_those_of_the_name() {
        let text = "é {{ a }}\n  {{ b }}";
        let found = names(text).unwrap().names;
        assert_eq!(found.iter().map(|n| n.range).collect::<Vec<_>>(), [(6, 7), (16, 17)]);
    }

    #[test]
    fn unknown_helpers_and_partials() {
        let found = names("{{ lowr x }} {{> part }} {{ default y 1 }}").unwrap().misuses;
        assert_eq!(
            found.iter().map(|m| (m.message.as_str(), m.hint.as_deref())).collect::<Vec<_>>(),
            [
                ("there is no helper `lowr`", Some("did you mean `lower`?")),
                ("partials (`{{> x}}`) are not supported", Some("write the text out, or make it a file of its own")),
                ("there is no helper `default`", Some("there is no default: set one under `vars:`")),
            ]
        );
    }
}
