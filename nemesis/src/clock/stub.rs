//! The code that stands in for the vDSO's clock functions inside a node.
//!
//! It is assembled with this crate, but never run here: the bytes are copied into a stopped
//! process, where they depend on nothing but themselves. Each entry point calls the function that
//! it stands for and adds the skew that `skew.rs` describes. A slot of numbers is read without a
//! lock: the sequence number names the slot that holds (its lowest bit), a writer fills the other
//! one and then counts up, and a reader that finds another sequence number after its reading than
//! before it reads again. A writer that dies half way harms nobody, and a sequence number seen half
//! written still names one of the two valid slots.
//!
//! Not skewed: the processor-time clocks (2, 3) and the auxiliary ones (16 and up). Not reached:
//! system calls made around the vDSO, and timers that are already armed.

use super::skew::Track;

/// Clock numbers 0 to 11 are looked at; those above are left alone.
pub const CLOCKS: usize = 12;

/// REALTIME, REALTIME_COARSE, REALTIME_ALARM, TAI.
pub const WALL_MASK: u32 = 1 << 0 | 1 << 5 | 1 << 8 | 1 << 11;

/// MONOTONIC, MONOTONIC_RAW, MONOTONIC_COARSE, BOOTTIME, BOOTTIME_ALARM. The raw clock too: a
/// machine whose oscillator is wrong is wrong in every clock that counts its beats.
pub const MONOTONIC_MASK: u32 = 1 << 1 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 9;

/// Words of a slot: the wall track, the monotonic track, then for each clock its distance from
/// REALTIME or MONOTONIC, so that BOOTTIME and TAI switch at the same instant as those.
pub const SLOT_WORDS: usize = 2 * Track::WORDS + CLOCKS;

/// Places in the data that follows the code, in bytes from its start.
pub mod data {
    use super::SLOT_WORDS;
    /// The sequence number, 32 bits.
    pub const SEQUENCE: usize = 0;
    /// Address of the kernel's own clock_gettime.
    pub const CLOCK_GETTIME: usize = 8;
    /// Address of the kernel's own gettimeofday.
    pub const GETTIMEOFDAY: usize = 16;
    /// The two slots.
    pub const SLOTS: usize = 24;
    /// Length of one slot.
    pub const SLOT_LEN: usize = SLOT_WORDS * 8;
    /// Length of the data.
    pub const LEN: usize = SLOTS + 2 * SLOT_LEN;
}

/// The stub as it is copied, data included, and where things are in it.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// Code, padding, data.
    pub bytes: &'static [u8],
    /// Entry point: `int clock_gettime(clockid_t, struct timespec *)`.
    pub clock_gettime: usize,
    /// Entry point: `int gettimeofday(struct timeval *, struct timezone *)`.
    pub gettimeofday: usize,
    /// Entry point: `time_t time(time_t *)`.
    pub time: usize,
    /// The data; see [`data`].
    pub data: usize,
}

/// The stub for this processor, or `None` where there is none.
#[cfg(not(target_arch = "x86_64"))]
pub fn stub() -> Option<Stub> {
    None
}

#[cfg(target_arch = "x86_64")]
pub use x86_64::stub;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // It reads bytes that the assembler laid down.
mod x86_64 {
    use super::{MONOTONIC_MASK, Stub, WALL_MASK, data};
    use crate::clock::skew::Track;

    // Calling convention: System V. rbx, rbp and r12 to r15 survive a call, and so the stub keeps
    // the clock's number in rbx, the caller's timespec in r12 and the sequence number in r13.
    // Everything else may be lost, as in the kernel's own functions.
    std::arch::global_asm!(
        ".pushsection .rodata.ordeal_clock_stub, \"a\", @progbits",
        ".p2align 6",
        ".hidden ordeal_clock_stub",
        ".globl ordeal_clock_stub",
        "ordeal_clock_stub:",
        // clock_gettime(edi: clock, rsi: timespec)
        ".Lordeal_clock_gettime:",
        "endbr64",
        "cmp edi, 11",
        "ja 2f",
        "mov eax, {skewed_mask}",
        "bt eax, edi",
        "jc 3f",
        // A clock that is left alone: straight to the kernel's function.
        "2: jmp qword ptr [rip + .Lordeal_clock_data + {clock_gettime}]",
        "3: push rbx",
        "push r12",
        "push r13", // three words and the return address: the stack is aligned to 16 at a call
        "mov ebx, edi",
        "mov r12, rsi",
        // The clock is read between two looks at the sequence number, so that the reading belongs
        // to the time of the slot, however long this thread is kept from running in between.
        "4: mov r13d, dword ptr [rip + .Lordeal_clock_data + {sequence}]",
        "mov edi, ebx",
        "mov rsi, r12",
        "call qword ptr [rip + .Lordeal_clock_data + {clock_gettime}]",
        "test eax, eax",
        "jnz 9f",
        // rdi: the true reading, in nanoseconds
        "imul rdi, qword ptr [r12], 1000000000",
        "add rdi, qword ptr [r12 + 8]",
        // rsi: the slot that the sequence number names
        "mov eax, r13d",
        "and eax, 1",
        "imul eax, eax, {slot_len}",
        "lea rsi, [rip + .Lordeal_clock_data + {slots}]",
        "add rsi, rax",
        // r8: nanoseconds since the switch, on the clock that the track is told in
        "mov r8, rdi",
        "sub r8, qword ptr [rsi + rbx * 8 + {distances}]",
        // r9: the track, wall or monotonic
        "mov eax, {wall_mask}",
        "bt eax, ebx",
        "lea r9, [rsi + {track_len}]",
        "cmovc r9, rsi",
        "sub r8, qword ptr [r9]",
        // r10: the line before the switch, or the one after it (lea leaves the flags alone)
        "lea r10, [r9 + 8]",
        "lea r11, [r9 + 24]",
        "cmovns r10, r11",
        "mov rax, qword ptr [r10 + 8]", // rate
        "mov r10, qword ptr [r10]",     // offset
        "cmp r13d, dword ptr [rip + .Lordeal_clock_data + {sequence}]",
        "jne 4b",
        // rax: the skew, offset + (since · rate >> 32), from a product of 128 bits
        "imul r8",
        "shrd rax, rdx, 32",
        "add rax, r10",
        "jz 9f", // no skew: the timespec stands, and eax is 0
        "add rax, rdi",
        // Seconds and nanoseconds, rounded down, for readings before 1970 too.
        "mov ecx, 1000000000",
        "cqo",
        "idiv rcx",
        "test rdx, rdx",
        "jns 8f",
        "add rdx, rcx",
        "dec rax",
        "8: mov qword ptr [r12], rax",
        "mov qword ptr [r12 + 8], rdx",
        "xor eax, eax",
        "9: pop r13",
        "pop r12",
        "pop rbx",
        "ret",
        // gettimeofday(rdi: timeval or null, rsi: timezone or null)
        ".p2align 4",
        ".Lordeal_gettimeofday:",
        "endbr64",
        "push rbx",
        "sub rsp, 16",
        "mov rbx, rdi",
        "test rsi, rsi",
        "jz 2f",
        // The kernel's function fills in the time zone alone.
        "xor edi, edi",
        "call qword ptr [rip + .Lordeal_clock_data + {gettimeofday}]",
        "test eax, eax",
        "jnz 4f",
        "2: xor eax, eax",
        "test rbx, rbx",
        "jz 4f",
        "xor edi, edi",
        "mov rsi, rsp",
        "call .Lordeal_clock_gettime",
        "mov rax, qword ptr [rsp]",
        "mov qword ptr [rbx], rax",
        "mov eax, dword ptr [rsp + 8]",
        "xor edx, edx",
        "mov ecx, 1000",
        "div ecx",
        "mov qword ptr [rbx + 8], rax",
        "xor eax, eax",
        "4: add rsp, 16",
        "pop rbx",
        "ret",
        // time(rdi: time_t or null). The kernel's function reads what REALTIME_COARSE (5) reads.
        ".p2align 4",
        ".Lordeal_time:",
        "endbr64",
        "push rbx",
        "sub rsp, 16",
        "mov rbx, rdi",
        "mov edi, 5",
        "mov rsi, rsp",
        "call .Lordeal_clock_gettime",
        "mov rax, qword ptr [rsp]",
        "test rbx, rbx",
        "jz 2f",
        "mov qword ptr [rbx], rax",
        "2: add rsp, 16",
        "pop rbx",
        "ret",
        // Data of its own cache lines, all zero until it is in the node.
        ".p2align 6",
        ".Lordeal_clock_data:",
        ".zero {data_len}",
        ".Lordeal_clock_end:",
        ".p2align 3",
        ".hidden ordeal_clock_stub_map",
        ".globl ordeal_clock_stub_map",
        "ordeal_clock_stub_map:",
        ".quad .Lordeal_clock_end - ordeal_clock_stub",
        ".quad .Lordeal_clock_gettime - ordeal_clock_stub",
        ".quad .Lordeal_gettimeofday - ordeal_clock_stub",
        ".quad .Lordeal_time - ordeal_clock_stub",
        ".quad .Lordeal_clock_data - ordeal_clock_stub",
        ".popsection",
        skewed_mask = const WALL_MASK | MONOTONIC_MASK,
        wall_mask = const WALL_MASK,
        clock_gettime = const data::CLOCK_GETTIME,
        gettimeofday = const data::GETTIMEOFDAY,
        sequence = const data::SEQUENCE,
        slots = const data::SLOTS,
        slot_len = const data::SLOT_LEN,
        track_len = const Track::WORDS * 8,
        distances = const 2 * Track::WORDS * 8,
        data_len = const data::LEN,
    );

    unsafe extern "C" {
        static ordeal_clock_stub: u8;
        static ordeal_clock_stub_map: [u64; 5];
    }

    /// The stub for this processor.
    pub fn stub() -> Option<Stub> {
        // SAFETY: both statics are laid down above, read-only, and the first number of the map is
        // the length of the bytes that begin at the stub's label.
        let (bytes, map) = unsafe {
            let map = ordeal_clock_stub_map;
            (std::slice::from_raw_parts(&raw const ordeal_clock_stub, map[0] as usize), map)
        };
        let [_, clock_gettime, gettimeofday, time, data] = map.map(|place| place as usize);
        Some(Stub { bytes, clock_gettime, gettimeofday, time, data })
    }
}
