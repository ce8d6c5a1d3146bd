//! Addresses, CIDRs and bridge names as Proxmox VE takes them.

use std::net::IpAddr;

/// An address with its prefix length: `10.10.0.1/24`.
pub fn cidr(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let bits: u8 = bits.parse().ok()?;
    (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, bits))
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
        IpAddr::V6(a) => (u128::from(a), 128),
    }
}

fn masked(address: IpAddr, bits: u8) -> u128 {
    let (value, width) = number(address);
    let host = width - u32::from(bits);
    if host >= 128 { 0 } else { value >> host }
}

/// True if the address lies in the network.
pub fn contains(network: (IpAddr, u8), address: IpAddr) -> bool {
    network.0.is_ipv4() == address.is_ipv4() && masked(network.0, network.1) == masked(address, network.1)
}

/// The network's own address, if the given one has host bits: `10.10.0.1/24` should be `10.10.0.0/24`.
pub fn network_of(network: (IpAddr, u8)) -> Option<String> {
    let (value, width) = number(network.0);
    let host = width - u32::from(network.1);
    let base = if host >= 128 { 0 } else { (value >> host) << host };
    let base =
        if network.0.is_ipv4() { IpAddr::V4(u32::try_from(base).unwrap_or(0).into()) } else { IpAddr::V6(base.into()) };
    (base != network.0).then(|| format!("{base}/{}", network.1))
}

/// A bridge name: a letter first, letters, digits and `_`, at most 10 characters (pve-docs, pve-network.adoc, "Naming
/// Conventions").
pub fn is_bridge(name: &str) -> bool {
    name.len() <= 10
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let dmz = cidr("10.10.0.0/24").unwrap();
        assert!(contains(dmz, "10.10.0.254".parse().unwrap()));
        assert!(!contains(dmz, "10.10.1.1".parse().unwrap()) && !contains(dmz, "fe80::1".parse().unwrap()));
        assert_eq!(network_of(cidr("10.10.0.1/24").unwrap()), Some("10.10.0.0/24".to_string()));
        assert_eq!(network_of(dmz), None);
        assert_eq!(network_of(cidr("fd00::1/64").unwrap()), Some("fd00::/64".to_string()));
        assert!(
            contains(cidr("0.0.0.0/0").unwrap(), "1.2.3.4".parse().unwrap())
                && contains(cidr("::/0").unwrap(), "::1".parse().unwrap())
        );
        for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0/24", "10.0.0.0/+8", "10.0.0.0/", "x/24"] {
            assert_eq!(cidr(bad), None, "{bad}");
        }
    }

    #[test]
    fn bridges() {
        assert!(is_bridge("vmbr2") && is_bridge("dmz_lan"));
        assert!(!is_bridge("2vmbr") && !is_bridge("vmbr2vmbr2v") && !is_bridge("vm-br") && !is_bridge(""));
    }
}
