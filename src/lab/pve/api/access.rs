//! `/access`: as much as carriers need.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::schema::{Kind, opt, req};
use serde_json::{Map, Value, json};

/// `POST /access/ticket`. No password logs in: the carriers make their ticket on the node.
pub fn login(call: &Call) -> Outcome {
    call.verify(&[
        req("username", Kind::Text),
        req("password", Kind::Text),
        opt("realm", Kind::Text),
        opt("otp", Kind::Text),
        opt("path", Kind::Text),
        opt("privs", Kind::Text),
        opt("new-format", Kind::Bool),
        opt("tfa-challenge", Kind::Text),
    ])?;
    Err(Refusal::LoginFailed)
}

/// `GET /access/users`.
pub fn users(call: &Call) -> Outcome {
    call.verify(&[opt("enabled", Kind::Bool), opt("full", Kind::Bool)])?;
    Ok(Reply::data(json!([{"enable": 1, "realm-type": "pam", "userid": "root@pam"}])))
}

const PATHS: [&str; 8] = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];

const PRIVILEGES: [&str; 42] = [
    "Datastore.Allocate",
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "Group.Allocate",
    "Mapping.Audit",
    "Mapping.Modify",
    "Mapping.Use",
    "Permissions.Modify",
    "Pool.Allocate",
    "Pool.Audit",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "SDN.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "Sys.Syslog",
    "User.Modify",
    "VM.Allocate",
    "VM.Audit",
    "VM.Backup",
    "VM.Clone",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.Console",
    "VM.Migrate",
    "VM.Monitor",
    "VM.PowerMgmt",
    "VM.Snapshot",
    "VM.Snapshot.Rollback",
];

/// `GET /access/permissions`: root may do everything.
pub fn permissions(call: &Call) -> Outcome {
    call.verify(&[opt("path", Kind::Text), opt("userid", Kind::Text)])?;
    let all = || PRIVILEGES.iter().map(|name| ((*name).to_owned(), json!(1))).collect::<Map<_, _>>();
    let map: Map<_, _> = PATHS.iter().map(|path| ((*path).to_owned(), Value::Object(all()))).collect();
    Ok(Reply::data(Value::Object(map)))
}
