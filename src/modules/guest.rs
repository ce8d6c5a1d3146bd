//! Which VM a `pve_*` step means, and what the API says of one that is not there.

use super::{Answer, Cx, ModuleError, Problem};
use serde_json::Value;

/// A VM named by a step: by `vmid`, by `guest`, or by the step's own host.
///
/// # Errors
/// [`ModuleError::Refused`] if none is named, or its node is not the one that is asked.
pub fn vmid(cx: &Cx, vmid: Option<u32>, guest: Option<&str>) -> Result<u32, ModuleError> {
    if cx.node.is_none() {
        let why = format!("{} is neither a Proxmox node nor a guest of one", cx.host);
        return Err(ModuleError::refused(why).hint("give it `node` and `vmid` in the inventory"));
    }
    if let Some(vmid) = vmid {
        return Ok(vmid);
    }
    let Some(name) = guest else {
        return cx.vmid.ok_or_else(|| {
            ModuleError::refused(format!("{} is a node: which of its guests is meant?", cx.host))
                .hint("write `guest` or `vmid`, or run the step on the guest")
        });
    };
    match cx.guests.iter().find(|g| g.name == name) {
        None => Err(ModuleError::refused(format!("the inventory has no guest `{name}`"))),
        Some(guest) if cx.node.as_ref() != Some(&guest.node) => {
            let why = format!("{name} is a guest of {}, not of {}", guest.node, cx.node.as_deref().unwrap_or_default());
            Err(ModuleError::refused(why).hint(format!("run the step on {}", guest.node)))
        }
        Some(guest) => Ok(guest.vmid),
    }
}

/// What is wrong with `vmid` and `guest`. Proxmox takes 100 to 999999999 (pve-common, `pve-vmid`).
pub fn wrong(vmid: Option<u32>, guest: Option<&str>) -> Vec<Problem> {
    let mut out = Vec::new();
    if vmid.is_some_and(|v| !(100..=999_999_999).contains(&v)) {
        out.push(Problem::at("vmid", "VMIDs go from 100 to 999999999"));
    }
    if vmid.is_some() && guest.is_some() {
        out.push(Problem::at("guest", "write either `vmid` or `guest`, not both"));
    }
    out
}

/// Path of a VM in the API.
pub fn path(vmid: u32, rest: &str) -> String {
    format!("/nodes/{{node}}/qemu/{vmid}/{rest}")
}

/// `data` of an answer about a VM. An unknown VMID is a 500 with this text (recorded, never a 404).
///
/// # Errors
/// [`ModuleError::Refused`] for a VM that is not there, [`ModuleError::Probe`] for any other error.
pub fn data(vmid: u32, answer: Option<&Answer>) -> Result<&Value, ModuleError> {
    let answer = answer.ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
    let api = answer.api()?;
    if !api.ok() && api.message().contains(&format!("/{vmid}.conf' does not exist")) {
        let why = format!("there is no VM {vmid} on this node");
        return Err(ModuleError::refused(why).hint("check `node` and `vmid` in the inventory"));
    }
    answer.data(&format!("VM {vmid}"))
}

#[cfg(test)]
mod tests {
    use super::super::{GuestRef, bench};
    use super::*;

    #[test]
    fn a_vm_is_named_in_three_ways() {
        let guest = GuestRef { name: "web".into(), node: "pve2".into(), vmid: 101 };
        let cx = Cx { host: "h".into(), node: Some("pve2".into()), guests: vec![guest], ..Cx::default() };
        assert_eq!(vmid(&cx, Some(300), None), Ok(300));
        assert_eq!(vmid(&cx, None, Some("web")), Ok(101));
        assert_eq!(vmid(&Cx { vmid: Some(7), ..cx.clone() }, None, None), Ok(7));
        let why = |cx: &Cx, guest| vmid(cx, None, guest).unwrap_err().to_string();
        assert_eq!(why(&cx, None), "h is a node: which of its guests is meant?");
        assert_eq!(why(&cx, Some("nobody")), "the inventory has no guest `nobody`");
        let other = Cx { node: Some("pve1".into()), ..cx.clone() };
        assert_eq!(why(&other, Some("web")), "web is a guest of pve2, not of pve1");
        assert_eq!(why(&Cx { node: None, ..cx }, None), "h is neither a Proxmox node nor a guest of one");
    }

    #[test]
    fn an_unknown_vmid_is_told_from_other_errors() {
        for row in [20, 32, 33, 42] {
            let error = data(999, Some(&Answer::Api(bench::recorded(row)))).unwrap_err();
            assert_eq!(error.to_string(), "there is no VM 999 on this node");
        }
        let error = data(12, Some(&Answer::Api(bench::recorded(21)))).unwrap_err();
        assert!(matches!(error, ModuleError::Probe { .. }), "{error}");
    }
}
