//! The usage texts of the real tools, recorded: what they print when a command is not known.

/// `qm` without a command.
pub const QM: &str = "\
USAGE: qm <COMMAND> [ARGS] [OPTIONS]

       qm cloudinit dump <vmid> <type>
       qm cloudinit pending <vmid>
       qm cloudinit update <vmid>

       qm disk move <vmid> <disk> [<storage>] [OPTIONS]
       qm disk resize <vmid> <disk> <size> [OPTIONS]
       qm disk unlink <vmid> --idlist <string> [OPTIONS]
       qm disk import <vmid> <source> <storage> [OPTIONS]
       qm disk rescan  [OPTIONS]

       qm guest cmd <vmid> <command>
       qm guest exec-status <vmid> <pid>
       qm guest passwd <vmid> <username> [OPTIONS]
       qm guest exec <vmid> [<extra-args>] [OPTIONS]

       qm clone <vmid> <newid> [OPTIONS]
       qm config <vmid> [OPTIONS]
       qm create <vmid> [OPTIONS]
       qm delsnapshot <vmid> <snapname> [OPTIONS]
       qm destroy <vmid> [OPTIONS]
       qm list  [OPTIONS]
       qm listsnapshot <vmid>
       qm migrate <vmid> <target> [OPTIONS]
       qm pending <vmid>
       qm reboot <vmid> [OPTIONS]
       qm reset <vmid> [OPTIONS]
       qm resume <vmid> [OPTIONS]
       qm rollback <vmid> <snapname> [OPTIONS]
       qm sendkey <vmid> <key> [OPTIONS]
       qm set <vmid> [OPTIONS]
       qm shutdown <vmid> [OPTIONS]
       qm snapshot <vmid> <snapname> [OPTIONS]
       qm start <vmid> [OPTIONS]
       qm stop <vmid> [OPTIONS]
       qm suspend <vmid> [OPTIONS]
       qm template <vmid> [OPTIONS]

       qm cleanup <vmid> <clean-shutdown> <guest-requested>
       qm enroll-efi-keys <vmid>
       qm import <vmid> <source> --storage <string> [OPTIONS]
       qm importovf <vmid> <manifest> <storage> [OPTIONS]
       qm monitor <vmid>
       qm mtunnel 
       qm nbdstop <vmid>
       qm remote-migrate <vmid> [<target-vmid>] <target-endpoint> --target-bridge <string> --target-storage <string> [OPTIONS]
       qm showcmd <vmid> [OPTIONS]
       qm status <vmid> [OPTIONS]
       qm terminal <vmid> [OPTIONS]
       qm unlock <vmid>
       qm vncproxy <vmid>
       qm wait <vmid> [OPTIONS]

       qm help [<extra-args>] [OPTIONS]
";

/// `pvesm` without a command.
pub const PVESM: &str = "\
USAGE: pvesm <COMMAND> [ARGS] [OPTIONS]

       pvesm scan cifs <server> [OPTIONS]
       pvesm scan glusterfs <server>
       pvesm scan iscsi <portal>
       pvesm scan lvm 
       pvesm scan lvmthin <vg>
       pvesm scan nfs <server>
       pvesm scan pbs <server> <username> --password <string> [OPTIONS] [FORMAT_OPTIONS]
       pvesm scan zfs 

       pvesm add <type> <storage> [OPTIONS]
       pvesm remove <storage>
       pvesm set <storage> [OPTIONS]

       pvesm alloc <storage> <vmid> <filename> <size> [OPTIONS]
       pvesm free <volume> [OPTIONS]
       pvesm list <storage> [OPTIONS]

       pvesm status  [OPTIONS]

       pvesm apiinfo 
       pvesm export <volume> <format> <filename> [OPTIONS]
       pvesm extractconfig <volume>
       pvesm import <volume> <format> <filename> [OPTIONS]
       pvesm path <volume>
       pvesm prune-backups <storage> [OPTIONS]

       pvesm help [<extra-args>] [OPTIONS]
";

/// `pvesh` with an unknown command.
pub const PVESH: &str = "\
USAGE: pvesh <COMMAND> [ARGS] [OPTIONS]

       pvesh create <api_path> [OPTIONS] [FORMAT_OPTIONS]
       pvesh delete <api_path> [OPTIONS] [FORMAT_OPTIONS]
       pvesh get <api_path> [OPTIONS] [FORMAT_OPTIONS]
       pvesh ls <api_path> [OPTIONS] [FORMAT_OPTIONS]
       pvesh set <api_path> [OPTIONS] [FORMAT_OPTIONS]
       pvesh usage <api_path> [OPTIONS]

       pvesh help [<extra-args>] [OPTIONS]
";

/// The usage line of one command: `qm status` to `qm status <vmid> [OPTIONS]`.
pub fn line<'a>(usage: &'a str, command: &str) -> Option<&'a str> {
    let lines = usage.lines().map(str::trim);
    lines
        .into_iter()
        .find(|line| line.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_its_line() {
        assert_eq!(line(QM, "qm status"), Some("qm status <vmid> [OPTIONS]"));
        assert_eq!(line(QM, "qm frob"), None);
        assert!(QM.starts_with("USAGE: qm <COMMAND>"));
    }
}
