//! Archives of any bytes: what we accept, Go's archive/tar reads as we do, and nothing is outside the root.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| countersign_fuzz::archives::raw(input));
