//! `/access`: as much as carriers need.

use super::call::{Call, Outcome};
use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::schema::{Kind, opt, req};
use serde_json::json;

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
