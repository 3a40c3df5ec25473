//! What `#[event(..)]` says, checked word by word.

use proc_macro2::Ident;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, LitInt, LitStr, Path, Result};

/// The parts of `#[event(..)]`.
pub(crate) struct EventAttribute {
    pub(crate) category: u8,
    pub(crate) type_id: u16,
    pub(crate) version: u16,
    pub(crate) name: Option<LitStr>,
    pub(crate) format: Format,
    pub(crate) crate_path: Path,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Postcard,
    Json,
}

/// The parts that were given so far.
#[derive(Default)]
struct Given {
    category: Option<u8>,
    type_id: Option<u16>,
    version: Option<u16>,
    name: Option<LitStr>,
    format: Option<Format>,
    crate_path: Option<Path>,
}

const NAME_LEN_MAX: usize = 128;
const EXAMPLE: &str = "#[event(category = 1, type_id = 2)]";

impl EventAttribute {
    /// # Errors
    ///
    /// At the word that is wrong, or at the type where something is missing.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut given = Given::default();
        let mut attributes = input.attrs.iter().filter(|attr| attr.path().is_ident("event"));
        let first = attributes.next().ok_or_else(|| {
            Error::new(input.ident.span(), format!("say which kind it is: {EXAMPLE}"))
        })?;
        if let Some(second) = attributes.next() {
            return Err(Error::new(second.path().span(), "one #[event(..)] says everything"));
        }
        first.parse_nested_meta(|part| given.take(&part))?;
        let missing = |part: &str| {
            Error::new(first.path().span(), format!("{part} is missing, as in {EXAMPLE}"))
        };
        Ok(EventAttribute {
            category: given.category.ok_or_else(|| missing("category"))?,
            type_id: given.type_id.ok_or_else(|| missing("type_id"))?,
            version: given.version.unwrap_or(1),
            name: given.name,
            format: given.format.unwrap_or(Format::Postcard),
            crate_path: match given.crate_path {
                Some(path) => path,
                None => syn::parse_str("::annals")?,
            },
        })
    }
}

impl Given {
    fn take(&mut self, part: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(key) = part.path.get_ident() else { return Err(unknown(part)) };
        match key.to_string().as_str() {
            "category" => set(&mut self.category, key, category(part)?),
            "type_id" => {
                let range = "a type id is 0 to 4095 (0xFFF)";
                set(&mut self.type_id, key, number(part, 0..=0xFFF, range)?)
            }
            "version" => {
                let range = "a version is 1 to 65535";
                set(&mut self.version, key, number(part, 1..=u16::MAX, range)?)
            }
            "name" => set(&mut self.name, key, name(part)?),
            "format" => set(&mut self.format, key, format(part)?),
            "crate" => {
                let path: LitStr = part.value()?.parse()?;
                set(&mut self.crate_path, key, path.parse()?)
            }
            _ => Err(unknown(part)),
        }
    }
}

fn set<T>(slot: &mut Option<T>, key: &Ident, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(key.span(), format!("{key} is given twice"))),
    }
}

fn unknown(part: &ParseNestedMeta<'_>) -> Error {
    part.error("this is none of category, type_id, version, name, format, crate")
}

fn category(part: &ParseNestedMeta<'_>) -> Result<u8> {
    let literal: LitInt = part.value()?.parse()?;
    match literal.base10_parse::<u64>()? {
        0 | 0xD => {
            let reserved = "categories 0 and 13 (0xD) are reserved for the store";
            Err(Error::new(literal.span(), reserved))
        }
        found => u8::try_from(found)
            .ok()
            .filter(|category| *category <= 15)
            .ok_or_else(|| Error::new(literal.span(), "a category is 1 to 15")),
    }
}

fn number(
    part: &ParseNestedMeta<'_>,
    range: std::ops::RangeInclusive<u16>,
    said: &str,
) -> Result<u16> {
    let literal: LitInt = part.value()?.parse()?;
    let found = u16::try_from(literal.base10_parse::<u64>()?).ok();
    found.filter(|found| range.contains(found)).ok_or_else(|| Error::new(literal.span(), said))
}

fn name(part: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let literal: LitStr = part.value()?.parse()?;
    let name = literal.value();
    let wrong = |said: String| Err(Error::new(literal.span(), said));
    if !(1..=NAME_LEN_MAX).contains(&name.len()) {
        return wrong(format!("a kind's name has 1 to 128 bytes, not {}", name.len()));
    }
    let is_allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    match name.chars().find(|c| !is_allowed(c)) {
        None => Ok(literal),
        Some(c) => wrong(format!(
            "a kind's name has ASCII letters, digits, '.', '_', '-' and ':', not {c:?}"
        )),
    }
}

fn format(part: &ParseNestedMeta<'_>) -> Result<Format> {
    let literal: LitStr = part.value()?.parse()?;
    match literal.value().as_str() {
        "postcard" => Ok(Format::Postcard),
        "json" => Ok(Format::Json),
        _ => Err(Error::new(literal.span(), "a format is \"postcard\" or \"json\"")),
    }
}
