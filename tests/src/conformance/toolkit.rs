//! Behaviours 40 and 41: coordinates, kinds, ids and positions, as people write and read them.

use annals_core::{
    Coordinate, DagPosition, EventId, EventKind, Hlc, Payload, PayloadFormat, PositionHint,
    Sequence, Version,
};

use super::Backend;
use super::store::{PLACED, event, open, put, with};

/// Empty, over-long and unprintable parts are errors; what is accepted is shown as it is stored.
pub fn b40_coordinates_are_checked_and_shown(backend: impl Backend) {
    let long = "x".repeat(1025);
    let wrong = [("", "shop"), ("order", ""), ("", ""), (&long, "s"), ("e", &long), ("a\nb", "s")];
    for (entity, scope) in wrong {
        assert!(Coordinate::new(entity, scope).is_err(), "{entity:?} {scope:?}");
    }
    let json =
        Payload::from_parts(PayloadFormat::Json, 0, br#"{"entity":"","scope":"s"}"#.to_vec());
    assert!(json.decode::<Coordinate>().is_err(), "reading one checks it too");
    let mut log = open(&backend);
    for (entity, scope) in [("order:5", "shop"), ("a@b", "c@d"), ("\u{e9}", " ")] {
        let coordinate = Coordinate::new(entity, scope).expect("valid");
        assert_eq!(coordinate.to_string(), format!("{entity}@{scope}"));
        let receipt =
            put(&mut log, &annals_core::Append::new(coordinate.clone(), PLACED, Payload::raw("")));
        let read = log.reader().get(receipt.id).expect("there").coordinate;
        assert_eq!((read.entity(), read.scope()), (entity, scope));
        assert_eq!(read, coordinate);
    }
}

/// Kinds are shown as four hex digits and parsed from them.
pub fn b40_kinds_are_shown_in_hex(backend: impl Backend) {
    const LAST: EventKind = EventKind::new(0xF, 0xFFF);
    let mut log = open(&backend);
    for (kind, text) in [
        (EventKind::new(1, 0), "0x1000"),
        (EventKind::new(0xC, 0x0AB), "0xC0AB"),
        (EventKind::new(0xE, 1), "0xE001"),
        (LAST, "0xFFFF"),
    ] {
        assert_eq!(kind.to_string(), text);
        assert_eq!(text.parse::<EventKind>().expect("as shown"), kind);
        let receipt = put(&mut log, &event("order:1", kind, ""));
        assert_eq!(log.reader().get(receipt.id).expect("there").kind(), kind);
    }
    assert!(EventKind::try_new(16, 0).is_err());
    assert!(EventKind::try_new(1, 0x1000).is_err());
}

/// Ids that the store makes are UUIDs of version 7 and sort by time; both ways to write one are
/// read.
pub fn b40_ids_are_uuids_of_version_7(backend: impl Backend) {
    let mut log = open(&backend);
    let ids: Vec<EventId> =
        (0..200).map(|_| put(&mut log, &event("order:1", PLACED, "")).id).collect();
    for pair in ids.windows(2) {
        assert!(pair[0] < pair[1], "the clock moves by a microsecond each time");
    }
    for id in ids {
        let text = id.to_string();
        let parts: Vec<_> = text.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert_eq!(text.as_bytes()[14], b'7', "{text}");
        assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
        let long = format!("{id:#}");
        assert_eq!(long, format!("event:{}", text.replace('-', "")));
        assert_eq!(text.parse::<EventId>().expect("as shown"), id);
        assert_eq!(long.parse::<EventId>().expect("as shown"), id);
    }
    for wrong in ["", "event:", "event:12", "not-an-id", "event:zz"] {
        assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
    }
}

/// Positions are shown, compared and forked by lane and depth.
pub fn b41_positions_compare_within_a_branch(backend: impl Backend) {
    let mut log = open(&backend);
    let on = |lane, depth, entity: &str| {
        with(event(entity, PLACED, ""), |options| {
            options.with_position(PositionHint { lane, depth })
        })
    };
    let mut position = |append| {
        let receipt = put(&mut log, &append);
        log.reader().get(receipt.id).expect("there").header.position
    };
    let first = position(on(2, 1, "order:1"));
    let second = position(on(2, 1, "order:1"));
    let other_lane = position(on(3, 1, "order:1"));
    let deeper = position(on(2, 2, "order:1"));
    let plain = position(event("order:2", PLACED, ""));
    assert!(first < second && first.is_ancestor_of(&second));
    assert!(!second.is_ancestor_of(&first) && !first.is_ancestor_of(&first));
    for stranger in [other_lane, deeper, plain] {
        assert_eq!(first.partial_cmp(&stranger), None);
        assert!(!first.is_ancestor_of(&stranger));
    }
    assert_eq!((plain.lane, plain.depth), (0, 0));
    assert_eq!(second.fork(9), PositionHint { lane: 9, depth: 2 });
    let shown = DagPosition {
        depth: 1,
        lane: 2,
        version: Version::new(3),
        sequence: Sequence::new(4),
        hlc: Hlc { wall_ms: 5, counter: 6 },
    };
    assert_eq!(shown.to_string(), "1:2:4@5.6");
    assert_eq!(second.to_string(), format!("1:2:1@{}.{}", second.hlc.wall_ms, second.hlc.counter));
}
