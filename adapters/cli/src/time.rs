//! Times as people and files write them, to and from microseconds since 1970.

use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// What a whole number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TimeUnit {
    /// Told by its size: up to 11 digits seconds, up to 14 milliseconds, else microseconds
    #[default]
    Auto,
    /// Seconds
    S,
    /// Milliseconds
    Ms,
    /// Microseconds
    Us,
}

/// How a column of times is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TimeFormat {
    /// What whole numbers count.
    pub(crate) unit: TimeUnit,
    /// Whether a time without an offset is one in UTC; else it is refused.
    pub(crate) utc: bool,
}

impl TimeFormat {
    /// Microseconds since 1970.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, to be put behind it.
    pub(crate) fn parse_us(self, text: &str) -> Result<i64, &'static str> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return self.scale(number);
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(time.as_microsecond());
        }
        match text.parse::<DateTime>() {
            Ok(time) if self.utc => utc_us(time).ok_or("is out of range"),
            Ok(_) => Err("has no offset from UTC: --utc takes such times as UTC"),
            Err(_) => Err("is no time: RFC 3339 such as 2011-10-11T13:45:40+02:00, or a number"),
        }
    }

    fn scale(self, number: i64) -> Result<i64, &'static str> {
        let factor = match (self.unit, number.unsigned_abs()) {
            (TimeUnit::S, _) | (TimeUnit::Auto, 0..100_000_000_000) => 1_000_000,
            (TimeUnit::Ms, _) | (TimeUnit::Auto, ..100_000_000_000_000) => 1_000,
            (TimeUnit::Us | TimeUnit::Auto, _) => 1,
        };
        number.checked_mul(factor).ok_or("is out of range")
    }
}

/// The first microsecond that a filter's time takes in. A day begins at midnight, UTC.
pub(crate) fn parse_since(text: &str) -> Result<i64, String> {
    parse_filter(text, Date::to_datetime, jiff::civil::Time::MIN)
}

/// The last microsecond that a filter's time takes in. A day ends before midnight, UTC.
pub(crate) fn parse_until(text: &str) -> Result<i64, String> {
    parse_filter(text, Date::to_datetime, jiff::civil::Time::MAX)
}

fn parse_filter(
    text: &str,
    join: impl Fn(Date, jiff::civil::Time) -> DateTime,
    time_of_day: jiff::civil::Time,
) -> Result<i64, String> {
    let is_day = text.len() == "2011-10-11".len();
    if let Some(day) = text.parse::<Date>().ok().filter(|_| is_day) {
        return utc_us(join(day, time_of_day)).ok_or_else(|| "out of range".into());
    }
    let format = TimeFormat { unit: TimeUnit::Auto, utc: true };
    format.parse_us(text).map_err(|problem| format!("{text:?} {problem}"))
}

fn utc_us(time: DateTime) -> Option<i64> {
    let zoned = time.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_microsecond())
}

/// RFC 3339 in UTC with all microseconds; the number where no calendar reaches.
pub(crate) fn rfc3339(time_us: i64) -> String {
    match Timestamp::from_microsecond(time_us) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => format!("{time_us}us"),
    }
}

/// As [`rfc3339`], to the millisecond.
pub(crate) fn rfc3339_ms(time_us: i64) -> String {
    match Timestamp::from_microsecond(time_us) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{time_us}us"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME_US: i64 = 1_318_333_540_276_000;

    fn parse(text: &str) -> Result<i64, &'static str> {
        TimeFormat::default().parse_us(text)
    }

    #[test]
    fn a_time_may_be_written_in_many_ways() {
        for text in [
            "2011-10-11 13:45:40.276000+02:00",
            "2011-10-11T13:45:40.276+02:00",
            "2011-10-11T11:45:40.276Z",
            "2011-10-11t11:45:40.276z",
            " 1318333540276 ",
            "1318333540276000",
        ] {
            assert_eq!(parse(text), Ok(TIME_US), "{text}");
        }
        assert_eq!(parse("1318333540"), Ok(1_318_333_540_000_000));
        assert_eq!(parse("-1"), Ok(-1_000_000));
        assert_eq!(parse("1969-12-31T23:59:59.999999Z"), Ok(-1));
    }

    #[test]
    fn a_unit_that_was_said_is_not_guessed() {
        let parse = |unit, text| TimeFormat { unit, utc: false }.parse_us(text);
        assert_eq!(parse(TimeUnit::Us, "7"), Ok(7));
        assert_eq!(parse(TimeUnit::Ms, "7"), Ok(7_000));
        assert_eq!(parse(TimeUnit::S, "999999999999"), Ok(999_999_999_999_000_000));
        assert_eq!(parse(TimeUnit::S, "9223372036854775807"), Err("is out of range"));
    }

    #[test]
    fn a_time_without_an_offset_is_refused_unless_it_is_said_to_be_utc() {
        assert!(parse("2011-10-11 11:45:40.276").unwrap_err().contains("--utc"));
        let utc = TimeFormat { utc: true, ..TimeFormat::default() };
        assert_eq!(utc.parse_us("2011-10-11 11:45:40.276"), Ok(TIME_US));
        for bad in ["", "yesterday", "2011-13-01T00:00:00Z", "1.5"] {
            assert!(utc.parse_us(bad).unwrap_err().contains("is no time"), "{bad}");
        }
    }

    #[test]
    fn a_day_as_a_filter_takes_in_all_of_it() {
        let (since, until) =
            (parse_since("2011-10-11").unwrap(), parse_until("2011-10-11").unwrap());
        assert_eq!(rfc3339(since), "2011-10-11T00:00:00.000000Z");
        assert_eq!(rfc3339(until), "2011-10-11T23:59:59.999999Z");
        assert_eq!(parse_since("2011-10-11T11:45:40.276Z"), Ok(TIME_US));
        assert_eq!(parse_until("1318333540276"), Ok(TIME_US));
        assert!(parse_since("soon").unwrap_err().starts_with("\"soon\" is no time"));
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(rfc3339(TIME_US), "2011-10-11T11:45:40.276000Z");
        assert_eq!(rfc3339_ms(TIME_US), "2011-10-11T11:45:40.276Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854775807us");
    }
}
