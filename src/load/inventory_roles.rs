//! The `roles:` of an inventory: networks by purpose.

use super::fields::{entries, is_name, known, text};
use super::inventory::Role;
use super::network;
use super::node::Node;
use super::source::{Diagnostic, Span};
use std::collections::BTreeMap;
use std::net::IpAddr;

const KEYS: &[&str] = &["bridge", "cidr", "gateway", "node_address", "port"];

/// Reads them; a role without a bridge is said and left out.
pub fn roles(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    let mut bridges: BTreeMap<String, (String, Span)> = BTreeMap::new();
    for (key, value) in entries(node, "roles", diagnostics) {
        if !is_name(&key.name) {
            diagnostics.push(
                Diagnostic::error("P0202", key.span, format!("`{}` cannot be the name of a role", key.name))
                    .hint("a lower-case letter, then lower-case letters, digits, `-` and `_`"),
            );
        }
        let fields = entries(value, &key.name, diagnostics);
        known(fields, KEYS, "a role", diagnostics);
        let Some(written) = value.get("bridge") else {
            diagnostics.push(
                Diagnostic::error("P0212", key.span, format!("the role `{}` has no bridge", key.name))
                    .hint("write `bridge: vmbr2`"),
            );
            continue;
        };
        let Some(bridge) = text(written, "bridge", diagnostics) else { continue };
        if !network::is_bridge(&bridge) {
            diagnostics.push(
                Diagnostic::error("P0213", written.span, format!("`{bridge}` cannot be the name of a bridge")).hint(
                    "Proxmox VE wants a letter first, then letters, digits and `_`, at most 10 characters: vmbr2",
                ),
            );
        }
        if let Some((other, first)) = bridges.insert(bridge.clone(), (key.name.clone(), written.span)) {
            diagnostics.push(
                Diagnostic::error(
                    "P0214",
                    written.span,
                    format!("the roles `{other}` and `{}` share the bridge `{bridge}`", key.name),
                )
                .also(first, "first here")
                .hint("two roles on one bridge are one network: nothing separates them"),
            );
        }
        let network = address(value, "cidr", diagnostics, network::cidr, "a network like 10.10.0.0/24");
        if let (Some((cidr, span)), Some(right)) = (network, network.and_then(|(n, _)| network::network_of(n))) {
            let _ = cidr;
            diagnostics.push(
                Diagnostic::error("P0205", span, "this network has host bits")
                    .hint(format!("write {right}; the node's own address goes into `node_address:`")),
            );
        }
        let gateway = address(value, "gateway", diagnostics, |t| t.parse::<IpAddr>().ok(), "an address like 10.10.0.1");
        let own = address(
            value,
            "node_address",
            diagnostics,
            network::cidr,
            "an address with prefix length like 10.10.0.1/24",
        );
        if let Some((network, place)) = network {
            for (what, found) in [("gateway", gateway), ("node_address", own.map(|((a, _), s)| (a, s)))] {
                if let Some((inside, span)) = found
                    && !network::contains(network, inside)
                {
                    diagnostics.push(
                        Diagnostic::error("P0215", span, format!("the {what} {inside} lies outside of the network"))
                            .also(place, "the network"),
                    );
                }
            }
        }
        let word = |name: &str| value.get(name).and_then(Node::as_str).map(str::to_string);
        roles.push(Role {
            name: key.name.clone(),
            span: key.span,
            bridge,
            cidr: word("cidr"),
            gateway: word("gateway"),
            node_address: word("node_address"),
            port: value.get("port").and_then(|n| text(n, "port", diagnostics)),
        });
    }
    roles
}

fn address<T: Copy>(
    role: &Node,
    key: &str,
    diagnostics: &mut Vec<Diagnostic>,
    parse: fn(&str) -> Option<T>,
    wanted: &str,
) -> Option<(T, Span)> {
    let node = role.get(key)?;
    let written = text(node, key, diagnostics)?;
    let value = parse(&written);
    if value.is_none() {
        diagnostics.push(Diagnostic::error("P0205", node.span, format!("`{written}` is not {wanted}")));
    }
    Some((value?, node.span))
}
