//! The answers to the page: numbers, streams, events, causes, rates, the verification.
//!
//! Every answer is bounded: in events, in bytes, and in how many events are looked at for words.

use crate::args::StreamOrder;
use crate::failure::Failure;
use crate::inspect::answers::{Detail, Row, name_of};
use crate::inspect::filter::{FILTER_PARAMS, Filter};
use crate::inspect::histogram::Histogram;
use crate::inspect::params::Params;
use crate::inspect::{Inspector, locked};
use annals::{AncestorsEnd, CausalGraph, EventId, Sequence, StoreError};
use serde::Serialize;
use serde_json::json;
use tiny_http::Method;

/// Events of one page.
const PAGE_EVENTS_MAX: usize = 1000;
/// Payloads of one page, in bytes.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Events that one request looks at for words, and bytes of payloads: the next goes on.
const LOOKED_AT_MAX: u64 = 50_000;
const LOOKED_AT_BYTES_MAX: usize = 64 << 20;
/// Events of a graph, or of a chain.
const GRAPH_EVENTS_MAX: usize = 2000;
/// Events of a chain that are held at once: their payloads may be large.
const CHAIN_STEP: usize = 16;
/// Parts of a plot.
const PARTS_MAX: usize = 2000;

/// What is sent back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// The content's security policy, where it is a page.
    pub(super) policy: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn html(page: &str, policy: &str) -> Self {
        let content_type = "text/html; charset=utf-8";
        Answer { status: 200, content_type, policy: Some(policy.into()), body: page.into() }
    }

    /// # Errors
    ///
    /// A refusal where the value can't be JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(value).map_err(|e| Refusal::new(500, e.to_string()))?;
        Ok(Answer { status: 200, content_type: "application/json", policy: None, body })
    }
}

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    reason: String,
}

impl Refusal {
    pub(super) fn new(status: u16, reason: impl Into<String>) -> Self {
        Refusal { status, reason: reason.into() }
    }

    /// What was asked can't be understood.
    pub(super) fn bad(reason: impl Into<String>) -> Self {
        Refusal::new(400, reason)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let status = match error {
            StoreError::NotFound(_) | StoreError::SequenceNotFound(_) => 404,
            _ => 500,
        };
        Refusal::new(status, Failure::from(error).message())
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let body = json!({ "error": refusal.reason }).to_string().into_bytes();
        Answer { status: refusal.status, content_type: "application/json", policy: None, body }
    }
}

impl Inspector {
    /// Answers a request of the page.
    ///
    /// # Errors
    ///
    /// A refusal of what is not known or not understood, and what the store reports.
    pub(super) fn api(&self, method: &Method, what: &str, query: &str) -> Result<Answer, Refusal> {
        match (method, what) {
            (Method::Get, "stats") => self.stats(&Params::parse(query, &[])?),
            (Method::Get, "streams") => self.streams(query),
            (Method::Get, "events") => self.events(query),
            (Method::Get, "event") => self.event(query),
            (Method::Get, "payload") => self.payload(query),
            (Method::Get, "chain") => self.chain(query),
            (Method::Get, "graph") => self.graph(query),
            (Method::Get, "rates") => self.rates(query),
            (Method::Get | Method::Post, "verify") => self.verify(method, query),
            (Method::Get, _) => Err(Refusal::new(404, format!("there is no {what:?}"))),
            _ => Err(Refusal::new(405, format!("{method} is not for {what:?}: this only looks"))),
        }
    }

    fn stats(&self, _: &Params<'_>) -> Result<Answer, Refusal> {
        let reader = self.reader()?;
        let stats = reader.stats()?;
        let (torn, meta_damage) = {
            let fresh = locked(&self.log);
            let recovery = fresh.log.recovery();
            (recovery.torn_tail, recovery.meta_damage.len())
        };
        let kinds = stats.kinds.iter().map(|(kind, events)| {
            json!({ "kind": kind.as_u16(), "type": name_of(&reader, *kind), "events": events })
        });
        let segments = stats.segments.iter().map(|segment| {
            json!({
                "file": segment.file.to_string(),
                "isSealed": segment.sealed,
                "firstSequence": segment.first_sequence.get(),
                "events": segment.events,
                "bytes": segment.bytes,
            })
        });
        let path = std::fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        Answer::json(&json!({
            "name": path.file_name().map(|name| name.to_string_lossy()),
            "path": path.display().to_string(),
            "storeId": reader.store_id().to_string(),
            "events": stats.events,
            "entities": stats.entities,
            "scopes": stats.scopes,
            "bytes": stats.bytes,
            "end": stats.end.get(),
            "kinds": kinds.collect::<Vec<_>>(),
            "segments": segments.collect::<Vec<_>>(),
            "tornBytes": torn.map_or(0, |torn| torn.len),
            "metaDamage": meta_damage,
        }))
    }

    fn streams(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["text", "order", "offset", "limit"])?;
        let order = match params.choice("order", &["newest", "events", "name"])? {
            "events" => StreamOrder::Events,
            "name" => StreamOrder::Name,
            _ => StreamOrder::Newest,
        };
        let offset: usize = params.value("offset")?.unwrap_or(0);
        let limit = params.count("limit", 200, PAGE_EVENTS_MAX)?;
        let reader = self.reader()?;
        let mut streams = locked(&self.streams);
        streams.update(&reader)?;
        let found = streams.counts.sorted(params.text("text").unwrap_or_default(), order);
        let total = found.len();
        let streams = found.into_iter().skip(offset).take(limit).map(|(entity, stream)| {
            json!({
                "entity": entity,
                "events": stream.events,
                "version": stream.version,
                "sequence": stream.sequence,
                "timestampUs": stream.timestamp_us,
                "type": name_of(&reader, stream.kind),
            })
        });
        Answer::json(&json!({ "total": total, "streams": streams.collect::<Vec<_>>() }))
    }

    fn events(&self, query: &str) -> Result<Answer, Refusal> {
        let known = [&FILTER_PARAMS[..], &["after", "direction", "limit", "payload"]].concat();
        let params = Params::parse(query, &known)?;
        let reader = self.reader()?;
        let filter = Filter::of(&params, &reader)?;
        let after: Option<Sequence> = params.value("after")?.map(Sequence::new);
        let is_backward = params.choice("direction", &["forward", "backward"])? == "backward";
        let limit = params.count("limit", 200, PAGE_EVENTS_MAX)?;
        let with_payload = params.choice("payload", &["0", "1"])? == "1";
        let mut page = EventsPage { events: Vec::new(), next: after, is_done: true, looked_at: 0 };
        if let Some(region) = filter.behind(after, is_backward) {
            let events = reader.query(&region);
            let mut events = if is_backward { events.backward() } else { events };
            let (mut bytes, mut bytes_looked_at) = (0, 0);
            while let Some((sequence, row, len)) = events.next_with(|event| {
                let row = filter.matches(event).then(|| Row::new(event, &reader, with_payload));
                (event.sequence(), row, event.payload().map_or(0, <[u8]>::len))
            })? {
                page.next = Some(sequence);
                page.looked_at += 1;
                bytes_looked_at += len;
                bytes += row.as_ref().map_or(0, Row::len);
                page.events.extend(row);
                let is_tired = filter.has_text()
                    && (page.looked_at >= LOOKED_AT_MAX || bytes_looked_at >= LOOKED_AT_BYTES_MAX);
                if page.events.len() >= limit || bytes >= PAGE_BYTES_MAX || is_tired {
                    page.is_done = false;
                    break;
                }
            }
        }
        Answer::json(&json!({
            "events": page.events,
            "next": page.next.map(Sequence::get),
            "isDone": page.is_done,
            "lookedAt": page.looked_at,
            "end": reader.end().get(),
        }))
    }

    fn event(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["id", "sequence"])?;
        let reader = self.reader()?;
        let event = match (id_of(&params)?, params.value("sequence")?) {
            (Some(id), None) => reader.get(id)?,
            (None, Some(sequence)) => reader.get_at(Sequence::new(sequence))?,
            _ => return Err(Refusal::bad("give id or sequence")),
        };
        Answer::json(&Detail::new(&event, &reader)?)
    }

    fn payload(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["id"])?;
        let event = self.reader()?.get(id_needed(&params)?)?;
        let Some(bytes) = event.payload.bytes() else {
            return Err(Refusal::new(410, "the payload was erased"));
        };
        let content_type = "application/octet-stream";
        Ok(Answer { status: 200, content_type, policy: None, body: bytes.to_vec() })
    }

    fn chain(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["id", "limit"])?;
        let limit = params.count("limit", 100, GRAPH_EVENTS_MAX)?;
        let reader = self.reader()?;
        let mut next = id_needed(&params)?;
        let mut rows: Vec<Row> = Vec::new();
        let end = loop {
            // Each step begins with the event that the one before has ended with.
            let known = usize::from(!rows.is_empty());
            let step = (limit - rows.len()).min(CHAIN_STEP) + known;
            let walk = reader.walk_ancestors(next, step)?;
            let found = walk.events.iter().skip(known);
            rows.extend(found.map(|event| Row::of_link(event, &reader)));
            match (walk.end, walk.events.last()) {
                (AncestorsEnd::Genesis, _) => break json!("genesis"),
                (AncestorsEnd::Pruned { version }, _) => break json!({ "pruned": version.get() }),
                (_, Some(last)) if rows.len() < limit => next = last.id(),
                _ => break json!("limit"),
            }
        };
        Answer::json(&json!({ "events": rows, "end": end }))
    }

    fn graph(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["id", "of", "limit"])?;
        let limit = params.count("limit", 200, GRAPH_EVENTS_MAX)?;
        let of = params.choice("of", &["causes", "correlation"])?;
        let reader = self.reader()?;
        let id = id_needed(&params)?;
        let graph = match of {
            "causes" => CausalGraph::of_event(&reader, id, limit)?,
            _ => CausalGraph::of_correlation(&reader, id, limit)?,
        };
        let nodes = graph.nodes().iter().map(|node| Row::of_node(node, &reader));
        Answer::json(&json!({ "events": nodes.collect::<Vec<_>>(), "isCut": graph.is_cut() }))
    }

    fn rates(&self, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &[&FILTER_PARAMS[..], &["after", "parts"]].concat())?;
        let mut histogram = Histogram::new(params.count("parts", 200, PARTS_MAX)?);
        let reader = self.reader()?;
        let filter = Filter::of(&params, &reader)?;
        let after: Option<Sequence> = params.value("after")?.map(Sequence::new);
        let (mut next, mut looked_at, mut bytes_looked_at) = (after, 0, 0);
        let mut is_done = true;
        if let Some(region) = filter.behind(after, false) {
            let mut events = reader.query(&region);
            while let Some((sequence, time, len)) = events.next_with(|event| {
                let time = filter.matches(event).then(|| event.header().timestamp_us());
                (event.sequence(), time, event.payload().map_or(0, <[u8]>::len))
            })? {
                next = Some(sequence);
                looked_at += 1;
                bytes_looked_at += len;
                time.into_iter().for_each(|time| histogram.add(time));
                if looked_at >= LOOKED_AT_MAX || bytes_looked_at >= LOOKED_AT_BYTES_MAX {
                    is_done = false;
                    break;
                }
            }
        }
        let mut told = json!({ "isDone": is_done, "lookedAt": looked_at });
        if let Some(next) = next {
            told["next"] = next.get().into();
        }
        if let Some(rates) = histogram.rates() {
            told["rates"] = json!(rates);
        }
        Answer::json(&told)
    }

    fn verify(&self, method: &Method, query: &str) -> Result<Answer, Refusal> {
        let params = Params::parse(query, &["do"])?;
        if *method == Method::Post {
            match params.choice("do", &["start", "stop"])? {
                "start" => {
                    let reader = self.reader()?;
                    let fresh = locked(&self.log);
                    let damage = fresh.log.recovery().meta_damage.iter();
                    self.check.start(reader, damage.map(ToString::to_string).collect());
                }
                _ => self.check.stop(),
            }
        }
        Answer::json(&self.check.state())
    }
}

/// A page, and where the next one begins.
struct EventsPage {
    events: Vec<Row>,
    next: Option<Sequence>,
    is_done: bool,
    looked_at: u64,
}

fn id_of(params: &Params<'_>) -> Result<Option<EventId>, Refusal> {
    params.value("id")
}

fn id_needed(params: &Params<'_>) -> Result<EventId, Refusal> {
    id_of(params)?.ok_or_else(|| Refusal::bad("give id"))
}
