//! `annals project`: one answer from many events.
//!
//! Numbers are added as decimals, exactly. A CSV import keeps all values as text, so text that is a
//! number counts as one.

use crate::args::ProjectArgs;
use crate::event_json::json_of;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::{Output, counted, note};
use crate::progress;
use annals::{Event, FsStorage, Query, Sequence};
use indicatif::ProgressBar;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use serde_json_path::JsonPath;
use std::path::Path;
use std::str::FromStr;

#[derive(Debug, Serialize)]
struct CountJson {
    count: u64,
}

#[derive(Debug, Serialize)]
struct LastJson<'a> {
    last: &'a Value,
    sequence: Sequence,
}

#[derive(Debug, Serialize)]
struct SumJson {
    /// A number, digit for digit.
    sum: Box<RawValue>,
    numbers: u64,
    events: u64,
    /// Events in which no number stands there.
    without: u64,
}

pub(crate) fn run(dir: &Path, args: &ProjectArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let query = reader.query(&args.region.region(&reader)?);
    let bar = progress::beside(out, reader.end().get());
    if let Some(path) = &args.last {
        last(dir, query, path, args.json, out)
    } else if let Some(path) = &args.sum {
        sum(dir, query, path, args.json, &bar, out)
    } else {
        count(dir, query, args.json, &bar, out)
    }
}

fn count(
    dir: &Path,
    mut query: Query<FsStorage>,
    json: bool,
    bar: &ProgressBar,
    out: &mut Output,
) -> Result<Code, Failure> {
    let mut count = 0_u64;
    let mut next = || query.next_with(|event| event.sequence().get());
    while let Some(at) = next().map_err(|error| of_store(dir, error))? {
        count += 1;
        bar.set_position(at);
    }
    bar.finish_and_clear();
    if json {
        out.json(&CountJson { count })?;
    } else {
        out.line(count)?;
    }
    Ok(Code::Done)
}

/// The value in the newest event that has one.
fn last(
    dir: &Path,
    query: Query<FsStorage>,
    path: &JsonPath,
    json: bool,
    out: &mut Output,
) -> Result<Code, Failure> {
    let mut newer = 0_u64;
    for event in query.backward() {
        let event = event.map_err(|error| of_store(dir, error))?;
        let Some(payload) = value_of(&event) else {
            newer += 1;
            continue;
        };
        let found = path.query(&payload).all();
        let value = match found.as_slice() {
            [] => {
                newer += 1;
                continue;
            }
            [one] => (*one).clone(),
            several => Value::Array(several.iter().map(|value| (*value).clone()).collect()),
        };
        if json {
            out.json(&LastJson { last: &value, sequence: event.sequence() })?;
        } else {
            out.line(value)?;
        }
        if newer > 0 {
            let events = counted(newer, "newer event has", "newer events have");
            note(format_args!("{events} no value at {path}"));
        }
        return Ok(Code::Done);
    }
    let message = if newer == 0 {
        "no event passes the filters".into()
    } else {
        format!("none of {} has a value at {path}", counted(newer, "event", "events"))
    };
    Err(Failure::no(message).hint("`annals query --json` shows the events and their payloads"))
}

fn sum(
    dir: &Path,
    query: Query<FsStorage>,
    path: &JsonPath,
    json: bool,
    bar: &ProgressBar,
    out: &mut Output,
) -> Result<Code, Failure> {
    let (mut sum, mut numbers, mut events, mut without) = (Decimal::ZERO, 0_u64, 0_u64, 0_u64);
    for event in query {
        let event = event.map_err(|error| of_store(dir, error))?;
        events += 1;
        bar.set_position(event.sequence().get());
        let before = numbers;
        let payload = value_of(&event).unwrap_or_default();
        for value in path.query(&payload).all() {
            let too_long = |text: &str| {
                let at = event.sequence();
                Failure::no(format!(
                    "{text} in event #{at} has too many digits to be added exactly"
                ))
            };
            let Some(number) = number_in(value).map_err(|text| too_long(&text))? else { continue };
            let (old, new) = (sum, sum.checked_add(number));
            // An addition that is out of digits rounds.
            sum = new
                .filter(|new| new.checked_sub(number) == Some(old))
                .ok_or_else(|| too_long(&format!("the sum of {old} and {number}")))?;
            numbers += 1;
        }
        without += u64::from(numbers == before);
    }
    bar.finish_and_clear();
    if json {
        let sum = RawValue::from_string(sum.to_string()).map_err(std::io::Error::from)?;
        out.json(&SumJson { sum, numbers, events, without })?;
        return Ok(Code::Done);
    }
    out.line(sum)?;
    if without > 0 {
        let events = counted(events, "event", "events");
        note(format_args!("{without} of {events} have no number at {path}"));
    }
    Ok(Code::Done)
}

/// The payload, if it is JSON.
fn value_of(event: &Event) -> Option<Value> {
    serde_json::from_str(json_of(&event.payload)?.get()).ok()
}

/// The number that a value is, or that its text is; the text of one that no decimal can hold.
fn number_in(value: &Value) -> Result<Option<Decimal>, String> {
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            decimal(&text).map(Some).ok_or(text)
        }
        Value::String(text) => Ok(decimal(text.trim())),
        _ => Ok(None),
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    // A number written `1_000` is one in Rust and in no data.
    let text = Some(text).filter(|text| !text.contains('_'))?;
    Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).ok()
}

/// For clap.
pub(crate) fn parse_path(text: &str) -> Result<JsonPath, String> {
    JsonPath::from_str(text).map_err(|error| format!("{error}; a path is such as $.total"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_and_their_texts_are_taken_exactly_and_nothing_else_is() {
        let number = |value: Value| number_in(&value).unwrap().map(|number| number.to_string());
        for (value, text) in [
            (json!(0.1), "0.1"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
            (json!(-3), "-3"),
            (json!("12.50"), "12.50"),
            (json!(" 7 "), "7"),
            (json!(1e20), "100000000000000000000"),
        ] {
            assert_eq!(number(value).as_deref(), Some(text));
        }
        for value in [json!(""), json!("1_000"), json!("seven"), json!(true), json!([1]), json!({})]
        {
            assert_eq!(number(value), None);
        }
        assert!(number_in(&json!(1e300)).is_err());
    }
}
