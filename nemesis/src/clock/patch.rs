//! Putting the stub into a copy of a vDSO's image.

use super::stub::{Stub, data};
use super::vdso::{Function, SECTION_HEADER_FIELDS, Vdso, VdsoError};

/// Puts the stub into the image's free room and repoints the clock functions at it.
///
/// `start` is the address at which the process has the image. Tells where the stub's data went, as
/// an offset in the image. Linear in the image's length.
pub fn patch(image: &mut [u8], start: u64, stub: Stub) -> Result<usize, VdsoError> {
    let vdso = Vdso::parse(image, stub.bytes.len())?;
    let at = vdso.room.start;
    if vdso.over_sections {
        image[at..].fill(0);
        for field in SECTION_HEADER_FIELDS {
            image[field].fill(0);
        }
    }
    image[at..at + stub.bytes.len()].copy_from_slice(stub.bytes);
    let data_at = at + stub.data;
    let mut original = |field: usize, functions: &[Function]| {
        if let Some(function) = functions.first() {
            let address = start.wrapping_add(function.offset);
            image[data_at + field..data_at + field + 8].copy_from_slice(&address.to_le_bytes());
        }
    };
    original(data::CLOCK_GETTIME, &vdso.clock_gettime);
    original(data::GETTIMEOFDAY, &vdso.gettimeofday);
    let repointed = [
        (&vdso.clock_gettime, stub.clock_gettime),
        (&vdso.gettimeofday, stub.gettimeofday),
        (&vdso.time, stub.time),
    ];
    for (functions, entry) in repointed {
        let value = ((at + entry) as u64).wrapping_add(vdso.value_bias);
        for function in functions {
            // `parse` has read the eight bytes at this place.
            let value_at = function.value_at as usize;
            image[value_at..value_at + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    Ok(data_at)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::clock::stub::stub;
    use std::os::unix::fs::FileExt;

    /// The image that the kernel gave to this very process.
    fn own_image() -> Vec<u8> {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
        let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("a vDSO");
        let (start, end) = line.split(' ').next().and_then(|r| r.split_once('-')).expect("range");
        let [start, end] = [start, end].map(|a| u64::from_str_radix(a, 16).expect("hex"));
        let mut image = vec![0; (end - start) as usize];
        let memory = std::fs::File::open("/proc/self/mem").expect("own memory");
        memory.read_exact_at(&mut image, start).expect("own vDSO");
        image
    }

    fn needed() -> usize {
        stub().expect("x86-64").bytes.len()
    }

    #[test]
    fn the_stub_is_small_and_knows_its_own_layout() {
        let stub = stub().expect("x86-64");
        assert_eq!(stub.data + data::LEN, stub.bytes.len());
        assert_eq!(stub.data % 64, 0);
        assert!(stub.data <= 384, "{} bytes of code", stub.data);
        for entry in [stub.clock_gettime, stub.gettimeofday, stub.time] {
            assert_eq!(stub.bytes[entry..entry + 4], [0xf3, 0x0f, 0x1e, 0xfa], "endbr64");
        }
    }

    #[test]
    fn every_name_of_a_clock_function_leads_to_the_stub_and_nothing_else_moves() {
        let before = own_image();
        let mut after = before.clone();
        let data_at = patch(&mut after, 0x7000_0000, stub().expect("x86-64")).expect("patched");
        let was = Vdso::parse(&before, needed()).expect("this kernel's vDSO");
        let mut expected = before.clone();
        let at = was.room.start;
        expected[at..].copy_from_slice(&after[at..]);
        for function in was.clock_gettime.iter().chain(&was.gettimeofday).chain(&was.time) {
            let value = function.value_at as usize..function.value_at as usize + 8;
            let mut address = [0; 8];
            address.copy_from_slice(&after[value.clone()]);
            assert!((at..after.len()).contains(&(u64::from_le_bytes(address) as usize)));
            expected[value].copy_from_slice(&address);
        }
        assert!(expected == after, "bytes changed that are nobody's business");
        let mut original = [0; 8];
        original.copy_from_slice(&after[data_at + data::CLOCK_GETTIME..][..8]);
        let address = 0x7000_0000 + was.clock_gettime[0].offset;
        assert_eq!(u64::from_le_bytes(original), address);
        assert_eq!(was.clock_gettime.len(), 2, "clock_gettime and __vdso_clock_gettime");
    }

    #[test]
    fn an_image_without_padding_gives_up_its_section_headers() {
        let mut image = own_image();
        *image.last_mut().expect("not empty") = 1;
        let vdso = Vdso::parse(&image, needed()).expect("room over the section headers");
        assert!(vdso.over_sections);
        let data_at = patch(&mut image, 0, stub().expect("x86-64")).expect("patched");
        assert_eq!(image[SECTION_HEADER_FIELDS[0].clone()], [0; 8]);
        assert!(data_at > vdso.room.start);
        assert_eq!(Vdso::parse(&image, 0).expect("still a vDSO").time.len(), vdso.time.len());
    }

    #[test]
    fn either_hash_table_will_do_to_count_the_symbols() {
        const DT_HASH: [u8; 8] = 4u64.to_le_bytes();
        let image = own_image();
        let with_both = Vdso::parse(&image, needed()).expect("this kernel's vDSO");
        let mut gnu_only = image.clone();
        let tags = (0..image.len()).step_by(8).filter(|at| image[*at..*at + 8] == DT_HASH);
        for at in tags.collect::<Vec<_>>() {
            gnu_only[at..at + 8].copy_from_slice(&0x6000_0000_u64.to_le_bytes());
        }
        assert_eq!(Vdso::parse(&gnu_only, needed()).expect("by the GNU table"), with_both);
    }

    #[test]
    fn what_is_no_vdso_is_refused_and_never_panics() {
        let image = own_image();
        for len in 0..image.len() {
            // Section headers and padding may be cut; what is read is then refused or right.
            let _ = Vdso::parse(&image[..len], needed());
        }
        for at in 0..0x600 {
            let mut broken = image.clone();
            broken[at] ^= 0xff;
            let _ = patch(&mut broken, 0, stub().expect("x86-64"));
        }
        let mut other = image.clone();
        other[4] = 1;
        assert_eq!(Vdso::parse(&other, needed()), Err(VdsoError::OtherMachine));
        assert!(matches!(Vdso::parse(&image, 1 << 20), Err(VdsoError::NoRoom { .. })));
    }
}
