//! IPv4 addresses with their prefix, like `10.10.0.1/24`.

use std::fmt;
use std::net::Ipv4Addr;

/// An address and its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of the network, 1 to 32.
    pub prefix: u32,
}

impl Cidr {
    /// From `10.10.0.1/24`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not an IPv4 address with its prefix, like 10.10.0.1/24");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address = address.parse().map_err(|_| wrong())?;
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let prefix = prefix.parse().ok().filter(|p| (1..=32).contains(p)).ok_or_else(wrong)?;
        Ok(Self { address, prefix })
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - self.prefix)
    }

    /// True if the address lies in the network.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask() == u32::from(self.address) & self.mask()
    }

    /// True if the networks share an address.
    pub fn overlaps(self, other: Self) -> bool {
        if self.prefix <= other.prefix { self.contains(other.address) } else { other.contains(self.address) }
    }

    /// False for the network's own address and its broadcast address.
    pub fn is_host(self) -> bool {
        let host = u32::from(self.address) & !self.mask();
        self.prefix > 30 || (host != 0 && host != !self.mask())
    }

    /// The first address of the network that a host may have.
    pub fn first(self) -> Self {
        let network = u32::from(self.address) & self.mask();
        Self { address: Ipv4Addr::from(network + u32::from(self.prefix <= 30)), prefix: self.prefix }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let cidr = |text: &str| Cidr::parse(text).unwrap();
        assert!(cidr("10.10.0.1/24").contains(Ipv4Addr::new(10, 10, 0, 254)));
        assert!(!cidr("10.10.0.1/24").contains(Ipv4Addr::new(10, 10, 1, 1)));
        assert!(
            cidr("10.10.0.1/16").overlaps(cidr("10.10.5.1/24")) && cidr("10.10.5.1/24").overlaps(cidr("10.10.0.1/16"))
        );
        assert!(!cidr("10.10.0.0/24").is_host() && !cidr("10.10.0.255/24").is_host() && cidr("10.0.0.0/31").is_host());
        assert_eq!(cidr("10.10.0.0/24").first().to_string(), "10.10.0.1/24");
        for wrong in ["10.10.0.1", "10.10.0.1/0", "10.10.0.1/33", "10.30.0.999/24", "10.10.0.1/+4", "fd00::1/64", ""] {
            assert!(Cidr::parse(wrong).is_err(), "{wrong}");
        }
    }
}
