//! A directory of one test, empty at its start.

use annals_opfs::opfs_directory;
use js_sys::{Array, Promise};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use web_sys::{FileSystemDirectoryHandle, FileSystemSyncAccessHandle};

#[wasm_bindgen(inline_js = "
export async function clear(dir) {
  for await (const name of dir.keys()) await dir.removeEntry(name, { recursive: true });
}
export async function names(dir) {
  const names = [];
  for await (const name of dir.keys()) names.push(name);
  return names.sort();
}
export async function len(dir, name) {
  return (await (await dir.getFileHandle(name)).getFile()).size;
}
export async function hold(dir, name) {
  return (await dir.getFileHandle(name)).createSyncAccessHandle();
}
")]
extern "C" {
    fn clear(dir: &FileSystemDirectoryHandle) -> Promise;
    fn names(dir: &FileSystemDirectoryHandle) -> Promise;
    fn len(dir: &FileSystemDirectoryHandle, name: &str) -> Promise;
    fn hold(dir: &FileSystemDirectoryHandle, name: &str) -> Promise;
}

/// See the module.
pub(crate) struct Place {
    dir: FileSystemDirectoryHandle,
}

impl Place {
    pub(crate) async fn new(name: &str) -> Self {
        let dir = opfs_directory(&["annals-tests", name]).await.unwrap();
        JsFuture::from(clear(&dir)).await.unwrap();
        Self { dir }
    }

    pub(crate) fn dir(&self) -> FileSystemDirectoryHandle {
        self.dir.clone()
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let names: Array = JsFuture::from(names(&self.dir)).await.unwrap().into();
        names.iter().filter_map(|name| name.as_string()).collect()
    }

    pub(crate) async fn len_of(&self, name: &str) -> f64 {
        JsFuture::from(len(&self.dir, name)).await.unwrap().as_f64().unwrap()
    }

    /// Opens a file as another worker would.
    pub(crate) async fn hold(&self, name: &str) -> FileSystemSyncAccessHandle {
        JsFuture::from(hold(&self.dir, name)).await.unwrap().into()
    }
}
