//! Any bytes as Jepsen's log, as in Porcupine's tests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ordeal_history::formats::Format;

fuzz_target!(|input: &[u8]| {
    ordeal_fuzz::read(input, Format::PorcupineJepsenLog);
});
