//! Layers over layers, with whiteouts and links of all kinds: what we unpack is what they mean.
#![no_main]

use countersign_fuzz::layers::Layers;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|layers: Layers| countersign_fuzz::archives::written(&layers.0));
