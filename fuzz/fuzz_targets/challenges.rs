//! The header in which a registry asks for a login.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| countersign_oci::fuzzing::challenge(value));
