//! What the npm package `annals` calls in WebAssembly. Private: its API is the TypeScript's.
//!
//! An [`Engine`] is one open store. Requests and answers cross the border as one packed buffer
//! each (see `wire`), because a call costs more than a kilobyte. Nothing here knows of tabs,
//! workers or messages: that is TypeScript's part.

mod answer;
mod engine;
mod failure;
mod files;
mod host;
mod host_files;
mod keep;
mod request;
mod wire;

pub use engine::Engine;
pub use host_files::HostFiles;
