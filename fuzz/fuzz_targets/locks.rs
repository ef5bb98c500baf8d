//! Lock files: what is read is written as what reads the same.
#![no_main]

use countersign_download::Lock;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(lock) = Lock::parse(text) else {
        return;
    };
    let Ok(written) = lock.to_yaml() else {
        return;
    };
    let again = Lock::parse(&written).and_then(|lock| lock.to_yaml());
    assert_eq!(again.ok(), Some(written));
});
