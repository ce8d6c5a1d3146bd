//! What ssh says when it cannot connect, in one line and with what to do about it. Pure.

/// Why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// One line.
    pub why: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// What the network says of a host that it does not lead to.
const NETWORK: [&str; 3] = [REFUSES, NO_WAY, SILENT];
const REFUSES: &str = "it refuses the connection";
const NO_WAY: &str = "there is no way to its network";
const SILENT: &str = "no answer";

/// What says that it is not the host, or we are not the user, that it should be.
const IDENTITY: [&str; 3] = [CHANGED, UNKNOWN, NOT_IN];
const CHANGED: &str = "its host key is not the one that known_hosts holds";
const UNKNOWN: &str = "its host key is not known";
const NOT_IN: &str = "it does not let us in";

/// True if the network does not lead there; also if the connection ended before any greeting, as it does when sshd
/// is about to go or a node finds nobody.
pub fn is_network(why: &str) -> bool {
    NETWORK.contains(&why)
        || why.starts_with("kex_exchange_identification: ")
        || why.starts_with("Connection closed by UNKNOWN")
        || why.starts_with("Connection timed out during banner exchange")
}

/// True if it has to do with who is who.
pub fn is_identity(why: &str) -> bool {
    IDENTITY.iter().any(|w| why.starts_with(w)) || why == TOO_MANY
}

const TOO_MANY: &str = "it gave up after too many keys";

/// Reads the log of an `ssh` that did not connect to this address.
pub fn why_unreachable(log: &str, address: &str, port: Option<u16>) -> Said {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let find = |what: &str| lines.iter().copied().find(|l| l.contains(what));
    let port_option = port.map(|p| format!("-p {p} ")).unwrap_or_default();
    let known = match port {
        Some(port) if port != 22 => format!("[{address}]:{port}"),
        _ => address.to_string(),
    };
    let said = |why: &str, hint: Option<String>| Said { why: why.to_string(), hint };
    if find("REMOTE HOST IDENTIFICATION HAS CHANGED").is_some() {
        let hint = format!(
            "somebody may be listening in, or the machine was installed anew; if you know why, forget the old key \
             with `ssh-keygen -R '{known}'` and log in once by hand"
        );
        return said(CHANGED, Some(hint));
    }
    if find("host key is known for").is_some() || find("Host key verification failed").is_some() {
        let hint = format!("log in once by hand with `ssh {port_option}{address}` and compare the fingerprint");
        return said(UNKNOWN, Some(hint));
    }
    if let Some(line) = find("Permission denied (") {
        let methods = line.split_once('(').map_or("", |(_, m)| m.trim_end_matches(['.', ')']));
        let hint = "check the user, load the key with `ssh-add`, or install it with `ssh-copy-id`; piton never asks \
                    for a login password";
        return said(&format!("{NOT_IN} (it takes: {methods})"), Some(hint.into()));
    }
    if find("Too many authentication failures").is_some() {
        let hint = "the agent offers too many keys: set IdentityFile and IdentitiesOnly for this host";
        return said(TOO_MANY, Some(hint.into()));
    }
    if find("Could not resolve hostname").is_some() {
        return said(&format!("the name {address} is not known"), Some("check `address:` in the inventory".into()));
    }
    if find("Connection refused").is_some() {
        return said(REFUSES, Some("is sshd running there, and on this port?".into()));
    }
    if find("No route to host").is_some() || find("Network is unreachable").is_some() {
        return said(NO_WAY, Some("check the address, and the VPN if there is one".into()));
    }
    if find("timed out").is_some() || find("Timeout").is_some() {
        return said(SILENT, Some("is it switched on, and does no firewall drop the connection?".into()));
    }
    if let Some(line) = find("Bad owner or permissions").or(find("Bad configuration option")).or(find("terminating,")) {
        return said(line, Some("correct the ssh configuration".into()));
    }
    match lines.last() {
        Some(line) => said(line, None),
        None => said("ssh gave up without a word", Some(format!("try `ssh -v {port_option}{address}` by hand"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(log: &str) -> String {
        why_unreachable(log, "10.0.0.1", Some(2222)).why
    }

    /// Logs as OpenSSH 9.2 wrote them.
    #[test]
    fn every_kind_of_failure() {
        let changed = "@@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.\r\n";
        let said = why_unreachable(changed, "10.0.0.1", Some(2222));
        assert_eq!(said.why, "its host key is not the one that known_hosts holds");
        assert!(said.hint.unwrap().contains("`ssh-keygen -R '[10.0.0.1]:2222'`"));
        let unknown = "No ED25519 host key is known for [10.0.0.1]:2222 and you have requested strict checking.\r\nHost key verification failed.\r\n";
        assert_eq!(why(unknown), "its host key is not known");
        assert_eq!(
            why("u@10.0.0.1: Permission denied (publickey,password).\r\n"),
            "it does not let us in (it takes: publickey,password)"
        );
        assert_eq!(why("ssh: connect to host 10.0.0.1 port 2222: Connection refused\r\n"), "it refuses the connection");
        assert_eq!(
            why("ssh: Could not resolve hostname x: Name or service not known\r\n"),
            "the name 10.0.0.1 is not known"
        );
        assert_eq!(why("ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n"), "no answer");
        assert_eq!(
            why("ssh: connect to host 10.0.0.1 port 22: No route to host\r\n"),
            "there is no way to its network"
        );
        assert_eq!(
            why("something new\r\nkex_exchange_identification: Connection closed by remote host\r\n"),
            "kex_exchange_identification: Connection closed by remote host"
        );
        assert_eq!(why(""), "ssh gave up without a word");
    }

    #[test]
    fn a_dead_network_is_no_question_of_who_is_who() {
        for log in [
            "ssh: connect to host 10.0.0.1 port 2222: Connection refused\r\n",
            "ssh: connect to host 10.0.0.1 port 22: Connection timed out\r\n",
            "ssh: connect to host 10.0.0.1 port 22: No route to host\r\n",
            "kex_exchange_identification: read: Connection reset by peer\r\n",
        ] {
            assert!(is_network(&why(log)) && !is_identity(&why(log)), "{log}");
        }
        for log in [
            "Host key verification failed.\r\n",
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n",
            "u@10.0.0.1: Permission denied (publickey).\r\n",
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures\r\n",
        ] {
            assert!(!is_network(&why(log)) && is_identity(&why(log)), "{log}");
        }
        let name = why("ssh: Could not resolve hostname x: Name or service not known\r\n");
        assert!(!is_network(&name) && !is_identity(&name));
    }
}
