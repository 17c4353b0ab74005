//! What happened, as one number: equal only where every event was, to the byte.

/// A running hash (FNV-1a, 64 bits) of everything that a simulation does.
///
/// It tells two runs of one seed apart that should not differ; it is no defence against anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Trace(0xcbf2_9ce4_8422_2325)
    }
}

impl Trace {
    /// Adds bytes, eight at a time: a byte at a time would be the most costly part of a simulation.
    pub fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
    }

    /// Adds numbers.
    pub fn add_all(&mut self, numbers: &[u64]) {
        numbers.iter().for_each(|number| self.mix(*number));
    }

    /// The hash so far.
    pub fn value(self) -> u64 {
        self.0
    }

    fn mix(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;

    #[test]
    fn a_byte_more_less_or_other_is_another_trace() {
        let of = |parts: &[&[u8]]| {
            let mut trace = Trace::default();
            parts.iter().for_each(|part| trace.add(part));
            trace.value()
        };
        let all = [
            of(&[]),
            of(&[b""]),
            of(&[b"12345678"]),
            of(&[b"12345679"]),
            of(&[b"123456780"]),
            of(&[b"12345678\0"]),
            of(&[b"1234", b"5678"]),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[..place].contains(one), "{place}");
        }
        assert_eq!(of(&[b"12345678"]), of(&[b"12345678"]));
    }
}
