//! What passes on a link, in a file that tcpdump and Wireshark read.
//!
//! The format is pcapng (draft-ietf-opsawg-pcapng). Each direction of the link is two interfaces of
//! the file: what its sender handed over, and what its receiver got. What was dropped is in the
//! first alone, what was duplicated twice in the second, and the difference in time is what the
//! link delayed it by.
//!
//! Each packet is one write to the file, so that a killed harness leaves whole blocks.

use std::fs::File;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// Packets begin with their IPv4 header. Not LINKTYPE_RAW, which says the same and more: of that
/// libpcap 1.10 takes one interface a file.
const LINKTYPE_IPV4: u16 = 228;
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const MAGIC: u32 = 0x1a2b_3c4d;
/// Options of an interface: its name, and the power of ten of a second that times are in.
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const NANOSECONDS: u8 = 9;

/// Where on the way of a link a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Sent,
    Arrived,
}

/// A file that packets of one link, both directions, are written to.
#[derive(Debug)]
pub(super) struct Capture {
    /// `None` after the first error: what follows would be missing packets.
    file: Option<File>,
}

impl Capture {
    /// Begins the file. The two directions are called by these names.
    pub fn begin(mut file: File, directions: [&str; 2]) -> io::Result<Capture> {
        let mut head = Vec::new();
        let mut section = MAGIC.to_le_bytes().to_vec();
        section.extend(1_u16.to_le_bytes());
        section.extend(0_u16.to_le_bytes());
        // How long the section is: not known.
        section.extend((-1_i64).to_le_bytes());
        block(&mut head, SECTION, &section);
        for direction in directions {
            for seen in ["sent", "arrived"] {
                block(&mut head, INTERFACE, &interface(&format!("{direction} {seen}")));
            }
        }
        file.write_all(&head)?;
        Ok(Capture { file: Some(file) })
    }

    /// Writes a packet of a direction, 0 or 1, down.
    pub fn write(&mut self, direction: usize, seen: Seen, packet: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let interface = 2 * direction as u32 + u32::from(seen == Seen::Arrived);
        let length = (packet.len() as u32).to_le_bytes();
        let mut body = interface.to_le_bytes().to_vec();
        body.extend(((now_ns >> 32) as u32).to_le_bytes());
        body.extend((now_ns as u32).to_le_bytes());
        body.extend(length);
        body.extend(length);
        body.extend(packet);
        let mut whole = Vec::with_capacity(body.len() + 16);
        block(&mut whole, PACKET, &body);
        if file.write_all(&whole).is_err() {
            self.file = None;
        }
    }
}

fn interface(name: &str) -> Vec<u8> {
    let mut body = LINKTYPE_IPV4.to_le_bytes().to_vec();
    body.extend([0; 2]);
    // No limit to what is kept of a packet.
    body.extend([0; 4]);
    option(&mut body, IF_NAME, name.as_bytes());
    option(&mut body, IF_TSRESOL, &[NANOSECONDS]);
    option(&mut body, 0, &[]);
    body
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

/// A block: its type, its length before and behind, and its body in whole words.
fn block(out: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let mut body = body.to_vec();
    pad(&mut body);
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.extend(kind.to_le_bytes());
    out.extend(length);
    out.extend(body);
    out.extend(length);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
