//! What the papers say is what the program does.

use piton::exit::Exit;

const README: &str = include_str!("../README.md");

/// Rows of the README's table of exit codes: number and the words up to a `;`, as in the program's own table.
fn rows() -> Vec<(u8, String)> {
    README
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            let number = cells.next()?.parse().ok()?;
            Some((number, cells.next()?.to_string()))
        })
        .collect()
}

#[test]
fn the_readme_has_every_exit_code_in_order() {
    let codes: Vec<u8> = Exit::TABLE.iter().map(|(_, code, _)| *code).collect();
    assert_eq!(rows().iter().map(|(code, _)| *code).collect::<Vec<_>>(), codes);
}

#[test]
fn the_readme_names_shipped_files_only() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let named: Vec<&str> = README
        .split(|c: char| c.is_whitespace() || "`()".contains(c))
        .filter(|w| (w.starts_with("runbooks/") || w.starts_with("inventory/")) && *w != "inventory/mine.yml")
        .collect();
    assert!(named.len() >= 4, "{named:?}");
    for name in named {
        assert!(root.join(name).exists(), "the README names {name}");
    }
}
