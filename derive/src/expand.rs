//! The code that the derive writes.

use crate::attribute::{EventAttribute, Format};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use std::fmt::Write;
use syn::{DeriveInput, Error, Result};

/// # Errors
///
/// A wrong attribute, a generic type.
pub(crate) fn event_payload(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        let message = "a kind has one encoding, so its type has no parameters";
        return Err(Error::new_spanned(&input.generics, message));
    }
    let event = EventAttribute::of(input)?;
    let EventAttribute { category, type_id, version, crate_path, .. } = &event;
    let ident = &input.ident;
    let name = event.name.as_ref().map(|name| {
        quote! { const NAME: ::core::option::Option<&'static str> = ::core::option::Option::Some(#name); }
    });
    let format = match event.format {
        Format::Postcard => quote!(Postcard),
        Format::Json => quote!(Json),
    };
    let unique = unique(ident.span(), &event);
    Ok(quote! {
        #[automatically_derived]
        impl #crate_path::EventPayload for #ident {
            const KIND: #crate_path::EventKind = #crate_path::EventKind::new(#category, #type_id);
            #name
            const VERSION: u16 = #version;
            const FORMAT: #crate_path::PayloadFormat = #crate_path::PayloadFormat::#format;
        }
        #unique
    })
}

/// Macros at the root of the crate, of which there can be only one of a name: a second type with
/// the kind, or with its name, does not compile, in whatever module it is.
fn unique(span: Span, event: &EventAttribute) -> TokenStream {
    let kind = u16::from(event.category) << 12 | event.type_id;
    let of_kind = format_ident!("__only_one_event_payload_of_kind_0x{kind:04X}", span = span);
    let of_name = event.name.as_ref().map(|name| {
        let readable = encoded(&name.value());
        format_ident!("__only_one_event_payload_named_{readable}", span = name.span())
    });
    let macros = std::iter::once(of_kind).chain(of_name).map(|name| {
        quote! {
            #[doc(hidden)]
            #[allow(non_local_definitions)]
            #[macro_export]
            macro_rules! #name {
                () => {};
            }
        }
    });
    quote!(#(#macros)*)
}

/// A kind's name as a part of an identifier, other for every other name.
fn encoded(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            encoded.push(c);
        } else {
            let code = u32::from(c);
            write!(encoded, "_{code:x}_").expect("a string takes all");
        }
    }
    encoded
}
