//! The ticket that lets `curl` speak to pvedaemon as root@pam: made on the node, by root, without a password.
//!
//! Sources: pve-access-control `src/PVE/AccessControl.pm`, `assemble_ticket` and `assemble_csrf_prevention_token`, the
//! same in Proxmox VE 8 (`stable-bookworm`) and 9 (`master`): both read their keys under `/etc/pve` and need no
//! set-up beside loading the module. A ticket is good for two hours (`$ticket_lifetime`), or less when the
//! node's key was renewed: then pvedaemon answers 401 and a new one is asked for.

use super::error::PveError;
use crate::cmd::{Cmd, Output};
use crate::secret;
use secrecy::SecretString;
use std::time::Duration;

/// A ticket this old is replaced before it is used again: 90 minutes of its two hours.
pub const REFRESH_AFTER: Duration = Duration::from_secs(90 * 60);

/// Ticket and CSRF token as texts with marks, for the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Mark of the ticket.
    pub ticket: String,
    /// Mark of the CSRF prevention token. pvedaemon as root does not check it; pveproxy would.
    pub csrf: String,
}

impl Auth {
    /// The marks for a node (inventory name).
    pub fn of(node: &str) -> Self {
        Self { ticket: secret::mark(&ticket_name(node)), csrf: secret::mark(&csrf_name(node)) }
    }
}

/// Name of a node's ticket in the vault.
pub fn ticket_name(node: &str) -> String {
    format!("pve-ticket-{node}")
}

/// Name of a node's CSRF token in the vault.
pub fn csrf_name(node: &str) -> String {
    format!("pve-csrf-{node}")
}

/// What the node gave.
#[derive(Debug)]
pub struct Ticket {
    /// `PVE:root@pam:TIME::SIGNATURE`; `None` if it is the one that the vault has already.
    pub ticket: Option<SecretString>,
    /// `TIME:SIGNATURE`; `None` likewise.
    pub csrf: Option<SecretString>,
    /// The name that the node calls itself in the API.
    pub node: String,
}

const SCRIPT: &str = r#"use strict; use warnings; use PVE::INotify; use PVE::AccessControl;
my $user = 'root@pam';
my $ticket = PVE::AccessControl::assemble_ticket($user);
my $csrf = PVE::AccessControl::assemble_csrf_prevention_token($user);
my $node = PVE::INotify::nodename();
print "piton-ticket 1\nnode $node\nticket $ticket\ncsrf $csrf\n";"#;

/// The command that makes a ticket; root on the node.
pub fn ticket_cmd() -> Cmd {
    Cmd::new(["perl", "-e", SCRIPT]).timeout(Duration::from_secs(30))
}

/// Reads what [`ticket_cmd`] printed. The node's name serves to find out an inventory that has another one.
///
/// # Errors
/// [`PveError::Ticket`] if there is none, or if it holds what cannot be part of one.
pub fn read_ticket(output: &Output) -> Result<Ticket, PveError> {
    let text = output.stdout.text();
    let line = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(' ')).map(str::trim);
    if !output.ok() || line("piton-ticket") != Some("1") {
        let said = output.stderr.text();
        let why = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("perl printed none").trim();
        return Err(PveError::Ticket { why: why.to_string() });
    }
    let value = |key: &str| {
        let value = line(key).filter(|v| !v.is_empty());
        let value = value.ok_or_else(|| PveError::Ticket { why: format!("perl printed no {key}") })?;
        if secret::has_mark(value) {
            return Ok(None);
        }
        if !value.chars().all(|c| c.is_ascii_alphanumeric() || ":@._+/=%!-".contains(c)) {
            return Err(PveError::Ticket { why: format!("the {key} holds characters that none has") });
        }
        Ok(Some(SecretString::from(value.to_string())))
    };
    let node = line("node").filter(|n| !n.is_empty());
    let node = node.ok_or_else(|| PveError::Ticket { why: "perl printed no node".into() })?.to_string();
    Ok(Ticket { ticket: value("ticket")?, csrf: value("csrf")?, node })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    const GOOD: &str = "piton-ticket 1\nnode pve1\nticket PVE:root@pam:6B0282B9::c2ln+/==\ncsrf 6B0282B9:aGFzaA\n";

    #[test]
    fn a_ticket_is_read() {
        let got = read_ticket(&Output::of(0, GOOD, "auth key new enough\n")).unwrap();
        assert_eq!(got.ticket.unwrap().expose_secret(), "PVE:root@pam:6B0282B9::c2ln+/==");
        assert_eq!(got.csrf.unwrap().expose_secret(), "6B0282B9:aGFzaA");
        assert_eq!(got.node, "pve1");
    }

    #[test]
    fn none_is_an_error_with_perl_s_words_and_never_the_ticket() {
        let perl = Output::of(2, "", "\nCan't locate PVE/AccessControl.pm in @INC\n");
        let why = read_ticket(&perl).unwrap_err().to_string();
        assert_eq!(why, "no ticket from the node: Can't locate PVE/AccessControl.pm in @INC");
        let odd = read_ticket(&Output::of(0, &GOOD.replace("c2ln", "a\"b"), "")).unwrap_err().to_string();
        assert!(!odd.contains("a\"b"), "{odd}");
        assert!(read_ticket(&Output::of(0, &GOOD.replace("csrf", "x"), "")).is_err());
    }

    #[test]
    fn a_value_that_the_vault_has_already_comes_as_its_mark() {
        let text = GOOD.replace("PVE:root@pam:6B0282B9::c2ln+/==", &secret::mark("pve-ticket-pve"));
        let got = read_ticket(&Output::of(0, &text, "")).unwrap();
        assert!(got.ticket.is_none() && got.csrf.is_some());
    }
}
