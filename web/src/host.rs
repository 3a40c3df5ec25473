//! Time and randomness, from the browser or Node.

use annals_core::Host;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(buffer: &mut [u8]);
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebHost;

/// What `getRandomValues` fills at most.
const RANDOM_LEN_MAX: usize = 65_536;

impl Host for WebHost {
    #[expect(clippy::cast_possible_truncation, reason = "a date is a whole number below 2^53")]
    fn now_us(&self) -> i64 {
        js_sys::Date::now() as i64 * 1000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.chunks_mut(RANDOM_LEN_MAX).for_each(get_random_values);
    }
}
