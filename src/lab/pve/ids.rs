//! What a node makes up: UUIDs and MAC addresses, injected so that tests get the same ones each time.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of numbers that have not been given out before.
pub trait Ids: Send + Sync {
    /// 64 bits; no two calls answer the same.
    fn next(&self) -> u64;

    /// A version 4 UUID, for `smbios1` and `vmgenid`.
    fn uuid(&self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48 & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// A MAC address with the prefix that Proxmox VE uses.
    fn mac(&self) -> String {
        let bits = self.next();
        format!("BC:24:11:{:02X}:{:02X}:{:02X}", bits >> 16 & 0xff, bits >> 8 & 0xff, bits & 0xff)
    }
}

/// Random numbers from the process's hash seeds: made-up names, nothing secret.
#[derive(Debug, Default)]
pub struct SystemIds {
    state: RandomState,
    count: AtomicU64,
}

impl Ids for SystemIds {
    fn next(&self) -> u64 {
        self.state.hash_one(self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// 1, 2, 3: for tests.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}
