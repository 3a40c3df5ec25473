//! Waiting: for a timer, and for a file that another worker still holds.
//!
//! A worker that was closed while it was busy keeps its handles for seconds. Only the
//! exception that says so, `NoModificationAllowedError`, is worth another try.

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{FileSystemFileHandle, FileSystemSyncAccessHandle, WorkerGlobalScope};

use crate::error::{OpfsError, storage_error, thrown_name};

const FIRST_PAUSE_MS: u32 = 4;
const PAUSE_MAX_MS: u32 = 200;

/// Opens a file exclusively, and tries again for `timeout_ms` while another holds it.
pub(crate) async fn open_exclusively(
    file: &FileSystemFileHandle,
    timeout_ms: u32,
) -> Result<FileSystemSyncAccessHandle, OpfsError> {
    let (mut waited_ms, mut pause_ms) = (0, FIRST_PAUSE_MS);
    loop {
        let thrown = match JsFuture::from(file.create_sync_access_handle()).await {
            Ok(handle) => return Ok(handle.unchecked_into()),
            Err(thrown) => thrown,
        };
        if thrown_name(&thrown) != "NoModificationAllowedError" {
            return Err(storage_error("open", None, &thrown).into());
        }
        if waited_ms >= timeout_ms {
            return Err(OpfsError::Busy { file: file.name(), waited_ms });
        }
        sleep(pause_ms).await;
        waited_ms += pause_ms;
        pause_ms = (pause_ms * 2).min(PAUSE_MAX_MS);
    }
}

/// Returns after so many milliseconds.
async fn sleep(ms: u32) {
    let ms = i32::try_from(ms).unwrap_or(i32::MAX);
    let mut start = |resolve: Function, _reject: Function| {
        // Every scope that can run this has `setTimeout`; without it, waiting ends at once.
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        if scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms).is_err() {
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    };
    let _ = JsFuture::from(Promise::new(&mut start)).await;
}
