//! `status/...`: what runs, and stop, shutdown, reboot and reset.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::running::{Detail, status};
use crate::lab::pve::schema::{Kind, opt};
use crate::lab::pve::vm::Vm;
use crate::lab::pve::worker::{Console as _, Work, Worker};
use serde_json::{Value, json};
use std::time::Duration;

/// `GET status`.
pub fn index(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let below = ["current", "start", "stop", "shutdown", "reset", "suspend", "resume", "reboot"];
    Ok(Reply::data(below.iter().map(|name| json!({"subdir": name})).collect::<Vec<_>>()))
}

/// `GET status/current`.
pub async fn current(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[])?;
    call.must_exist(vmid)?;
    let detail = Detail::Full(call.sim.guest_answers(vmid).await);
    let now = call.sim.now();
    let fields = call.sim.read(|state| {
        state.vms.get(&vmid).map(|vm| {
            let mut fields = status(state, vmid, vm, now, detail);
            fields.insert("ha".into(), json!({"managed": 0}));
            fields.insert("clipboard".into(), Value::Null);
            if vm.has_agent() {
                fields.insert("agent".into(), json!(1));
            }
            fields
        })
    });
    fields.map(|fields| Reply::data(Value::Object(fields))).ok_or_else(|| Refusal::died("the machine is gone"))
}

/// `POST status/stop`: pulls the plug. Not an error on a stopped machine.
pub fn stop(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[
        opt("skiplock", Kind::Bool),
        opt("timeout", Kind::Int(0)),
        opt("keepActive", Kind::Bool),
        opt("overrule-shutdown", Kind::Bool),
    ])?;
    Ok(Reply::data(call.sim.fork("qmstop", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        sim.load(vmid, |_| ()).map_err(|_| sim.unfound(vmid))?;
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        pull_plug(&worker, vmid).await
    })))
}

/// Takes the process away; the caller holds the lock file.
pub async fn pull_plug(worker: &Worker, vmid: u32) -> Work {
    let sim = &worker.sim;
    if !sim.load(vmid, Vm::is_running)? {
        return Ok(());
    }
    sim.take(sim.pace.stop).await;
    sim.hypervisor.stop(vmid).await.map_err(|why| why.to_string())?;
    sim.change(vmid, |vm| vm.run = None)
}

/// What the real code prints, before it forks, about a machine that it cannot ask.
fn warn_if_down(call: &mut Call, vmid: u32) -> Option<String> {
    let why = match call.sim.load(vmid, Vm::is_running) {
        Ok(true) => return None,
        Ok(false) => format!("VM {vmid} not running"),
        Err(_) => call.sim.unfound(vmid),
    };
    call.console.err(why.clone());
    call.console.err(String::new());
    Some(why)
}

/// `POST status/shutdown`: asks the guest.
pub fn shutdown(call: &mut Call, vmid: u32) -> Outcome {
    call.verify(&[
        opt("skiplock", Kind::Bool),
        opt("timeout", Kind::Int(0)),
        opt("forceStop", Kind::Bool),
        opt("keepActive", Kind::Bool),
    ])?;
    warn_if_down(call, vmid);
    let timeout = call.params.number("timeout").map(Duration::from_secs);
    let force = call.params.flag("forceStop");
    Ok(Reply::data(call.sim.fork("qmshutdown", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        sim.load(vmid, |_| ()).map_err(|_| sim.unfound(vmid))?;
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        ask_to_end(&worker, vmid, timeout, force).await
    })))
}

/// Asks the guest to shut down and waits; the caller holds the lock file.
async fn ask_to_end(worker: &Worker, vmid: u32, timeout: Option<Duration>, force: bool) -> Work {
    let sim = &worker.sim;
    let (running, agent) = sim.load(vmid, |vm| (vm.is_running(), vm.has_agent()))?;
    if !running {
        return Ok(());
    }
    if sim.guest_answers(vmid).await {
        sim.take(sim.pace.shutdown).await;
    } else {
        if agent {
            worker.say(silent_agent(vmid));
        }
        tokio::time::sleep(timeout.unwrap_or(sim.pace.shutdown_timeout)).await;
        if !force {
            return Err("VM quit/powerdown failed - got timeout".to_owned());
        }
        worker.say("VM still running - terminating now with SIGTERM");
    }
    sim.hypervisor.stop(vmid).await.map_err(|why| why.to_string())?;
    sim.change(vmid, |vm| vm.run = None)
}

/// What is printed when a configured agent does not answer.
pub fn silent_agent(vmid: u32) -> String {
    format!("QEMU Guest Agent is not running - VM {vmid} qmp command 'guest-ping' failed - got timeout")
}

/// `POST status/reboot`: shutdown and start, which makes pending changes real.
pub fn reboot(call: &mut Call, vmid: u32) -> Outcome {
    call.verify(&[opt("timeout", Kind::Int(0))])?;
    if let Some(why) = warn_if_down(call, vmid) {
        return Err(Refusal::died_with(2, why));
    }
    let timeout = call.params.number("timeout").map(Duration::from_secs);
    Ok(Reply::data(call.sim.fork("qmreboot", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        ask_to_end(&worker, vmid, timeout, false).await?;
        super::start::begin(&mut worker, vmid, false).await
    })))
}

/// `POST status/reset`: the reset button.
pub fn reset(call: &Call, vmid: u32) -> Outcome {
    call.verify(&[opt("skiplock", Kind::Bool)])?;
    call.must_run(vmid)?;
    Ok(Reply::data(call.sim.fork("qmreset", &vmid.to_string(), move |mut worker| async move {
        let sim = worker.sim.clone();
        let _guard = sim.lock_vm(vmid, &mut worker).await?;
        sim.take(sim.pace.other).await;
        sim.hypervisor.stop(vmid).await.map_err(|why| why.to_string())?;
        sim.hypervisor.start(vmid).await.map_err(|why| why.to_string())
    })))
}
