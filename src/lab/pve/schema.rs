//! Parameter verification with the messages of the real one.

use crate::lab::pve::answer::Refusal;
use crate::lab::pve::params::Params;
use std::collections::BTreeMap;

/// The type and format of a parameter.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text.
    Text,
    /// Text of at most so many characters.
    TextUpTo(usize),
    /// `0`, `1`, `on`, `off`, `yes`, `no`, `true`, `false`.
    Bool,
    /// A whole number, not below the first.
    Int(i64),
    /// One of these words.
    Enum(&'static [&'static str]),
    /// 100 to 999999999.
    Vmid,
    /// The name of a snapshot: letter first, at most 40 characters.
    ConfigId,
    /// The name of a network interface.
    Interface,
    /// An IPv4 network in CIDR notation.
    Cidr4,
    /// Content types, separated by commas.
    Contents,
    /// A check of its own; the error is the whole message.
    Format(fn(&str, &str) -> Result<(), String>),
}

/// One parameter of a call.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Must be there.
    pub required: bool,
}

/// An optional parameter.
pub const fn opt(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: false }
}

/// A required parameter.
pub const fn req(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, required: true }
}

/// The message for a parameter that no schema names.
pub const UNDEFINED: &str = "property is not defined in schema and the schema does not allow additional properties";
/// The message for a parameter that is not there and must be.
pub const MISSING: &str = "property is missing and it is not optional";

const CONTENTS: [&str; 8] = ["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none"];

/// Checks one value.
///
/// # Errors
/// The message of the real verification; those of formats end with a line break.
pub fn check(name: &str, kind: Kind, value: &str) -> Result<(), String> {
    match kind {
        Kind::TextUpTo(max) if value.chars().count() > max => Err(format!("value may only be {max} characters long")),
        Kind::Text | Kind::TextUpTo(_) => Ok(()),
        Kind::Bool => {
            let word = value.to_ascii_lowercase();
            let known = ["0", "1", "on", "off", "yes", "no", "true", "false"].contains(&word.as_str());
            if known { Ok(()) } else { Err(format!("type check ('boolean') failed - got '{value}'")) }
        }
        Kind::Int(min) => match value.parse::<i64>() {
            Err(_) => Err(format!("type check ('integer') failed - got '{value}'")),
            Ok(number) if number < min => Err(format!("value must have a minimum value of {min}")),
            Ok(_) => Ok(()),
        },
        Kind::Enum(words) => {
            if words.contains(&value) {
                Ok(())
            } else {
                Err(format!("value '{value}' does not have a value in the enumeration '{}'", words.join(", ")))
            }
        }
        Kind::Vmid => match value.parse::<u32>() {
            Ok(100..=999_999_999) if !value.starts_with('0') => Ok(()),
            _ => Err("invalid format - value does not look like a valid VM ID\n".into()),
        },
        Kind::ConfigId => {
            let mut chars = value.chars();
            let letter = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
            let rest = chars.clone().count() > 0 && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if value.chars().count() > 40 {
                Err("value may only be 40 characters long".into())
            } else if letter && rest {
                Ok(())
            } else {
                Err(format!("invalid format - invalid configuration ID '{value}'\n"))
            }
        }
        Kind::Interface => {
            let mut chars = value.chars();
            let letter = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
            let rest = chars.all(|c| c.is_ascii_alphanumeric() || "_.:".contains(c));
            if letter && rest && (2..=20).contains(&value.len()) {
                Ok(())
            } else {
                Err(format!("invalid format - invalid network interface name '{value}'\n"))
            }
        }
        Kind::Cidr4 => {
            if is_cidr4(value) {
                Ok(())
            } else {
                Err("invalid format - value does not look like a valid IPv4 CIDR network\n".into())
            }
        }
        Kind::Contents => match value.split(',').find(|word| !CONTENTS.contains(word)) {
            Some(word) => Err(format!("invalid format - invalid content type '{word}'\n")),
            None => Ok(()),
        },
        Kind::Format(check) => check(name, value),
    }
}

/// True for `10.20.0.1/24`.
pub fn is_cidr4(value: &str) -> bool {
    value.split_once('/').is_some_and(|(address, bits)| {
        address.parse::<std::net::Ipv4Addr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| (8..=32).contains(&bits))
    })
}

/// Checks all parameters of a call. `find` knows the kinds of further parameters (the keys of a VM's configuration).
///
/// # Errors
/// [`Refusal::Invalid`] with every wrong parameter.
pub fn verify(params: &Params, schema: &[Param], find: impl Fn(&str) -> Option<Kind>) -> Result<(), Refusal> {
    let mut errors = BTreeMap::new();
    for (name, value) in params.iter() {
        let kind = schema.iter().find(|param| param.name == name).map(|param| param.kind).or_else(|| find(name));
        let result = kind.map_or_else(|| Err(UNDEFINED.to_owned()), |kind| check(name, kind, value));
        if let Err(message) = result {
            errors.insert(name.to_owned(), message);
        }
    }
    for param in schema.iter().filter(|param| param.required && params.get(param.name).is_none()) {
        errors.insert(param.name.to_owned(), MISSING.to_owned());
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::Invalid { errors, errno: 255 }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_names_begin_with_a_letter_and_have_two_to_forty_characters() {
        assert!(check("snapname", Kind::ConfigId, "ab").is_ok());
        assert!(check("snapname", Kind::ConfigId, "a").is_err());
        assert!(check("snapname", Kind::ConfigId, "1a").is_err());
        assert_eq!(
            check("snapname", Kind::ConfigId, &"x".repeat(41)),
            Err("value may only be 40 characters long".into())
        );
    }

    #[test]
    fn all_wrong_parameters_are_named_at_once() {
        let schema = [req("vmid", Kind::Vmid), opt("start", Kind::Bool)];
        let params = Params::from_pairs([("start", "maybe"), ("bogus", "1")]);
        let Err(Refusal::Invalid { errors, .. }) = verify(&params, &schema, |_| None) else { panic!("accepted") };
        assert_eq!(errors["vmid"], MISSING);
        assert_eq!(errors["bogus"], UNDEFINED);
        assert_eq!(errors["start"], "type check ('boolean') failed - got 'maybe'");
    }
}
