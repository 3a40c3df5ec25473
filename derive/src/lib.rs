//! `#[derive(EventPayload)]` for the Annals event store.
//!
//! Programs get it from `annals` with the feature `derive`, which has the documentation for it.
//! Everything that can be wrong with an attribute is an error at the word that is wrong.

mod attribute;
mod expand;

use proc_macro::TokenStream;

/// Implements `EventPayload` for a type: the payload of one kind of event.
///
/// ```text
/// #[derive(Serialize, Deserialize, EventPayload)]
/// #[event(category = 1, type_id = 2, version = 3, name = "order.placed", format = "json")]
/// struct OrderPlaced { .. }
/// ```
///
/// | part | what | without it |
/// | --- | --- | --- |
/// | `category` | 1 to 15, but not 13 | must be there |
/// | `type_id` | 0 to 4095 | must be there |
/// | `version` | 1 to 65535, raised when the encoding changes | 1 |
/// | `name` | of the kind, unique in a store: 1 to 128 ASCII letters, digits, `.`, `_`, `-`, `:` | none |
/// | `format` | `"postcard"` or `"json"` | postcard |
/// | `crate` | the path of the `annals` crate, where it has another name | `::annals` |
///
/// Two types of one crate that have the same kind, or the same name, do not compile: each derive
/// defines a hidden macro at the root of the crate that is named after its kind, and one more after
/// its name. A type for an older version of a payload needs no kind: `Serialize` and
/// `Deserialize` are enough for an upcast.
#[proc_macro_derive(EventPayload, attributes(event))]
pub fn derive_event_payload(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::event_payload(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
