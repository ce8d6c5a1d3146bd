//! Makes text safe to show: secrets as names, and nothing in it that a terminal would obey.
//!
//! What a host prints is not ours: an escape sequence in it could move the cursor, repaint what piton said before, set
//! the title or the clipboard. So control sequences, other control characters and the marks that turn the writing
//! direction are taken out before anything reaches a screen or a report.

use crate::secret;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Several lines: keeps line breaks and tabs, a lone carriage return counts as a line break.
pub fn text(raw: &str) -> String {
    let shown = secret::shown(raw);
    let mut out = String::with_capacity(shown.len());
    let mut chars = shown.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(c),
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    out.push('\n');
                }
            }
            '\u{1b}' => match chars.peek().copied() {
                Some('[') => {
                    chars.next();
                    skip_csi(&mut chars);
                }
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    chars.next();
                    skip_string(&mut chars);
                }
                Some(' '..='/') => {
                    while chars.next_if(|c| (' '..='/').contains(c)).is_some() {}
                    chars.next_if(|c| ('0'..='~').contains(c));
                }
                Some('0'..='~') => {
                    chars.next();
                }
                _ => {}
            },
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            c if c.is_control() || turns_direction(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// One line: what stands after the last carriage return (a progress bar's newest state), line breaks and tabs as
/// blanks, no blanks at the ends.
pub fn line(raw: &str) -> String {
    let newest = raw.trim_end_matches(['\r', '\n']).rsplit('\r').find(|part| !part.trim().is_empty());
    text(newest.unwrap_or("")).replace(['\n', '\t'], " ").trim().to_string()
}

/// Cuts a line to this many columns, with `…` at the end if something is missing.
pub fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_string();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text and blanks up to this many columns.
pub fn pad(text: &str, columns: usize) -> String {
    let mut out = text.to_string();
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(text.width())));
    out
}

/// Columns that a text takes on a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Parameters and intermediates up to the final character (ECMA-48, 5.4).
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| (' '..='?').contains(c)).is_some() {}
    chars.next_if(|c| ('@'..='~').contains(c));
}

/// Up to the string terminator, but never past the line: a host must not be able to hide what follows.
fn skip_string(chars: &mut Chars<'_>) {
    while let Some(&c) = chars.peek() {
        match c {
            '\n' | '\r' => return,
            '\u{7}' | '\u{9c}' => {
                chars.next();
                return;
            }
            '\u{1b}' => {
                chars.next();
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {
                chars.next();
            }
        }
    }
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (raw, clean) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[2J\u{1b}[1;1Hgone?", "gone?"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]52;c;Y2F0\u{1b}\\after", "after"),
            ("\u{1b}]0;never ends\nnext line", "\nnext line"),
            ("\u{1b}(Bcharset", "charset"),
            ("\u{9b}31mc1", "c1"),
            ("\u{9d}0;x\u{9c}y", "y"),
            ("bell\u{7} back\u{8}space nul\u{0} del\u{7f}", "bell backspace nul del"),
            ("10%\r20%\r\n", "10%\n20%\n"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("abc\u{202e}fed", "abcfed"),
        ] {
            assert_eq!(text(raw), clean, "{raw:?}");
        }
    }

    #[test]
    fn a_line_is_the_newest_state() {
        assert_eq!(line("10%\r20%\r"), "20%");
        assert_eq!(line("  a\tb\n"), "a b");
        assert_eq!(line("\r\n"), "");
    }

    #[test]
    fn secrets_are_names() {
        assert_eq!(text(&format!("password={}", secret::mark("db"))), "password=‹secret:db›");
    }

    #[test]
    fn lines_are_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("longer", 5), "long…");
        assert_eq!(fit("日本語テキスト", 7), "日本語…");
        assert_eq!(fit("日本語テキスト", 6), "日本…");
        assert_eq!(fit("x", 0), "");
        assert_eq!(pad("日本", 6), "日本  ");
    }
}
