//! A request and its parameters, as a form encodes them.

use std::fmt::Write as _;

/// Parameters in the order in which they came; a name may come several times (an array).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Parameters from pairs.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// From `a=b&c=d`; `+` is a blank, what is not valid UTF-8 becomes the replacement character.
    pub fn from_form(form: &str) -> Self {
        let pairs = form.split('&').filter(|part| !part.is_empty());
        Self(
            pairs
                .map(|part| {
                    let (key, value) = part.split_once('=').unwrap_or((part, ""));
                    (percent_decode(&key.replace('+', " ")), percent_decode(&value.replace('+', " ")))
                })
                .collect(),
        )
    }

    /// As `a=b&c=d`.
    pub fn to_form(&self) -> String {
        let parts: Vec<_> =
            self.0.iter().map(|(key, value)| format!("{}={}", percent_encode(key), percent_encode(value))).collect();
        parts.join("&")
    }

    /// Adds one.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.push((key.into(), value.into()));
    }

    /// The last value of a name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every value of a name.
    pub fn all(&self, key: &str) -> Vec<String> {
        self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect()
    }

    /// True if a boolean parameter is set to a true value.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(truthy)
    }

    /// A whole number; none if absent or not one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(|value| value.parse().ok())
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }
}

/// The words that Proxmox VE reads as true.
pub fn truthy(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
}

/// `%41` to `A`; a stray `%` stays.
pub fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = ((*high as char).to_digit(16), (*low as char).to_digit(16))
        {
            out.push(u8::try_from(high * 16 + low).expect("two hex digits fit a byte"));
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// How the caller shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// A ticket that this node knows, an API token, or the unix socket of the command faces.
    Valid,
    /// Nothing.
    #[default]
    None,
    /// A ticket that this node does not know.
    Bad,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// Below `/api2/json`, decoded, beginning with `/`.
    pub path: String,
    /// From the query or the body.
    pub params: Params,
    /// Who asks.
    pub auth: Auth,
}

impl Request {
    /// A call with a valid ticket.
    pub fn new(method: &str, path: &str, params: Params) -> Self {
        Self { method: method.to_owned(), path: path.to_owned(), params, auth: Auth::Valid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_and_written() {
        let params = Params::from_form("command=sh&command=-c&description=a%0Ab+c&empty=");
        assert_eq!(params.all("command"), ["sh", "-c"]);
        assert_eq!(params.get("description"), Some("a\nb c"));
        assert_eq!(params.get("empty"), Some(""));
        assert_eq!(params.to_form(), "command=sh&command=-c&description=a%0Ab%20c&empty=");
        assert_eq!(percent_decode("100%"), "100%");
    }
}
