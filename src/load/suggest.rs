//! "Did you mean": the nearest known name, only when it is near.

/// The known name that the written one most likely stands for.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for name in known {
        if name == written {
            continue;
        }
        let score = if name.to_lowercase().replace(['-', '_'], "") == lower.replace(['-', '_'], "") {
            1.0
        } else {
            let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
            let allowed = match written.chars().count() {
                0..=2 => 0,
                3..=4 => 1,
                5..=8 => 2,
                _ => 3,
            };
            if distance > allowed {
                continue;
            }
            strsim::jaro_winkler(&lower, name)
        };
        if best.is_none_or(|(b, _)| score > b) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| name)
}

/// `did you mean `x`?`, or what there is (at most twelve names), or nothing.
pub fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(name) = nearest(written, known.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    if known.is_empty() || known.len() > 40 {
        return None;
    }
    let mut list: Vec<&str> = Vec::new();
    for name in known {
        if !list.contains(&name) {
            list.push(name);
        }
    }
    let more = list.len() > 24;
    list.truncate(24);
    Some(format!("{what}: {}{}", list.join(", "), if more { ", ..." } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_only() {
        assert_eq!(nearest("tempalte", ["template", "command"]), Some("template"));
        assert_eq!(nearest("extrnet", ["intranet", "extranet"]), Some("extranet"));
        assert_eq!(nearest("become-user", ["become", "become_user"]), Some("become_user"));
        assert_eq!(nearest("shell", ["service", "file"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
