#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proftool_fuzz::import("router_log", bytes));
