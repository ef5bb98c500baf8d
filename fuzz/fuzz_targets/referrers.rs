//! Pages of a list of referrers, after the header that names the next page.
#![no_main]

use countersign_oci::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == b'\n');
    let (link, page) = input.split_at(end.unwrap_or(input.len()));
    fuzzing::referrers(link, page.get(1..).unwrap_or_default());
});
