//! What `pvesh` knows without asking: which options a path requires, and what lies below the first paths.

/// `(command, path without the node's name, required options)`. A `*` stands for one segment.
const REQUIRED: [(&str, &str, &str); 10] = [
    ("create", "nodes/*/network", "--iface <string> --type <string>"),
    ("set", "nodes/*/network/*", "--type <string>"),
    ("create", "nodes/*/qemu", "--vmid <integer>"),
    ("create", "nodes/*/qemu/*/snapshot", "--snapname <string>"),
    ("create", "nodes/*/qemu/*/agent/exec", "--command <string>"),
    ("get", "nodes/*/qemu/*/agent/exec-status", "--pid <integer>"),
    ("get", "nodes/*/qemu/*/agent/file-read", "--file <string>"),
    ("create", "nodes/*/qemu/*/agent/file-write", "--content <string> --file <string>"),
    ("set", "nodes/*/qemu/*/unlink", "--idlist <string>"),
    ("create", "nodes/*/storage/*/content", "--filename <string> --size <string> --vmid <integer>"),
];

fn matches(pattern: &str, path: &str) -> bool {
    let (mut want, mut have) = (pattern.split('/'), path.trim_matches('/').split('/'));
    loop {
        match (want.next(), have.next()) {
            (None, None) => return true,
            (Some(want), Some(have)) if want == "*" || want == have => {}
            _ => return false,
        }
    }
}

/// The options that a call requires, as they stand in a usage line; empty if none.
pub fn required(command: &str, path: &str) -> &'static str {
    let found = REQUIRED.iter().find(|(name, pattern, _)| *name == command && matches(pattern, path));
    found.map_or("", |(_, _, options)| options)
}

/// The usage line after wrong parameters.
pub fn line(command: &str, path: &str) -> String {
    let required = required(command, path);
    let gap = if required.is_empty() { "" } else { " " };
    format!("pvesh {command} <api_path>{gap}{required} [OPTIONS] [FORMAT_OPTIONS]")
}

/// What `pvesh ls` prints for `/` and for a node: rights and name.
pub fn listing(path: &str, node: &str) -> Option<&'static [(&'static str, &'static str)]> {
    match path.trim_matches('/') {
        "" => Some(&ROOT),
        inner if inner == format!("nodes/{node}") => Some(&NODE),
        _ => None,
    }
}

const ROOT: [(&str, &str); 6] = [
    ("Dr---", "access"),
    ("Dr---", "cluster"),
    ("Dr---", "nodes"),
    ("Drwcd", "pools"),
    ("Dr-c-", "storage"),
    ("-r---", "version"),
];

const NODE: [(&str, &str); 40] = [
    ("-r-c-", "aplinfo"),
    ("Dr---", "apt"),
    ("Dr---", "capabilities"),
    ("Dr---", "ceph"),
    ("Dr---", "certificates"),
    ("-rw--", "config"),
    ("Dr---", "disks"),
    ("-rw--", "dns"),
    ("Dr---", "firewall"),
    ("Dr---", "hardware"),
    ("-r-c-", "hosts"),
    ("-r---", "journal"),
    ("Dr-c-", "lxc"),
    ("---c-", "migrateall"),
    ("-r---", "netstat"),
    ("Drwcd", "network"),
    ("Dr-c-", "qemu"),
    ("-r---", "query-url-metadata"),
    ("Dr---", "replication"),
    ("-r---", "report"),
    ("-r---", "rrd"),
    ("-r---", "rrddata"),
    ("Dr---", "scan"),
    ("Dr---", "sdn"),
    ("Dr---", "services"),
    ("---c-", "spiceshell"),
    ("---c-", "startall"),
    ("-r-c-", "status"),
    ("---c-", "stopall"),
    ("Dr---", "storage"),
    ("-rwcd", "subscription"),
    ("---c-", "suspendall"),
    ("-r---", "syslog"),
    ("Dr---", "tasks"),
    ("---c-", "termproxy"),
    ("-rw--", "time"),
    ("-r---", "version"),
    ("---c-", "vncshell"),
    ("---c-", "vzdump"),
    ("---c-", "wakeonlan"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_its_pattern() {
        assert_eq!(
            line("create", "/nodes/pve1/network"),
            "pvesh create <api_path> --iface <string> --type <string> [OPTIONS] [FORMAT_OPTIONS]"
        );
        assert_eq!(line("get", "/nodes"), "pvesh get <api_path> [OPTIONS] [FORMAT_OPTIONS]");
    }
}
