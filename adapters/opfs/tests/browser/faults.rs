//! A directory whose files fail as they are told to, around a real one.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::FileSystemDirectoryHandle;

#[wasm_bindgen(inline_js = "
export function plan(bytesMax, heldTimes, heldName, lenMax, flushFails) {
  return { bytesMax, heldTimes, heldName, lenMax, flushFails };
}
export function heal(plan) {
  Object.assign(plan, { bytesMax: Infinity, heldTimes: 0, lenMax: Infinity, flushFails: false });
}
export function spoil(plan) {
  plan.bytesMax = 0;
}
export function around(dir, plan) {
  const bound = (target, overrides) => new Proxy(target, {
    get(_, key) {
      if (key in overrides) return overrides[key];
      const value = target[key];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const full = (end) => {
    if (end > plan.lenMax) throw new DOMException('no space', 'QuotaExceededError');
  };
  const access = (handle) => bound(handle, {
    read: (buffer, options) => handle.read(buffer.subarray(0, plan.bytesMax), options),
    write(buffer, options) {
      full(options.at + buffer.length);
      return handle.write(buffer.subarray(0, plan.bytesMax), options);
    },
    truncate(len) { full(len); handle.truncate(len); },
    flush() {
      if (plan.flushFails) throw new DOMException('no luck', 'InvalidStateError');
      handle.flush();
    },
  });
  const file = (handle) => bound(handle, {
    async createSyncAccessHandle() {
      if (plan.heldTimes > 0) {
        plan.heldTimes -= 1;
        throw new DOMException('held', plan.heldName);
      }
      return access(await handle.createSyncAccessHandle());
    },
  });
  return bound(dir, {
    getFileHandle: async (name, options) => file(await dir.getFileHandle(name, options)),
  });
}
")]
extern "C" {
    fn plan(
        bytes_max: f64,
        held_times: u32,
        held_name: &str,
        len_max: f64,
        flush_fails: bool,
    ) -> JsValue;
    #[wasm_bindgen(js_name = heal)]
    fn heal_plan(plan: &JsValue);
    #[wasm_bindgen(js_name = spoil)]
    fn spoil_plan(plan: &JsValue);
    #[wasm_bindgen(js_name = around)]
    fn around_dir(dir: &FileSystemDirectoryHandle, plan: &JsValue) -> FileSystemDirectoryHandle;
}

/// What is to fail.
pub(crate) struct Faults {
    plan: JsValue,
}

/// How it is to fail.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Bytes that one read or write does at most.
    pub(crate) bytes_max: f64,
    /// How often opening fails.
    pub(crate) held_times: u32,
    /// With which exception.
    pub(crate) held_name: String,
    /// Files can't grow beyond this.
    pub(crate) len_max: f64,
    /// Whether every flush fails.
    pub(crate) flush_fails: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            bytes_max: f64::INFINITY,
            held_times: 0,
            held_name: "NoModificationAllowedError".into(),
            len_max: f64::INFINITY,
            flush_fails: false,
        }
    }
}

impl Faults {
    pub(crate) fn new(how: &Plan) -> Self {
        let Plan { bytes_max, held_times, held_name, len_max, flush_fails } = how;
        Self { plan: plan(*bytes_max, *held_times, held_name, *len_max, *flush_fails) }
    }

    pub(crate) fn around(&self, dir: &FileSystemDirectoryHandle) -> FileSystemDirectoryHandle {
        around_dir(dir, &self.plan)
    }

    /// Every read and write fails from now on.
    pub(crate) fn spoil(&self) {
        spoil_plan(&self.plan);
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&self) {
        heal_plan(&self.plan);
    }
}
