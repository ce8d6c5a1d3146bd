//! What YAML gives, and what it must not swallow.

use super::node::Node;
use super::source::FileId;
use super::yaml::parse;
use serde_json::json;

fn read(text: &str) -> (Option<Node>, Vec<(&'static str, String)>) {
    let mut diagnostics = Vec::new();
    let node = parse(FileId(0), text, &mut diagnostics);
    (
        node,
        diagnostics
            .into_iter()
            .map(|d| (d.code, d.span.map_or(String::new(), |s| text[s.start as usize..s.end as usize].to_string())))
            .collect(),
    )
}

fn codes(text: &str) -> Vec<(&'static str, String)> {
    read(text).1
}

#[test]
fn values_have_core_types_and_places() {
    let text = "a: 1\nb: [true, 'x', ~, 1.5]\nc:\n  d: yes\n  e: |\n    two\n    lines\n";
    let (node, errors) = read(text);
    let node = node.unwrap();
    assert_eq!(errors, []);
    assert_eq!(node.to_value(), json!({"a": 1, "b": [true, "x", null, 1.5], "c": {"d": "yes", "e": "two\nlines\n"}}));
    let d = node.get("c").unwrap().get("d").unwrap().span;
    assert_eq!(&text[d.start as usize..d.end as usize], "yes");
    let x = node.get("b").unwrap().at(&["1".into()]).span;
    assert_eq!(&text[x.start as usize..x.end as usize], "'x'");
}

#[test]
fn what_yaml_would_swallow_is_an_error() {
    assert_eq!(codes("a: 1\nb: 2\na: 3\n"), [("P0101", "a".to_string())]);
    assert_eq!(codes("mode: 0644\n"), [("P0105", "0644".to_string())]);
    assert_eq!(codes("a: {{ x }}\n"), [("P0104", "{{ x }}".to_string())]);
    assert_eq!(codes("a: {{ x }}/y\n"), [("P0104", "{{ x }}/y".to_string())]);
    assert_eq!(codes("- {{ x }}\n"), [("P0104", "{{ x }}".to_string())]);
    assert_eq!(codes("a: &x {b: 1}\nc:\n  <<: *x\n"), [("P0106", "<<".to_string())]);
    assert_eq!(codes("1: a\ntrue: b\n"), [("P0107", "1".to_string()), ("P0107", "true".to_string())]);
    assert_eq!(codes("a: 1\n---\nb: 2\n").len(), 1);
    assert_eq!(codes("a: 1\n---\nb: 2\n")[0].0, "P0109");
    assert_eq!(codes("a: !vault x\n")[0].0, "P0113");
    assert_eq!(codes("a: *x\n")[0].0, "P0111");
    assert_eq!(codes("a:\n  b: 1\n\tc: 2\n")[0].0, "P0103");
    assert_eq!(codes("a: [1, 2\nb: 3\n")[0].0, "P0102");
}

#[test]
fn aliases_are_resolved_within_limits() {
    let (node, errors) = read("a: &x [1, 2]\nb: *x\n");
    assert_eq!((node.unwrap().to_value(), errors), (json!({"a": [1, 2], "b": [1, 2]}), vec![]));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_string();
    for i in 1..9 {
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", ")));
    }
    assert_eq!(codes(&bomb).last().unwrap().0, "P0110");
    assert!(codes(&"[".repeat(500)).iter().any(|(c, _)| *c == "P0110" || *c == "P0102"));
}
