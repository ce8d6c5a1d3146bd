//! The texts in a host's file system as it is after installation.

use super::layout::{LabFile, NODE, hosts, vmid};

/// Users and groups of a small Debian.
pub const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
backup:x:34:34:backup:/var/backups:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
";

/// `/etc/group`.
pub const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
backup:x:34:
shadow:x:42:
nogroup:x:65534:
";

/// `/etc/shadow`: nobody has a password; `*` is not a locked account for sshd without PAM, `!` is.
pub fn shadow() -> String {
    let users = PASSWD.lines().filter_map(|l| l.split(':').next());
    users.map(|user| [user, ":*:19500:0:99999:7:::\n"].concat()).collect()
}

/// `/etc/hosts`: all hosts of the lab share the loopback.
pub fn hosts_file() -> String {
    format!("127.0.0.1\tlocalhost\n127.0.1.1\t{}\n", hosts().collect::<Vec<_>>().join(" "))
}

/// `/etc/motd`, shown by `piton lab shell`.
pub fn motd(host: &str) -> String {
    let what = vmid(host).map_or("the simulated Proxmox VE node".into(), |id| format!("guest {id}"));
    format!(
        "This is `{host}`, {what} of a piton lab. Files and sshd are real; Proxmox, systemd and apt are simulated.\n"
    )
}

/// `/etc/piton-lab`: the marker that tells a program, or a careful person, where it is.
pub fn marker(host: &str) -> String {
    let kind = if vmid(host).is_some() { "guest" } else { "node" };
    format!(
        "PITON_LAB=light\nHOST={host}\nKIND={kind}\nREAL=\"files sshd processes users\"\nSIMULATED=\"proxmox systemctl network\"\n"
    )
}

/// `/etc/ssh/sshd_config`.
pub fn sshd_config(port: u16) -> String {
    format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nUseDNS no\nPrintMotd yes\n\
         AcceptEnv LANG LC_*\nSubsystem sftp internal-sftp\n"
    )
}

/// `ssh.service`: the sshd is a unit like any other.
pub const SSH_SERVICE: &str = "\
[Unit]
Description=OpenBSD Secure Shell server

[Service]
RuntimeDirectory=sshd
ExecStartPre=/usr/sbin/sshd -t
ExecStart=/usr/sbin/sshd -D -e
ExecReload=/usr/sbin/sshd -t
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process

[Install]
WantedBy=multi-user.target
";

/// A stand-in for the NPM of the guest `extranet`: a real HTTP service on the lab's port.
pub fn npm_service(lab: &LabFile) -> String {
    format!(
        "[Unit]\nDescription=Reverse proxy (stand-in of the piton lab)\n\n[Service]\nType=forking\nPIDFile=/run/npm.pid\n\
         ExecStart=/usr/bin/env lab-httpd {} /srv/npm /run/npm.pid\nWorkingDirectory=/srv/npm\n\n[Install]\nWantedBy=multi-user.target\n",
        lab.npm_port
    )
}

/// `/etc/network/interfaces` of the node, laid out as PVE's writer does (recordings, seq 80).
pub const INTERFACES: &str = "\
auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 10.10.10.2/24
\tgateway 10.10.10.1
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0

source /etc/network/interfaces.d/*
";

/// `PVE::INotify` of the node, as far as a ticket needs it.
pub const PERL_INOTIFY: &str = "\
package PVE::INotify; # piton lab: not Proxmox's, only what makes a ticket of this simulated node
use strict; use warnings;
sub nodename { open(my $f, '<', '/etc/hostname') or die \"/etc/hostname: $!\\n\"; chomp(my $n = <$f>); return $n; }
1;
";

/// `PVE::AccessControl` of the node: gives the ticket that the simulated API takes.
pub const PERL_ACCESS_CONTROL: &str = "\
package PVE::AccessControl; # piton lab: not Proxmox's, its tickets open this simulated node only
use strict; use warnings;
sub line {
    open(my $f, '<', '/run/piton-lab/api/ticket') or die \"piton lab: no ticket: $!\\n\";
    chomp(my $t = <$f>);
    return $t;
}
sub assemble_ticket { return line(); }
sub assemble_csrf_prevention_token { my $t = line(); $t =~ s/[^0-9A-Za-z]//g; return sprintf('%08X', time()) . ':' . substr($t, -24); }
1;
";

/// True for the host with the Proxmox simulation.
pub fn is_node(host: &str) -> bool {
    host == NODE
}
