//! The vDSO as an ELF image: its clock functions, and the room for a stub.
//!
//! The kernel maps a small shared object into every process (vdso(7)); libc and Go's runtime look
//! the clock functions up in its dynamic symbol table at their start. Only `st_value` of those
//! symbols is changed here: names, versions and both hash tables stay what they are, so every way
//! of looking a symbol up still finds it.

use std::ops::Range;

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const MACHINE_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_STRSZ: u64 = 10;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
const SYMBOL_LEN: u64 = 24;
/// More symbols than any vDSO has: a bound for broken images.
const SYMBOLS_MAX: u64 = 4096;

/// Why an image is not a vDSO that can be worked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VdsoError {
    /// Not a 64-bit image of this processor: a 32-bit program, for one.
    #[error("its vDSO is not that of a 64-bit x86 program")]
    OtherMachine,
    /// An offset or a count that leads out of the image.
    #[error("its vDSO is cut or malformed at {0}")]
    Malformed(&'static str),
    /// A function that the kernel should offer and does not.
    #[error("its vDSO has no {0}")]
    Missing(&'static str),
    /// No room for the stub.
    #[error("its vDSO has room for {room} bytes, and {needed} are needed")]
    NoRoom {
        /// Bytes there are.
        room: usize,
        /// Bytes that are needed.
        needed: usize,
    },
}

use VdsoError::Malformed;

/// A function of the vDSO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Where its code is, as an offset in the image.
    pub offset: u64,
    /// Where its symbol's `st_value` is, as an offset in the image.
    pub value_at: u64,
}

/// The places in the image that a stub needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vdso {
    /// Under each name that the function has (`__vdso_clock_gettime` and `clock_gettime`).
    pub clock_gettime: Vec<Function>,
    /// As above; may be empty.
    pub gettimeofday: Vec<Function>,
    /// As above; may be empty.
    pub time: Vec<Function>,
    /// What is added to an offset in the image to give a symbol's value (0 in today's kernels).
    pub value_bias: u64,
    /// Bytes at the image's end that nothing loads: padding, or padding and section headers.
    pub room: Range<usize>,
    /// Whether the room takes the section headers with it (only debuggers read them).
    pub over_sections: bool,
}

/// Where the ELF header counts and places its sections: `e_shoff`, then `e_shnum` and `e_shstrndx`.
pub const SECTION_HEADER_FIELDS: [Range<usize>; 2] = [0x28..0x30, 0x3c..0x40];

struct Image<'a>(&'a [u8]);

impl Image<'_> {
    fn bytes<const N: usize>(&self, at: u64, what: &'static str) -> Result<[u8; N], VdsoError> {
        let at = usize::try_from(at).map_err(|_| Malformed(what))?;
        let end = at.checked_add(N).ok_or(Malformed(what))?;
        let slice = self.0.get(at..end).ok_or(Malformed(what))?;
        slice.try_into().map_err(|_| Malformed(what))
    }
    fn u16(&self, at: u64, what: &'static str) -> Result<u16, VdsoError> {
        self.bytes(at, what).map(u16::from_le_bytes)
    }
    fn u32(&self, at: u64, what: &'static str) -> Result<u32, VdsoError> {
        self.bytes(at, what).map(u32::from_le_bytes)
    }
    fn u64(&self, at: u64, what: &'static str) -> Result<u64, VdsoError> {
        self.bytes(at, what).map(u64::from_le_bytes)
    }
    fn name(&self, at: u64, end: u64) -> Result<&[u8], VdsoError> {
        let range = usize::try_from(at).ok().zip(usize::try_from(end).ok());
        let (at, end) = range.ok_or(Malformed("a symbol's name"))?;
        let tail = self.0.get(at..end).ok_or(Malformed("a symbol's name"))?;
        let len = tail.iter().position(|b| *b == 0).ok_or(Malformed("a symbol's name"))?;
        Ok(&tail[..len])
    }
}

#[derive(Default)]
struct Segments {
    bias: Option<u64>,
    loaded_end: u64,
    dynamic: Option<(u64, u64)>,
}

#[derive(Default)]
struct Dynamic {
    symbols: u64,
    strings: u64,
    strings_len: u64,
    hash: Option<u64>,
    gnu_hash: Option<u64>,
}

impl Vdso {
    /// Reads an image as it lies in memory, whole pages, and finds `needed` bytes of room in it.
    ///
    /// Linear in the image's length.
    pub fn parse(image: &[u8], needed: usize) -> Result<Vdso, VdsoError> {
        let elf = Image(image);
        let ident: [u8; 6] = elf.bytes(0, "its first bytes")?;
        if ident[..4] != *b"\x7fELF" {
            return Err(Malformed("its first bytes"));
        }
        let machine = elf.u16(0x12, "its header")?;
        if (ident[4], ident[5], machine) != (CLASS_64, LITTLE_ENDIAN, MACHINE_X86_64) {
            return Err(VdsoError::OtherMachine);
        }
        let segments = segments(&elf)?;
        let bias = segments.bias.ok_or(Malformed("its load segment"))?;
        let dynamic = dynamic(&elf, &segments, bias)?;
        let (room, over_sections) = room(image, segments.loaded_end, needed)?;
        let mut vdso = Vdso {
            clock_gettime: Vec::new(),
            gettimeofday: Vec::new(),
            time: Vec::new(),
            value_bias: bias,
            room,
            over_sections,
        };
        vdso.find_functions(&elf, &dynamic)?;
        if vdso.clock_gettime.is_empty() {
            return Err(VdsoError::Missing("clock_gettime"));
        }
        Ok(vdso)
    }

    fn find_functions(&mut self, elf: &Image, dynamic: &Dynamic) -> Result<(), VdsoError> {
        let strings_end = dynamic.strings.saturating_add(dynamic.strings_len);
        for i in 0..symbol_count(elf, dynamic)? {
            let at = dynamic.symbols + i * SYMBOL_LEN;
            let name_at = dynamic.strings + u64::from(elf.u32(at, "a symbol")?);
            let defined = elf.u16(at + 6, "a symbol")? != 0;
            let value_at = at + 8;
            let value = elf.u64(value_at, "a symbol")?;
            let found = match elf.name(name_at, strings_end)? {
                b"__vdso_clock_gettime" | b"clock_gettime" => &mut self.clock_gettime,
                b"__vdso_gettimeofday" | b"gettimeofday" => &mut self.gettimeofday,
                b"__vdso_time" | b"time" => &mut self.time,
                _ => continue,
            };
            if defined && value != 0 {
                let offset = value.wrapping_sub(self.value_bias);
                found.push(Function { offset, value_at });
            }
        }
        Ok(())
    }
}

fn segments(elf: &Image) -> Result<Segments, VdsoError> {
    let table = elf.u64(0x20, "its header")?;
    let entry_len = u64::from(elf.u16(0x36, "its header")?);
    let count = u64::from(elf.u16(0x38, "its header")?);
    let mut found = Segments::default();
    for i in 0..count {
        let at = table.checked_add(i * entry_len).ok_or(Malformed("its program headers"))?;
        let kind = elf.u32(at, "its program headers")?;
        let offset = elf.u64(at + 8, "its program headers")?;
        let address = elf.u64(at + 16, "its program headers")?;
        let len = elf.u64(at + 32, "its program headers")?;
        let end = offset.checked_add(len).ok_or(Malformed("its program headers"))?;
        match kind {
            PT_LOAD => {
                found.bias.get_or_insert(address.wrapping_sub(offset));
                found.loaded_end = found.loaded_end.max(end);
            }
            PT_DYNAMIC => found.dynamic = Some((offset, end)),
            _ => {}
        }
    }
    Ok(found)
}

fn dynamic(elf: &Image, segments: &Segments, bias: u64) -> Result<Dynamic, VdsoError> {
    let (start, end) = segments.dynamic.ok_or(Malformed("its dynamic section"))?;
    let mut found = Dynamic::default();
    for at in (start..end).step_by(16) {
        let tag = elf.u64(at, "its dynamic section")?;
        let value = elf.u64(at + 8, "its dynamic section")?;
        let place = value.wrapping_sub(bias);
        match tag {
            0 => break,
            DT_SYMTAB => found.symbols = place,
            DT_STRTAB => found.strings = place,
            DT_STRSZ => found.strings_len = value,
            DT_HASH => found.hash = Some(place),
            DT_GNU_HASH => found.gnu_hash = Some(place),
            _ => {}
        }
    }
    if found.symbols == 0 || found.strings == 0 {
        return Err(Malformed("its dynamic section"));
    }
    Ok(found)
}

/// How many dynamic symbols there are. ELF says it only through the hash tables.
fn symbol_count(elf: &Image, dynamic: &Dynamic) -> Result<u64, VdsoError> {
    const WHAT: &str = "its hash table";
    if let Some(hash) = dynamic.hash {
        // SysV: the second word is the number of chains, one for each symbol.
        return Ok(u64::from(elf.u32(hash.saturating_add(4), WHAT)?).min(SYMBOLS_MAX));
    }
    let table = dynamic.gnu_hash.ok_or(Malformed(WHAT))?;
    let buckets = u64::from(elf.u32(table, WHAT)?).min(SYMBOLS_MAX);
    let first = u64::from(elf.u32(table.saturating_add(4), WHAT)?);
    let bloom_words = u64::from(elf.u32(table.saturating_add(8), WHAT)?);
    let buckets_at = table.saturating_add(16 + bloom_words * 8);
    let chains_at = buckets_at.saturating_add(buckets * 4);
    let mut last = 0;
    for i in 0..buckets {
        last = last.max(u64::from(elf.u32(buckets_at + i * 4, WHAT)?));
    }
    if last < first {
        return Ok(first.min(SYMBOLS_MAX));
    }
    // The chain of the last bucket ends with a set lowest bit, at the last symbol.
    while last < SYMBOLS_MAX && elf.u32(chains_at + (last - first) * 4, WHAT)? & 1 == 0 {
        last += 1;
    }
    Ok(last + 1)
}

/// Where `needed` bytes fit behind what is loaded: preferably in zero padding, else over the
/// section headers, which only debuggers read.
fn room(image: &[u8], loaded_end: u64, needed: usize) -> Result<(Range<usize>, bool), VdsoError> {
    let loaded_end = usize::try_from(loaded_end).unwrap_or(usize::MAX).min(image.len());
    let zeros = image.iter().rev().take_while(|b| **b == 0).count();
    let padding = align_64((image.len() - zeros).max(loaded_end));
    let tail = align_64(loaded_end);
    for (start, over_sections) in [(padding, false), (tail, true)] {
        if start + needed <= image.len() {
            return Ok((start..image.len(), over_sections));
        }
    }
    Err(VdsoError::NoRoom { room: image.len().saturating_sub(tail), needed })
}

fn align_64(offset: usize) -> usize {
    offset.next_multiple_of(64)
}
