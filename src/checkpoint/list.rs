//! Many guests of a node at once: their snapshots, and what checkpoints of them would protect.

use super::look::{data, unanswered};
use super::{CheckpointError, GuestRef};
use crate::cmd::ApiCall;
use crate::event::Coverage;
use crate::pve::SnapshotList;
use crate::pve::coverage::{Storage, coverage};
use crate::transport::api::NodeApi;

/// The snapshots of each guest, in one round trip.
pub async fn lists(api: &NodeApi, guests: &[GuestRef]) -> Vec<Result<SnapshotList, CheckpointError>> {
    let calls: Vec<ApiCall> = guests.iter().map(|g| ApiCall::get(g.path("/snapshot"))).collect();
    let mut answers = api.gets(&calls).await.into_iter();
    guests
        .iter()
        .map(|guest| {
            let data = data(guest, answers.next().unwrap_or_else(|| Err(unanswered())))?;
            SnapshotList::parse(&data).map_err(|error| CheckpointError::Answer { guest: guest.name.clone(), error })
        })
        .collect()
}

/// What a checkpoint of each guest would protect, in one round trip. With each guest the node's datasets that hold
/// its data.
pub async fn coverages(api: &NodeApi, guests: &[(GuestRef, Vec<String>)]) -> Vec<Result<Coverage, CheckpointError>> {
    let mut calls = vec![ApiCall::get("/storage")];
    calls.extend(guests.iter().map(|(g, _)| ApiCall::get(g.path("/config"))));
    let mut answers = api.gets(&calls).await.into_iter();
    let storages = answers.next().unwrap_or_else(|| Err(unanswered()));
    guests
        .iter()
        .map(|(guest, datasets)| {
            let config = data(guest, answers.next().unwrap_or_else(|| Err(unanswered())))?;
            let storages = Storage::list(&data(guest, storages.clone())?)
                .map_err(|error| CheckpointError::Answer { guest: guest.name.clone(), error })?;
            Ok(coverage(&guest.name, &config, &storages, datasets))
        })
        .collect()
}
