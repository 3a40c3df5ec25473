#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| (annals_tests::fuzz::Target::named("record").unwrap().run)(data));
