//! Variables that need themselves.

use super::scope::variables_in;
use crate::load::node::Node;

/// The names from a variable back to itself.
pub(super) fn circle(merged: &[(&str, &Node)], name: &str) -> Option<Vec<String>> {
    fn visit(
        merged: &[(&str, &Node)],
        name: &str,
        target: &str,
        chain: &mut Vec<String>,
        seen: &mut Vec<String>,
    ) -> bool {
        let Some((_, node)) = merged.iter().find(|(n, _)| *n == name) else { return false };
        for used in variables_in(node) {
            if used == target {
                chain.push(used);
                return true;
            }
            if seen.contains(&used) {
                continue;
            }
            seen.push(used.clone());
            chain.push(used.clone());
            if visit(merged, &used, target, chain, seen) {
                return true;
            }
            chain.pop();
        }
        false
    }
    let mut chain = vec![name.to_string()];
    visit(merged, name, name, &mut chain, &mut Vec::new()).then_some(chain)
}
