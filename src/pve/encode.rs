//! Percent-encoding of paths and parameters, secret marks included.
//!
//! A mark must still be one when the text reaches the wire, but the value behind it has to be percent-encoded
//! there. So a mark `name` becomes the mark [`form_name`]`(name)`, whose value in the vault is the encoded one:
//! whoever sends the command puts it there first ([`mark_names`] lists what is needed).

use crate::secret;
use std::borrow::Cow;

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// Name in the vault of the percent-encoded value of a secret.
pub fn form_name(secret: &str) -> String {
    format!("{secret}~form")
}

/// Names of the secrets that are marked in a text, in order, each once.
pub fn mark_names(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for piece in pieces(text) {
        if let Piece::Mark(name) = piece
            && !names.iter().any(|n| n == name)
        {
            names.push(name.to_string());
        }
    }
    names
}

/// Everything but letters, digits and `-._~` as `%XX`, UTF-8 byte by byte; marks become their encoded twins.
/// pve-http-server splits at `&`, `;` and `=` and reads `+` as a space (`src/PVE/APIServer/AnyEvent.pm`,
/// `decode_urlencoded`), so nothing of that may stay.
pub fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Mark(name) => out.push_str(&secret::mark(&form_name(name))),
            Piece::Plain(text) => escape(text, "-._~", &mut out),
        }
    }
    out
}

/// A path of the API as a URL has it. `%XX` that is there stays: the one way to say a `/` inside of a component.
pub fn path(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        escape(&rest[..at], PATH, &mut out);
        let after = &rest[at + 1..];
        if after.len() >= 2 && after.is_char_boundary(2) && after[..2].chars().all(|c| c.is_ascii_hexdigit()) {
            out.push('%');
            out.push_str(&after[..2]);
            rest = &after[2..];
        } else {
            out.push_str("%25");
            rest = after;
        }
    }
    escape(rest, PATH, &mut out);
    out
}

/// `%XX` decoded; bytes that are no UTF-8 afterwards are replaced.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'%'
            && let (Some(high), Some(low)) = (hex(i + 1), hex(i + 2))
        {
            out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            i += 3;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

const PATH: &str = "-._~/:@!,";

fn escape(text: &str, keep: &str, out: &mut String) {
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || (c.is_ascii() && keep.contains(c)) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

enum Piece<'a> {
    Plain(&'a str),
    Mark(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let after = &rest[at + OPEN.len_utf8()..];
        let Some(end) = after.find(CLOSE) else { break };
        out.push(Piece::Plain(&rest[..at]));
        out.push(Piece::Mark(&after[..end]));
        rest = &after[end + CLOSE.len_utf8()..];
    }
    out.push(Piece::Plain(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mark;

    #[test]
    fn forms_leave_nothing_that_proxmox_or_curl_would_read_as_syntax() {
        assert_eq!(form("a&b;c=d+e %\"\\\n@é"), "a%26b%3Bc%3Dd%2Be%20%25%22%5C%0A%40%C3%A9");
        assert_eq!(form("plain-._~09"), "plain-._~09");
    }

    #[test]
    fn a_mark_becomes_its_encoded_twin() {
        let text = format!("p={}!", mark("db"));
        assert_eq!(form(&text), format!("p%3D{}%21", mark("db~form")));
        assert_eq!(mark_names(&format!("{}{}{}", mark("a"), mark("b"), mark("a"))), ["a", "b"]);
    }

    #[test]
    fn paths_keep_escapes_that_are_there() {
        assert_eq!(path("/ipset/set1/10.20.0.0%2F24"), "/ipset/set1/10.20.0.0%2F24");
        assert_eq!(path("/a b/100%/%zz?x#[1]"), "/a%20b/100%25/%25zz%3Fx%23%5B1%5D");
        assert_eq!(path("/tasks/UPID:pve1:0:0:0:t::root@pam:"), "/tasks/UPID:pve1:0:0:0:t::root@pam:");
        assert_eq!(unescape("/ipset/10.0.0.0%2F8/%C3%A9%zz"), "/ipset/10.0.0.0/8/é%zz");
    }
}
