//! Secrets as marks: every stage but the very edge sees `‹secret:name›` instead of a value.
//!
//! A template that uses `{{ secrets.db_password }}` renders to a *mark*: the name between two private-use
//! characters. Marks travel through plans, diffs, events, journal and reports; [`Vault::reveal`] turns them into
//! values only when bytes are written to a host, [`Vault::conceal`] turns values that a host sends back into marks
//! again. So a file that holds a secret compares equal to its rendered template, and nothing on our side ever
//! holds the value in a text that could be stored.

use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::sync::RwLock;
use zeroize::Zeroizing;

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Values shorter than this (in bytes) are refused: they would turn up by chance in any text.
pub const SHORTEST: usize = 4;

/// The mark for a secret of this name.
pub fn mark(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// True if the text holds a mark.
pub fn has_mark(text: &str) -> bool {
    text.contains(OPEN)
}

/// The text as people see it: marks as `‹secret:name›`.
pub fn shown(text: &str) -> String {
    text.replace(OPEN, "‹secret:").replace(CLOSE, "›")
}

/// Why a value cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The value would match by chance.
    #[error("secret `{name}` has fewer than {SHORTEST} bytes, so it cannot be kept out of outputs")]
    TooShort {
        /// Its name.
        name: String,
    },
    /// A mark without a value.
    #[error("secret `{name}` has no value yet")]
    Unknown {
        /// Its name.
        name: String,
    },
}

/// The values of a run's secrets, each fetched at most once.
#[derive(Debug, Default)]
pub struct Vault {
    values: RwLock<BTreeMap<String, SecretString>>,
}

impl Vault {
    /// Adds a value.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn insert(&self, name: &str, value: SecretString) -> Result<(), SecretError> {
        if value.expose_secret().len() < SHORTEST {
            return Err(SecretError::TooShort { name: name.to_string() });
        }
        self.values.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name.to_string(), value);
        Ok(())
    }

    /// True if the value of this name is known.
    pub fn has(&self, name: &str) -> bool {
        self.values.read().unwrap_or_else(std::sync::PoisonError::into_inner).contains_key(name)
    }

    /// The text with values in place of marks.
    ///
    /// # Errors
    /// [`SecretError::Unknown`].
    pub fn reveal(&self, text: &str) -> Result<Zeroizing<String>, SecretError> {
        let values = self.values.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = Zeroizing::new(String::with_capacity(text.len()));
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            out.push_str(&rest[..at]);
            let after = &rest[at + OPEN.len_utf8()..];
            let Some(end) = after.find(CLOSE) else {
                rest = &rest[at..];
                break;
            };
            let name = &after[..end];
            let value = values.get(name).ok_or_else(|| SecretError::Unknown { name: name.to_string() })?;
            out.push_str(value.expose_secret());
            rest = &after[end + CLOSE.len_utf8()..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The bytes with marks in place of values: the leftmost first, of those the longest. For texts of our own, or
    /// that came through [`conceal_foreign`](Self::conceal_foreign): marks in them stay.
    pub fn conceal(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        scan(&self.patterns(false), bytes, true, &mut out);
        out
    }

    /// The same for a stream that a host sent: appends to `out` what is certain and returns how many of `bytes` that
    /// was. The rest may be the beginning of a value and has to be offered again, with more behind it. With `last`, all
    /// is taken.
    ///
    /// A mark that the host itself wrote, as it is or as JSON escapes it, is a forgery: it would become the secret's
    /// value if a later step used the text. It loses its first character.
    pub fn conceal_foreign(&self, bytes: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        scan(&self.patterns(true), bytes, last, out)
    }

    fn patterns(&self, foreign: bool) -> Vec<Pattern> {
        let values = self.values.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut out = Vec::new();
        for (name, value) in values.iter() {
            let find = Zeroizing::new(value.expose_secret().as_bytes().to_vec());
            out.push(Pattern { find, with: mark(name).into_bytes() });
            if foreign {
                let forged = [
                    (mark(name), format!("\u{FFFD}{name}{CLOSE}")),
                    (format!("\\ue000{name}\\ue001"), format!("\\ufffd{name}\\ue001")),
                    (format!("\\uE000{name}\\uE001"), format!("\\uFFFD{name}\\uE001")),
                ];
                out.extend(
                    forged.map(|(find, with)| Pattern {
                        find: Zeroizing::new(find.into_bytes()),
                        with: with.into_bytes(),
                    }),
                );
            }
        }
        out
    }

    /// The same for a text.
    pub fn conceal_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.conceal(text.as_bytes())).into_owned()
    }

    /// Length in bytes of the longest value, 0 without any: how much a streaming reader must hold back.
    pub fn longest(&self) -> usize {
        let values = self.values.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        values.values().map(|v| v.expose_secret().len()).max().unwrap_or(0)
    }
}

/// A text to look for, and what takes its place.
struct Pattern {
    find: Zeroizing<Vec<u8>>,
    with: Vec<u8>,
}

/// Replaces patterns from left to right, the longest of those that begin at one place.
fn scan(patterns: &[Pattern], bytes: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
    // From here on, what is left might be the beginning of a pattern.
    let longest = patterns.iter().map(|p| p.find.len()).max().unwrap_or(0);
    let begins =
        |at: usize| patterns.iter().any(|p| p.find.len() > bytes.len() - at && p.find.starts_with(&bytes[at..]));
    let open = (bytes.len().saturating_sub(longest.saturating_sub(1))..bytes.len())
        .find(|at| !last && begins(*at))
        .unwrap_or(bytes.len());
    let mut next: Vec<Option<usize>> = patterns.iter().map(|p| memchr::memmem::find(bytes, &p.find)).collect();
    let mut at = 0;
    loop {
        let found = next.iter().zip(patterns).filter_map(|(n, p)| n.map(|n| (n, p)));
        let Some((start, pattern)) = found.min_by_key(|(n, p)| (*n, std::cmp::Reverse(p.find.len()))) else { break };
        if start >= open {
            break;
        }
        out.extend_from_slice(&bytes[at..start]);
        out.extend_from_slice(&pattern.with);
        at = start + pattern.find.len();
        for (n, p) in next.iter_mut().zip(patterns) {
            if n.is_some_and(|n| n < at) {
                *n = memchr::memmem::find(&bytes[at..], &p.find).map(|found| at + found);
            }
        }
    }
    // A pattern that was found can reach past the place where another one might begin.
    let end = open.max(at);
    out.extend_from_slice(&bytes[at..end]);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        let vault = Vault::default();
        vault.insert("db", "correct horse".into()).unwrap();
        vault.insert("long", "correct horse battery".into()).unwrap();
        vault
    }

    #[test]
    fn a_mark_comes_back_from_its_value() {
        let text = format!("password={}\nother={}\n", mark("db"), mark("long"));
        let revealed = vault().reveal(&text).unwrap();
        assert_eq!(*revealed, "password=correct horse\nother=correct horse battery\n");
        assert_eq!(vault().conceal_text(&revealed), text);
    }

    #[test]
    fn a_value_is_found_wherever_the_stream_is_cut() {
        let vault = vault();
        let text = b"a correct horse battery b correct horse c correct correct horse batter";
        let want = vault.conceal(text);
        assert_eq!(
            String::from_utf8_lossy(&want),
            format!("a {} b {} c correct {} batter", mark("long"), mark("db"), mark("db"))
        );
        for i in 0..=text.len() {
            for j in i..=text.len() {
                let (mut out, mut held) = (Vec::new(), Vec::new());
                for (chunk, last) in [(&text[..i], false), (&text[i..j], false), (&text[j..], true)] {
                    held.extend_from_slice(chunk);
                    let done = vault.conceal_foreign(&held, last, &mut out);
                    held.drain(..done);
                }
                assert_eq!((out, held), (want.clone(), Vec::new()), "cut at {i} and {j}");
            }
        }
    }

    #[test]
    fn only_the_beginning_of_a_value_is_held_back() {
        let mut out = Vec::new();
        assert_eq!(vault().conceal_foreign(b"50% done\n", false, &mut out), 9);
        assert_eq!(vault().conceal_foreign(b"50% done, corr", false, &mut out), 10);
    }

    #[test]
    fn people_see_the_name_only() {
        assert_eq!(shown(&format!("a {} b", mark("db"))), "a ‹secret:db› b");
    }

    #[test]
    fn a_mark_without_a_value_and_a_short_value_are_errors() {
        let vault = Vault::default();
        assert_eq!(vault.reveal(&mark("x")).unwrap_err(), SecretError::Unknown { name: "x".into() });
        assert_eq!(vault.insert("x", "abc".into()).unwrap_err(), SecretError::TooShort { name: "x".into() });
    }

    #[test]
    fn a_mark_that_a_host_forged_is_not_a_mark() {
        let vault = vault();
        for forged in [mark("db"), "\\ue000db\\ue001".to_string(), "\\uE000long\\uE001".to_string()] {
            let mut out = Vec::new();
            let text = format!("a {forged} b");
            vault.conceal_foreign(text.as_bytes(), true, &mut out);
            let out = String::from_utf8(out).unwrap();
            let decoded = out.replace("\\ue000", "\u{E000}").replace("\\uE000", "\u{E000}");
            assert_eq!(*vault.reveal(&decoded).unwrap(), decoded, "{forged:?} must not become a value");
            assert!(!has_mark(&decoded), "{out:?}");
        }
        // What came through once stays as it is when it is looked at again.
        let mut out = Vec::new();
        vault.conceal_foreign(b"x correct horse y", true, &mut out);
        assert_eq!(vault.conceal(&out), out);
    }
}
