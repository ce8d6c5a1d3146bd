//! Reading `/etc/network/interfaces`: stanzas, their options, and the comments that Proxmox keeps in them.

/// One `iface` stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Iface {
    /// `vmbr0`.
    pub name: String,
    /// `inet`, `inet6`.
    pub family: String,
    /// `static`, `manual`, `dhcp`, `loopback`.
    pub method: String,
    /// Options in order, for example `("bridge-ports", "none")`; underscores of older files as dashes.
    pub options: Vec<(String, String)>,
    /// `#` lines of the stanza, without the `#`.
    pub comments: Vec<String>,
    /// Named in an `auto` line.
    pub auto: bool,
}

impl Iface {
    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Stanzas of the file in order. Lines that are no part of one (`source`, `mapping`) are left out.
pub fn parse(text: &str) -> Vec<Iface> {
    let mut auto: Vec<String> = Vec::new();
    let mut out: Vec<Iface> = Vec::new();
    let mut inside = false;
    for line in joined(text) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            if let (true, Some(iface)) = (inside, out.last_mut()) {
                iface.comments.push(comment.to_string());
            }
            continue;
        }
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            inside = false;
            continue;
        };
        let rest: Vec<&str> = words.collect();
        match (first, rest.as_slice()) {
            ("auto", names) => {
                auto.extend(names.iter().map(|n| (*n).to_string()));
                inside = false;
            }
            ("iface", [name, family, method, ..]) => {
                inside = true;
                let (name, family, method) = (name.to_string(), family.to_string(), method.to_string());
                out.push(Iface { name, family, method, ..Iface::default() });
            }
            ("source" | "source-directory" | "mapping" | "iface", _) => inside = false,
            (word, _) if word.starts_with("allow-") => inside = false,
            (name, value) => {
                if let (true, Some(iface)) = (inside, out.last_mut()) {
                    iface.options.push((name.replace('_', "-"), value.join(" ")));
                }
            }
        }
    }
    for iface in &mut out {
        iface.auto = auto.contains(&iface.name);
    }
    out
}

/// Lines with a backslash at their end joined to the next.
fn joined(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let (line, continues) = line.strip_suffix('\\').map_or((line, false), |l| (l, true));
        match out.last_mut() {
            Some(last) if open => last.push_str(line),
            _ => out.push(line.to_string()),
        }
        open = continues;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Proxmox writes it (design: pve-common `src/PVE/Network/Interfaces.pm`).
    const FILE: &str = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr2\niface vmbr2 inet static\n\
        \taddress 10.10.0.1/24\n\tbridge-ports none\n\tbridge-stp off\n\tbridge_fd 0\n#DMZ\n\n\
        source /etc/network/interfaces.d/*\n";

    #[test]
    fn stanzas_are_read_with_their_comments() {
        let all = parse(FILE);
        let names: Vec<_> = all.iter().map(|i| (i.name.as_str(), i.auto)).collect();
        assert_eq!(names, [("lo", true), ("eno1", false), ("vmbr2", true)]);
        let bridge = &all[2];
        assert_eq!((bridge.family.as_str(), bridge.method.as_str()), ("inet", "static"));
        assert_eq!(bridge.option("bridge-fd"), Some("0"));
        assert_eq!(bridge.option("bridge-ports"), Some("none"));
        assert_eq!(bridge.comments, ["DMZ"]);
        assert!(all[1].options.is_empty() && all[1].comments.is_empty());
    }
}
