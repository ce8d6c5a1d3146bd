//! YAML text to a [`Node`] tree in which every value knows its bytes.
//!
//! Built on the event parser that serde-saphyr re-exports, not on serde-saphyr's serde face: that stops at the first
//! error and forgets how a scalar was written, and we report all errors of a file at once and must tell `0644`
//! from `"0644"`. YAML 1.2 core types; duplicate keys, merge keys, keys that are no text, tags and further documents
//! are errors; aliases are resolved within limits.

use super::node::{Key, Kind, Node, Style};
use super::source::{Diagnostic, FileId, Span};
use super::yaml_scalar;
use super::yaml_syntax;
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span as Range, StrInput, StructureStyle, Tag};
use std::collections::HashMap;

/// Deepest nesting, aliases resolved.
pub const DEPTH: usize = 64;
/// Most values of a file, aliases resolved.
pub const NODES: usize = 200_000;
/// Longest file in bytes: 4 MiB.
pub const BYTES: usize = 4 * 1024 * 1024;

/// Reads one document. Errors are added to `diagnostics`; after those that leave the rest readable (a duplicate key)
/// the tree comes back nevertheless, after a syntax error `None`.
pub fn parse(file: FileId, text: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let whole = span(file, 0, 0);
    if text.len() > BYTES {
        diagnostics.push(
            Diagnostic::error("P0110", whole, format!("this file has {} bytes", text.len()))
                .label("at most 4 MiB are read"),
        );
        return None;
    }
    let mut options = Options::default();
    options.emit_comments = false;
    options.block_nesting_limit = DEPTH;
    options.flow_nesting_limit = DEPTH;
    options.emit_unresolved_aliases = true;
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, text, file, diagnostics, anchors: HashMap::new(), nodes: 0, stopped: false };
    reader.document()
}

struct Reader<'t, 'd> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    file: FileId,
    diagnostics: &'d mut Vec<Diagnostic>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    stopped: bool,
}

fn span(file: FileId, start: usize, end: usize) -> Span {
    let cut = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { file, start: cut(start), end: cut(end.max(start)) }
}

impl<'t> Reader<'t, '_> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        while let Some((event, range)) = self.next() {
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    let place = self.place(range);
                    self.diagnostics.push(
                        Diagnostic::error("P0109", place, "a second document begins here")
                            .label("one file holds one document")
                            .hint("put it into a file of its own, or remove the `---`"),
                    );
                    return root;
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                other => root = self.node(other, range, 1),
            }
        }
        // Half a file says too much that is not so: after a syntax error only what was found till then is told.
        if self.stopped {
            return None;
        }
        if root.is_none() {
            root = Some(Node { span: span(self.file, 0, 0), kind: Kind::Null });
        }
        root
    }

    fn next(&mut self) -> Option<(Event<'t>, Range)> {
        if self.stopped {
            return None;
        }
        match self.parser.next_event()? {
            Ok(pair) => Some(pair),
            Err(error) => {
                self.stopped = true;
                let diagnostic = yaml_syntax::explain(self.file, self.text, &error);
                // What is eaten may have been said already, when its inner mapping was a key.
                if !self.diagnostics.iter().any(|d| d.code == diagnostic.code && d.span == diagnostic.span) {
                    self.diagnostics.push(diagnostic);
                }
                None
            }
        }
    }

    fn place(&self, range: Range) -> Span {
        let start = range.start.byte_offset().unwrap_or(0).min(self.text.len());
        let end = range.end.byte_offset().unwrap_or(start).min(self.text.len());
        span(self.file, start, end)
    }

    fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    fn count(&mut self, place: Span, more: usize) -> bool {
        self.nodes += more;
        if self.nodes > NODES {
            self.error(
                Diagnostic::error("P0110", place, format!("more than {NODES} values"))
                    .label("reading stops here")
                    .hint("aliases (`*name`) count as often as they are used"),
            );
            self.stopped = true;
        }
        !self.stopped
    }

    fn node(&mut self, event: Event<'t>, range: Range, depth: usize) -> Option<Node> {
        let place = self.place(range);
        if !self.count(place, 1) {
            return None;
        }
        if depth > DEPTH {
            self.error(
                Diagnostic::error("P0110", place, format!("nested deeper than {DEPTH} levels"))
                    .label("reading stops here"),
            );
            self.stopped = true;
            return None;
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = self.scalar(&text, style, tag.as_deref(), place);
                let node = Node { span: place, kind };
                self.remember(anchor, &node);
                Some(node)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                let mut items = Vec::new();
                let mut end = place;
                while let Some((event, range)) = self.next() {
                    if matches!(event, Event::SequenceEnd) {
                        end = self.place(range);
                        break;
                    }
                    if matches!(event, Event::Anchor(..)) {
                        continue;
                    }
                    if let Some(item) = self.node(event, range, depth + 1) {
                        items.push(item);
                    }
                }
                let node = Node { span: Span { end: end.end.max(place.end), ..place }, kind: Kind::Seq(items) };
                self.remember(anchor, &node);
                Some(node)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), place);
                let node = self.mapping(style, place, depth);
                self.remember(anchor, &node);
                Some(node)
            }
            Event::Alias(id) => self.alias(id, place, depth),
            Event::UnresolvedAlias(name) => {
                self.error(
                    Diagnostic::error("P0111", place, format!("no anchor `&{name}` stands above"))
                        .hint("quote a text that begins with `*`"),
                );
                Some(Node { span: place, kind: Kind::Null })
            }
            _ => None,
        }
    }

    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
    }

    fn alias(&mut self, id: usize, place: Span, depth: usize) -> Option<Node> {
        let Some(target) = self.anchors.get(&id).cloned() else {
            self.error(Diagnostic::error("P0111", place, "this alias stands inside its own anchor"));
            return Some(Node { span: place, kind: Kind::Null });
        };
        if !self.count(place, size(&target)) {
            return None;
        }
        if depth + height(&target) > DEPTH {
            self.error(Diagnostic::error("P0110", place, format!("with this alias nested deeper than {DEPTH} levels")));
            return Some(Node { span: place, kind: Kind::Null });
        }
        Some(target)
    }

    fn mapping(&mut self, style: StructureStyle, place: Span, depth: usize) -> Node {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut end = place;
        let mut eaten = false;
        while let Some((event, range)) = self.next() {
            if matches!(event, Event::MappingEnd) {
                end = self.place(range);
                break;
            }
            let at = self.place(range);
            let before = self.diagnostics.last().map(|d| d.span);
            let key = self.key(event, range, at, place, style, depth);
            eaten |= self.diagnostics.last().is_some_and(|d| d.code == "P0104" && Some(d.span) != before);
            let Some((event, range)) = self.next() else { break };
            let Some(value) = self.node(event, range, depth + 1) else { continue };
            let Some(key) = key else { continue };
            if let Some(first) = seen.get(&key.name) {
                let first = *first;
                self.error(
                    Diagnostic::error("P0101", key.span, format!("the key `{}` is there twice", key.name))
                        .label("again here")
                        .also(first, "first here")
                        .hint("keep one of them: YAML itself does not say which one counts"),
                );
                continue;
            }
            seen.insert(key.name.clone(), key.span);
            entries.push((key, value));
        }
        let span = Span { end: end.end.max(place.end), ..place };
        if eaten {
            // What was meant is the text: so nothing more is said about it.
            let text = self.text.get(span.start as usize..span.end as usize).unwrap_or("").to_string();
            return Node { span, kind: Kind::Str(text, Style::Quoted) };
        }
        Node { span, kind: Kind::Map(entries) }
    }

    /// The key, or `None` after an error; its value has still to be read.
    fn key(
        &mut self,
        event: Event<'t>,
        range: Range,
        at: Span,
        map: Span,
        style: StructureStyle,
        depth: usize,
    ) -> Option<Key> {
        match event {
            Event::Scalar(text, scalar, _, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                if scalar == ScalarStyle::Plain && text == "<<" {
                    self.error(
                        Diagnostic::error("P0106", at, "merge keys (`<<`) are not supported")
                            .hint("write the keys out, or use `vars:`: YAML 1.2 has no merge keys"),
                    );
                    return None;
                }
                if scalar == ScalarStyle::Plain && !matches!(yaml_scalar::plain(&text), Kind::Str(..)) {
                    let shown = if text.is_empty() {
                        "an empty key".to_string()
                    } else {
                        format!("the key `{text}` is not a text")
                    };
                    let mut error = Diagnostic::error("P0107", at, shown);
                    if !text.is_empty() {
                        error = error.hint(format!("write \"{text}\""));
                    }
                    self.error(error);
                    return None;
                }
                Some(Key { name: text.into_owned(), span: at })
            }
            other => {
                let eaten = style == StructureStyle::Flow
                    && self.text.get(map.start as usize..).is_some_and(|t| t.starts_with("{{"));
                let flow_key = matches!(other, Event::MappingStart(..));
                // The key is read to its end, without its own complaints.
                let before = self.diagnostics.len();
                let _ = self.node(other, range, depth + 1);
                if !self.stopped {
                    self.diagnostics.truncate(before);
                }
                if eaten && flow_key {
                    self.error(yaml_syntax::eaten(self.file, self.text, map.start as usize));
                } else {
                    self.error(
                        Diagnostic::error("P0107", at, "a key must be a text")
                            .label("this is a list, a mapping or an alias"),
                    );
                }
                None
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, place: Span) -> Kind {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            _ => Style::Block,
        };
        if let Some(tag) = tag {
            if !tag.is_yaml_core_schema_tag("str") {
                self.refuse_tag(Some(tag), place);
            }
            return Kind::Str(text.to_string(), Style::Quoted);
        }
        if style != Style::Plain {
            return Kind::Str(text.to_string(), style);
        }
        if yaml_scalar::leading_zero(text) {
            self.error(
                Diagnostic::error("P0105", place, format!("`{text}` with a leading zero is not clear"))
                    .label("octal or decimal?")
                    .hint(format!("modes are quoted texts: \"{text}\"; so are numbers that keep their zero")),
            );
            return Kind::Str(text.to_string(), Style::Plain);
        }
        let kind = yaml_scalar::plain(text);
        if matches!(&kind, Kind::Str(..)) && yaml_scalar::digits(text) {
            self.error(
                Diagnostic::error("P0112", place, "this number does not fit into 64 bits")
                    .hint(format!("write \"{text}\" if it is a text")),
            );
        }
        kind
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, place: Span) {
        let Some(tag) = tag else { return };
        if ["map", "seq", "str"].iter().any(|known| tag.is_yaml_core_schema_tag(known)) {
            return;
        }
        let shown = tag.original();
        let error = Diagnostic::error("P0113", place, format!("YAML tags are not supported: `{shown}`"));
        self.error(if shown == "!vault" {
            error.hint("name the value under `secrets:` in the inventory, with `command: [ansible-vault, view, FILE]`")
        } else {
            error.hint("remove it; quote the value if it is a text")
        });
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Seq(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, v)| size(v)).sum::<usize>(),
        _ => 1,
    }
}

fn height(node: &Node) -> usize {
    match &node.kind {
        Kind::Seq(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, v)| height(v)).max().unwrap_or(0),
        _ => 1,
    }
}
