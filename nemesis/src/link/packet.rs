//! As much of IPv4 (RFC 791, section 3.1) as a switch needs.

use std::net::Ipv4Addr;

/// The shortest IPv4 header, in bytes.
const HEADER_BYTES_MIN: usize = 20;

/// Where this packet wants to go; `None` when it is not an IPv4 packet.
pub(super) fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    if packet.len() < HEADER_BYTES_MIN || packet[0] >> 4 != 4 {
        return None;
    }
    Some(Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]))
}

/// Flips the bit that `draw` picks, behind the header, so that the packet still arrives.
///
/// A packet without a payload stays as it is.
pub(super) fn flip_bit(packet: &mut [u8], draw: u64) {
    let header_bytes = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    if let Some(payload) = packet.get_mut(header_bytes..).filter(|payload| !payload.is_empty()) {
        let bits = payload.len() as u64 * 8;
        let bit = draw % bits;
        payload[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}

/// Packets for the tests of this module's neighbours.
#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv4 header of 20 bytes to `to`, and `payload`.
    pub fn to(to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER_BYTES_MIN];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&to.octets());
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn only_whole_ipv4_headers_have_a_destination() {
        let address = Ipv4Addr::new(10, 0, 0, 7);
        let good = to(address, b"");
        let mut version_6 = good.clone();
        version_6[0] = 0x60;
        for (packet, expected) in
            [(&good[..], Some(address)), (&version_6[..], None), (&good[..19], None), (&[], None)]
        {
            assert_eq!(destination(packet), expected, "{packet:?}");
        }
    }

    #[test]
    fn a_flipped_bit_is_one_bit_and_behind_the_header() {
        let original = to(Ipv4Addr::LOCALHOST, &[0; 9]);
        for draw in 0..200 {
            let mut packet = original.clone();
            flip_bit(&mut packet, draw);
            assert_eq!(packet[..20], original[..20]);
            assert_eq!(packet[20..].iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
        }
        let mut bare = to(Ipv4Addr::LOCALHOST, &[]);
        flip_bit(&mut bare, 3);
        assert_eq!(bare, to(Ipv4Addr::LOCALHOST, &[]));
        flip_bit(&mut [], 3);
    }
}
