//! Command lines as the real tools read them: positional words, `--key value`, and everything after `--`.

use crate::lab::pve::params::Params;

/// What an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A value always follows.
    Value,
    /// A value may follow; alone it means 1.
    MaybeValue,
}

/// A command line, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// Words that are no options.
    pub words: Vec<String>,
    /// Options without their dashes.
    pub options: Params,
    /// What comes after `--`.
    pub rest: Vec<String>,
}

/// Reads a command line; `known` says what an option takes, none for an unknown one.
///
/// # Errors
/// `Unknown option: bogus`, as it is printed.
pub fn read(args: &[String], known: impl Fn(&str) -> Option<Takes>) -> Result<Line, String> {
    let mut line = Line::default();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        if arg == "--" {
            line.rest = args.cloned().collect();
            break;
        }
        let Some(option) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|name| !name.is_empty())
        else {
            line.words.push(arg.clone());
            continue;
        };
        let (name, given) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value.to_owned())));
        let takes = known(name).ok_or_else(|| format!("Unknown option: {name}"))?;
        let next_is_value = args.peek().is_some_and(|next| !next.starts_with('-') || next.len() == 1);
        let value = match (given, takes) {
            (Some(value), _) => value,
            (None, Takes::MaybeValue) if !next_is_value => "1".to_owned(),
            (None, _) => match args.next() {
                Some(value) => value.clone(),
                None => return Err(format!("Option {name} requires an argument")),
            },
        };
        line.options.push(name, value);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_may_stand_alone() {
        let args = ["100", "--purge", "--name", "a", "--start=1", "--", "-x"].map(str::to_owned);
        let known = |name: &str| match name {
            "purge" | "start" => Some(Takes::MaybeValue),
            "name" => Some(Takes::Value),
            _ => None,
        };
        let line = read(&args, known).unwrap();
        assert_eq!(line.words, ["100"]);
        assert_eq!(line.rest, ["-x"]);
        assert_eq!(line.options, Params::from_pairs([("purge", "1"), ("name", "a"), ("start", "1")]));
        assert_eq!(read(&["--bogus".to_owned()], known), Err("Unknown option: bogus".into()));
    }
}
