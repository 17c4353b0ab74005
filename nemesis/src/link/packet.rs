//! As much of IPv4 (RFC 791, section 3.1) and TCP (RFC 9293, section 3.1) as a switch needs.

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

/// TCP's number in an IPv4 header.
const TCP: u8 = 6;
/// A TCP header without options, in bytes.
const TCP_BYTES: usize = 20;
/// Both headers of a reset.
const RESET_BYTES: usize = HEADER_BYTES_MIN + TCP_BYTES;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// The resets that end the connection of a segment.
pub(super) struct Resets {
    /// As if the receiver had sent it.
    pub to_sender: [u8; RESET_BYTES],
    /// As if the sender had sent it; `None` for the first segment, of which the receiver knows
    /// nothing.
    pub to_receiver: Option<[u8; RESET_BYTES]>,
}

/// Whether the packet is a TCP segment that a reset can answer: never a reset itself.
pub(super) fn is_resettable(packet: &[u8]) -> bool {
    tcp(packet).is_some_and(|segment| segment[13] & RST == 0)
}

/// What tells both ends of the packet's connection that it is over; `None` when it is no TCP
/// segment, or a reset.
///
/// RFC 9293, section 3.10.7.1, gives the sequence number of an answer. The one to the receiver has
/// the segment's own, which is the next that the receiver expects, so that it is believed
/// (RFC 5961, section 3.2).
pub(super) fn resets(packet: &[u8]) -> Option<Resets> {
    let segment = tcp(packet)?;
    let number = |at: usize| {
        u32::from_be_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]])
    };
    let (sequence, acknowledged, flags) = (number(4), number(8), segment[13]);
    if flags & RST != 0 {
        return None;
    }
    let data_bytes = segment.len().saturating_sub(usize::from(segment[12] >> 4) * 4);
    let length = data_bytes as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let ends = Ends {
        from: [packet[12], packet[13], packet[14], packet[15]],
        to: [packet[16], packet[17], packet[18], packet[19]],
        from_port: [segment[0], segment[1]],
        to_port: [segment[2], segment[3]],
    };
    let back =
        Ends { from: ends.to, to: ends.from, from_port: ends.to_port, to_port: ends.from_port };
    let to_sender = if flags & ACK != 0 {
        reset(&back, acknowledged, 0, RST)
    } else {
        reset(&back, 0, sequence.wrapping_add(length), RST | ACK)
    };
    let to_receiver = (flags & SYN == 0).then(|| reset(&ends, sequence, 0, RST));
    Some(Resets { to_sender, to_receiver })
}

/// Who talks to whom.
struct Ends {
    from: [u8; 4],
    to: [u8; 4],
    from_port: [u8; 2],
    to_port: [u8; 2],
}

/// A packet that holds a reset.
fn reset(ends: &Ends, sequence: u32, acknowledged: u32, flags: u8) -> [u8; RESET_BYTES] {
    const HOPS: u8 = 64;
    let mut packet = [0; RESET_BYTES];
    packet[0] = 0x45;
    packet[3] = RESET_BYTES as u8;
    packet[8] = HOPS;
    packet[9] = TCP;
    packet[12..16].copy_from_slice(&ends.from);
    packet[16..20].copy_from_slice(&ends.to);
    packet[20..22].copy_from_slice(&ends.from_port);
    packet[22..24].copy_from_slice(&ends.to_port);
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[28..32].copy_from_slice(&acknowledged.to_be_bytes());
    packet[32] = (TCP_BYTES as u8 / 4) << 4;
    packet[33] = flags;
    let header = checksum(sum(&packet[..HEADER_BYTES_MIN]));
    packet[10..12].copy_from_slice(&header);
    // TCP's covers a header of its own making: addresses, protocol and length.
    let pseudo = sum(&packet[12..20]) + u32::from(TCP) + TCP_BYTES as u32;
    let segment = checksum(pseudo + sum(&packet[HEADER_BYTES_MIN..]));
    packet[36..38].copy_from_slice(&segment);
    packet
}

/// The sum of the 16-bit words (RFC 1071); of an even number of bytes.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum()
}

fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// The TCP segment in the packet, when it is a whole one.
fn tcp(packet: &[u8]) -> Option<&[u8]> {
    destination(packet)?;
    let header_bytes = usize::from(packet[0] & 0x0f) * 4;
    let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff;
    let segment = packet.get(header_bytes..).filter(|segment| segment.len() >= TCP_BYTES)?;
    (packet[9] == TCP && fragment == 0).then_some(segment)
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

    /// A segment from port 1000 of 10.0.0.1 to port 2000 of 10.0.0.2.
    fn segment(flags: u8, data: &[u8]) -> Vec<u8> {
        let mut packet = to(Ipv4Addr::new(10, 0, 0, 2), &[0; TCP_BYTES]);
        packet[9] = TCP;
        packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
        packet[20..24].copy_from_slice(&[3, 232, 7, 208]);
        packet[24..28].copy_from_slice(&7_000_u32.to_be_bytes());
        packet[28..32].copy_from_slice(&9_000_u32.to_be_bytes());
        packet[32] = 5 << 4;
        packet[33] = flags;
        packet.extend_from_slice(data);
        packet
    }

    /// Ports, sequence, acknowledgement and flags of a reset, whose checksums must be right.
    fn shown(packet: &[u8]) -> (u8, u8, u32, u32, u8) {
        assert_eq!(checksum(sum(&packet[..20])), [0, 0]);
        let pseudo = sum(&packet[12..20]) + u32::from(TCP) + TCP_BYTES as u32;
        assert_eq!(checksum(pseudo + sum(&packet[20..])), [0, 0]);
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        (packet[15], packet[19], number(24), number(28), packet[33])
    }

    #[test]
    fn a_reset_has_the_numbers_that_each_end_believes() {
        let data = resets(&segment(ACK, b"data")).unwrap();
        assert_eq!(shown(&data.to_sender), (2, 1, 9_000, 0, RST));
        assert_eq!(data.to_sender[20..24], [7, 208, 3, 232]);
        assert_eq!(shown(&data.to_receiver.unwrap()), (1, 2, 7_000, 0, RST));
        let first = resets(&segment(SYN, b"")).unwrap();
        assert_eq!(shown(&first.to_sender), (2, 1, 0, 7_001, RST | ACK));
        assert!(first.to_receiver.is_none());
    }

    #[test]
    fn what_is_no_segment_or_is_a_reset_has_none() {
        let mut fragment = segment(ACK, b"");
        fragment[7] = 1;
        let datagram = to(Ipv4Addr::LOCALHOST, &[0; 30]);
        for packet in [&fragment[..], &datagram, &segment(RST, b""), &segment(ACK, b"")[..39]] {
            assert!(resets(packet).is_none() && !is_resettable(packet), "{packet:?}");
        }
        assert!(is_resettable(&segment(ACK, b"")));
    }
}
