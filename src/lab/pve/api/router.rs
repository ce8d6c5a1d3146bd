//! From method and path to the function that answers.

use super::call::{Call, Outcome};
use super::{
    access, agent, cluster, config, create, destroy, network, nodes, power, snapshot, start, storage, suspend, tasks,
};
use crate::lab::pve::answer::{Refusal, Response};
use crate::lab::pve::params::{Auth, Request};
use crate::lab::pve::simulator::Simulator;
use std::sync::Arc;

/// Answers a request: authentication, then the route, then its function.
pub async fn answer(sim: &Arc<Simulator>, request: Request) -> Response {
    let Request { method, path, params, auth } = request;
    if !["GET", "POST", "PUT", "DELETE"].contains(&method.as_str()) {
        return Response::new(Err(Refusal::NoSuchMethod(method)), Vec::new());
    }
    let login = path == "/access/ticket" && method == "POST";
    let refused = match auth {
        Auth::None if !login => Some("No ticket"),
        Auth::Bad if !login => Some("Authentication failed!"),
        _ => None,
    };
    if let Some(why) = refused {
        return Response::new(Err(Refusal::Unauthorized(why)), Vec::new());
    }
    let mut call = Call { sim: Arc::clone(sim), params, console: Vec::new() };
    let outcome = route(&mut call, &method, &path).await;
    Response::new(outcome, call.console)
}

async fn route(call: &mut Call, method: &str, path: &str) -> Outcome {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let unknown = || Refusal::NotImplemented { method: method.to_owned(), path: path.to_owned() };
    match (method, segments.as_slice()) {
        ("GET", []) => nodes::root(call),
        ("GET", ["version"]) => nodes::version(call),
        ("GET", ["access", "permissions"]) => access::permissions(call),
        ("POST", ["access", "ticket"]) => access::login(call),
        ("GET", ["access", "users"]) => access::users(call),
        ("GET", ["cluster", "resources"]) => cluster::resources(call),
        ("GET", ["cluster", "nextid"]) => cluster::next_id(call),
        ("GET", ["cluster", "status"]) => cluster::status(call),
        ("GET", ["cluster", "tasks"]) => tasks::cluster(call),
        ("GET", ["storage"]) => storage::configs(call),
        ("GET", ["storage", name]) => storage::config(call, name),
        ("GET", ["nodes"]) => nodes::list(call),
        (_, ["nodes", node, rest @ ..]) => {
            if !known(method, rest) {
                return Err(unknown());
            }
            check_node(call, node)?;
            node_route(call, method, rest).await.unwrap_or_else(|| Err(unknown()))
        }
        _ => Err(unknown()),
    }
}

/// True if the path exists below a node at all: asked before the node's name is looked up.
fn known(method: &str, rest: &[&str]) -> bool {
    match rest {
        [] | ["status" | "version" | "config" | "time"] => method == "GET" || rest == ["config"] && method == "PUT",
        ["qemu" | "network" | "tasks" | "storage", ..] => true,
        _ => false,
    }
}

fn check_node(call: &Call, node: &str) -> Result<(), Refusal> {
    if call.sim.read(|state| state.node.name == node || node == "localhost") {
        return Ok(());
    }
    Err(Refusal::died_with(
        11,
        format!(
            "hostname lookup '{node}' failed - failed to get address info for: {node}: \
             Temporary failure in name resolution"
        ),
    ))
}

/// None if there is no such path or not with this method.
async fn node_route(call: &mut Call, method: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (method, rest) {
        ("GET", []) => nodes::index(call),
        ("GET", ["status"]) => nodes::status(call),
        ("GET", ["version"]) => nodes::version(call),
        ("GET", ["config"]) => nodes::config(call),
        ("PUT", ["config"]) => nodes::set_config(call),
        ("GET", ["qemu"]) => nodes::machines(call).await,
        ("POST", ["qemu"]) => create::create(call),
        (_, ["qemu", vmid, rest @ ..]) => return machine_route(call, method, vmid, rest).await,
        ("GET", ["network"]) => network::list(call),
        ("POST", ["network"]) => network::create(call),
        ("PUT", ["network"]) => network::reload(call),
        ("DELETE", ["network"]) => network::revert(call),
        ("GET", ["network", name]) => network::get(call, name),
        ("PUT", ["network", name]) => network::update(call, name),
        ("DELETE", ["network", name]) => network::delete(call, name),
        ("GET", ["storage"]) => storage::list(call),
        ("GET", ["storage", name, "status"]) => storage::status(call, name),
        ("GET", ["storage", name, "content"]) => storage::content(call, name),
        ("POST", ["storage", name, "content"]) => storage::allocate(call, name),
        (_, ["storage", name, "content", volume @ ..]) if !volume.is_empty() => {
            let volume = volume.join("/");
            match method {
                "GET" => storage::attributes(call, name, &volume),
                "PUT" => storage::set_attributes(call, name, &volume),
                "DELETE" => storage::delete(call, name, &volume).await,
                _ => return None,
            }
        }
        ("GET", ["tasks"]) => tasks::list(call),
        ("GET", ["tasks", upid]) => tasks::index(call, upid),
        ("GET", ["tasks", upid, "status"]) => tasks::status(call, upid),
        ("GET", ["tasks", upid, "log"]) => tasks::log(call, upid),
        ("DELETE", ["tasks", upid]) => tasks::stop(call, upid),
        _ => return None,
    })
}

/// True if there is such a path below a machine, asked before its VMID is looked at.
fn known_machine_path(method: &str, rest: &[&str]) -> bool {
    match (method, rest) {
        ("GET", [] | ["config" | "pending" | "snapshot" | "agent" | "status"] | ["status", "current"])
        | ("DELETE", [] | ["snapshot", _])
        | ("POST", ["config" | "snapshot"] | ["snapshot", _, "rollback"])
        | ("PUT", ["config" | "unlink"] | ["snapshot", _, "config"])
        | ("GET", ["snapshot", _] | ["snapshot", _, "config"]) => true,
        ("POST", ["status", word]) => {
            ["start", "stop", "shutdown", "reset", "suspend", "resume", "reboot"].contains(word)
        }
        (_, ["agent", command]) => agent::known(method, command),
        _ => false,
    }
}

async fn machine_route(call: &mut Call, method: &str, vmid: &str, rest: &[&str]) -> Option<Outcome> {
    if !known_machine_path(method, rest) {
        return None;
    }
    let vmid = match Call::vmid(vmid) {
        Ok(vmid) => vmid,
        Err(refusal) => return Some(Err(refusal)),
    };
    Some(match (method, rest) {
        ("GET", []) => config::index(call, vmid),
        ("DELETE", []) => destroy::destroy(call, vmid),
        ("GET", ["config"]) => config::get(call, vmid),
        ("PUT", ["config"]) => config::put(call, vmid).await,
        ("POST", ["config"]) => config::post(call, vmid),
        ("PUT", ["unlink"]) => config::unlink(call, vmid).await,
        ("GET", ["pending"]) => config::pending(call, vmid),
        ("GET", ["status"]) => power::index(call, vmid),
        ("GET", ["status", "current"]) => power::current(call, vmid).await,
        ("POST", ["status", "start"]) => start::start(call, vmid),
        ("POST", ["status", "stop"]) => power::stop(call, vmid),
        ("POST", ["status", "shutdown"]) => power::shutdown(call, vmid),
        ("POST", ["status", "reboot"]) => power::reboot(call, vmid),
        ("POST", ["status", "reset"]) => power::reset(call, vmid),
        ("POST", ["status", "suspend"]) => suspend::suspend(call, vmid),
        ("POST", ["status", "resume"]) => suspend::resume(call, vmid),
        ("GET", ["snapshot"]) => snapshot::list(call, vmid),
        ("POST", ["snapshot"]) => snapshot::create(call, vmid),
        ("GET", ["snapshot", name]) => snapshot::index(call, vmid, name),
        ("GET", ["snapshot", name, "config"]) => snapshot::config(call, vmid, name),
        ("PUT", ["snapshot", name, "config"]) => snapshot::describe(call, vmid, name),
        ("POST", ["snapshot", name, "rollback"]) => snapshot::rollback(call, vmid, name),
        ("DELETE", ["snapshot", name]) => snapshot::delete(call, vmid, name),
        ("GET", ["agent"]) => agent::index(call, vmid),
        (_, ["agent", command]) => agent::run(call, vmid, command).await,
        _ => return None,
    })
}
