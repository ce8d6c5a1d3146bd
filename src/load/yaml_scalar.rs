//! The YAML 1.2 core types of a plain scalar, and the forms that mean something else in YAML 1.1.

use super::node::{Kind, Style};

/// What a plain scalar is.
pub fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    if digits(text)
        && let Ok(number) = text.trim_start_matches('+').parse()
    {
        return Kind::Int(number);
    }
    if let Some(hex) = text.strip_prefix("0x")
        && let Ok(number) = i64::from_str_radix(hex, 16)
        && !hex.starts_with(['+', '-'])
    {
        return Kind::Int(number);
    }
    if fraction(text)
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Kind::Float(number);
    }
    Kind::Str(text.to_string(), Style::Plain)
}

/// An optional sign and digits only.
pub fn digits(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit())
}

/// `0644`, `007`, `0o644`: a number with a leading zero, octal for some readers and decimal for others.
pub fn leading_zero(text: &str) -> bool {
    if let Some(octal) = text.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| b.is_ascii_digit());
    }
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// A word that YAML 1.1 (and Ansible) takes for a boolean and YAML 1.2 for a text; with its boolean.
pub fn old_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => Some(true),
        "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

fn fraction(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && bare.contains(|c: char| c.is_ascii_digit())
        && bare.contains(['.', 'e', 'E'])
        && bare.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_types() {
        let text = |t: &str| Kind::Str(t.to_string(), Style::Plain);
        for (input, want) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("True", Kind::Bool(true)),
            ("12", Kind::Int(12)),
            ("-3", Kind::Int(-3)),
            ("0x1f", Kind::Int(31)),
            ("1.5", Kind::Float(1.5)),
            ("1e3", Kind::Float(1000.0)),
            ("yes", text("yes")),
            ("1.2.3", text("1.2.3")),
            ("10.0.0.1/24", text("10.0.0.1/24")),
            (".", text(".")),
            ("e5", text("e5")),
            ("99999999999999999999", text("99999999999999999999")),
            ("12:30", text("12:30")),
        ] {
            assert_eq!(plain(input), want, "{input}");
        }
    }

    #[test]
    fn doubtful_forms() {
        assert!(leading_zero("0644") && leading_zero("00") && leading_zero("0o755"));
        assert!(!leading_zero("0") && !leading_zero("0.5") && !leading_zero("0x1f"));
        assert_eq!(old_boolean("Yes"), Some(true));
        assert_eq!(old_boolean("true"), None);
    }
}
