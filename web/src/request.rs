//! Requests: what the bytes from TypeScript ask for.
//!
//! The first byte says which request it is. A kind is a number or a name; names are resolved
//! here, and registered only by an append.

use std::ops::RangeInclusive;

use annals_core::{
    Append, AppendCondition, AppendOptions, Batch, Coordinate, EventFlags, EventId, EventKind,
    ExpectedVersion, Host, Log, Payload, PayloadFormat, PositionHint, Reader, Region, Sequence,
    Storage, Version,
};

use crate::failure::Failure;
use crate::wire::{Input, Malformed};

/// What can be asked for, but appends, which come in groups.
#[derive(Debug)]
pub(crate) enum Request {
    Get(EventId),
    Query(Box<QueryRequest>),
    Head(String),
    Status,
    Sync,
    Record(Sequence),
}

/// One page of a query.
#[derive(Debug)]
pub(crate) struct QueryRequest {
    pub(crate) region: Region,
    pub(crate) is_backward: bool,
    /// Only events behind this one, in the direction of the query.
    pub(crate) after: Option<Sequence>,
    /// The end of what the first page saw.
    pub(crate) end: Option<Sequence>,
    pub(crate) events_max: u32,
    /// Whether the events come with what only verification needs.
    pub(crate) with_hashes: bool,
}

/// How a kind is written in a request.
enum KindRef<'a> {
    Number(u16),
    Name(&'a str),
}

impl Request {
    pub(crate) fn read<S: Storage>(bytes: &[u8], reader: &Reader<S>) -> Result<Self, Failure> {
        let mut input = Input::new(bytes)?;
        let request = match input.u8()? {
            2 => Self::Get(EventId::from_bytes(input.array()?)),
            3 => Self::Query(Box::new(QueryRequest::read(&mut input, reader)?)),
            4 => Self::Head(input.text()?.to_owned()),
            5 => Self::Status,
            6 => Self::Sync,
            8 => Self::Record(Sequence::new(input.u64()?)),
            _ => return Err(Malformed.into()),
        };
        if input.is_empty() { Ok(request) } else { Err(Malformed.into()) }
    }
}

impl QueryRequest {
    fn read<S: Storage>(input: &mut Input<'_>, reader: &Reader<S>) -> Result<Self, Failure> {
        Ok(Self {
            region: read_region(input, reader)?,
            is_backward: input.u8()? == 1,
            after: input.option(Input::u64)?.map(Sequence::new),
            end: input.option(Input::u64)?.map(Sequence::new),
            events_max: input.u32()?,
            with_hashes: input.u8()? == 1,
        })
    }
}

/// Reads the events of one append request; names of kinds that are new are registered.
pub(crate) fn read_batch<S: Storage, H: Host>(
    input: &mut Input<'_>,
    log: &mut Log<S, H>,
) -> Result<Batch, Failure> {
    let reader = log.reader();
    let condition = input.option(|input| Ok(read_condition(input, &reader)))?.transpose()?;
    let count = input.u32()?;
    let mut batch = Batch::new();
    for _ in 0..count {
        batch = batch.push(read_append(input, log)?);
    }
    Ok(match condition {
        Some(condition) => batch.with_condition(condition),
        None => batch,
    })
}

fn read_append<S: Storage, H: Host>(
    input: &mut Input<'_>,
    log: &mut Log<S, H>,
) -> Result<Append, Failure> {
    let (entity, scope) = (input.text()?, input.text()?);
    let coordinate = Coordinate::new(entity, scope);
    let coordinate = coordinate.map_err(|error| Failure::invalid(error.to_string()))?;
    let kind = match read_kind(input)? {
        KindRef::Number(number) => known_kind(number)?,
        KindRef::Name(name) => log.kind_for_name(name)?,
    };
    let version = input.u16()?;
    let (format, payload) = read_content(input)?;
    let payload = Payload::from_parts(format, version, payload.to_vec());
    let id = |input: &mut Input<'_>| input.array().map(EventId::from_bytes);
    let options = AppendOptions {
        idempotency_key: Some(id(input)?),
        correlation: input.option(id)?,
        causation: input.option(id)?,
        metadata: input.option(|input| read_content(input).map(|(_, bytes)| bytes.to_vec()))?,
        flags: EventFlags::from_bits(input.u16()?),
        position: input
            .option(|input| Ok(PositionHint { lane: input.u32()?, depth: input.u32()? }))?,
        expected_version: read_expected(input)?,
        condition: None,
    };
    let cause_item = input.option(Input::u32)?;
    let append = Append::new(coordinate, kind, payload).with_options(options);
    Ok(match cause_item.map(usize::try_from) {
        Some(item) => append.caused_by_item(item.unwrap_or(usize::MAX)),
        None => append,
    })
}

/// Bytes, or the text of JSON.
fn read_content<'a>(input: &mut Input<'a>) -> Result<(PayloadFormat, &'a [u8]), Malformed> {
    match input.u8()? {
        2 => Ok((PayloadFormat::Json, input.text()?.as_bytes())),
        3 => Ok((PayloadFormat::Raw, input.bytes()?)),
        _ => Err(Malformed),
    }
}

fn read_expected(input: &mut Input<'_>) -> Result<ExpectedVersion, Malformed> {
    match input.u8()? {
        0 => Ok(ExpectedVersion::Any),
        1 => Ok(ExpectedVersion::NoStream),
        2 => Ok(ExpectedVersion::StreamExists),
        3 => Ok(ExpectedVersion::Exact(Version::new(input.u64()?))),
        _ => Err(Malformed),
    }
}

fn read_condition<S: Storage>(
    input: &mut Input<'_>,
    reader: &Reader<S>,
) -> Result<AppendCondition, Failure> {
    let region = read_region(input, reader)?;
    Ok(AppendCondition::new(region, input.option(Input::u64)?.map(Sequence::new)))
}

pub(crate) fn read_region<S: Storage>(
    input: &mut Input<'_>,
    reader: &Reader<S>,
) -> Result<Region, Failure> {
    let mut region = Region::all();
    let [entity, stream, prefix, scope] = read_texts(input)?;
    region = match (entity, stream, prefix) {
        (None, None, None) => region,
        (Some(entity), None, None) => region.with_entity(entity),
        (None, Some(stream), None) => region.with_entity_exact(stream),
        (None, None, Some(prefix)) => region.with_entity_prefix(prefix),
        _ => return Err(Failure::invalid("give one of `entity`, `stream` and `prefix`")),
    };
    if let Some(scope) = scope {
        region = region.scope(scope);
    }
    let kinds = read_kinds(input, reader)?;
    region = match (kinds, input.option(Input::u8)?) {
        (None, None) => region,
        (Some(kinds), None) => region.kinds(kinds),
        (None, Some(category)) => region.category(category),
        _ => return Err(Failure::invalid("give `type` or `category`, not both")),
    };
    if let Some(range) = input.option(read_range)? {
        region = region.versions(Version::new(*range.start())..=Version::new(*range.end()));
    }
    if let Some(range) = input.option(read_range)? {
        region = region.sequences(Sequence::new(*range.start())..=Sequence::new(*range.end()));
    }
    if let Some(range) = input.option(|input| Ok(input.time_us()?..=input.time_us()?))? {
        region = region.times_us(range);
    }
    if let Some(id) = input.option(Input::array)? {
        region = region.correlation(EventId::from_bytes(id));
    }
    if let Some(id) = input.option(Input::array)? {
        region = region.causation(EventId::from_bytes(id));
    }
    Ok(region)
}

fn read_texts<'a, const N: usize>(
    input: &mut Input<'a>,
) -> Result<[Option<&'a str>; N], Malformed> {
    let mut texts = [None; N];
    for text in &mut texts {
        *text = input.option(Input::text)?;
    }
    Ok(texts)
}

fn read_kinds<S: Storage>(
    input: &mut Input<'_>,
    reader: &Reader<S>,
) -> Result<Option<Vec<EventKind>>, Failure> {
    let Some(count) = input.option(Input::u32)? else { return Ok(None) };
    let mut kinds = Vec::new();
    for _ in 0..count {
        match read_kind(input)? {
            KindRef::Number(number) => kinds.push(known_kind(number)?),
            // A name that nobody has used yet has no events.
            KindRef::Name(name) => kinds.extend(reader.kind_named(name)),
        }
    }
    Ok(Some(kinds))
}

fn read_range(input: &mut Input<'_>) -> Result<RangeInclusive<u64>, Malformed> {
    Ok(input.u64()?..=input.u64()?)
}

fn read_kind<'a>(input: &mut Input<'a>) -> Result<KindRef<'a>, Malformed> {
    match input.u8()? {
        0 => input.u16().map(KindRef::Number),
        1 => input.text().map(KindRef::Name),
        _ => Err(Malformed),
    }
}

fn known_kind(number: u16) -> Result<EventKind, Failure> {
    if number == EventKind::ERASURE.as_u16() {
        // It may be asked for; appending it is refused by the log.
        return Ok(EventKind::ERASURE);
    }
    EventKind::from_u16(number).map_err(|error| Failure::invalid(error.to_string()))
}
