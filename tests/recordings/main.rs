//! Parsers and simulator against the answers of a real node (`tests/fixtures`).

mod parsers;
