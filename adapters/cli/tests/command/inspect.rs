//! `annals inspect` as a browser and as a stranger meet it.

use crate::runner::Bench;
use annals::{Coordinate, EventKind, Payload, PayloadFormat, Store, StoreConfig};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

const ROWS: &str = "id,place,what,at,note\n\
    order:1,shop,order.placed,2024-01-01T10:00:00Z,two Apples\n\
    order:2,shop,order.placed,2024-01-01T11:00:00Z,a pear\n\
    order:1,shop,order.paid,2024-01-02T10:00:00Z,cash\n\
    order:1,till,order.sent,2024-01-03T10:00:00Z,by bike\n";

/// The command at work, ended with the test.
struct Served {
    bench: Bench,
    child: Child,
    host: String,
    token: String,
}

/// What came back.
struct Told {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Served {
    fn start(bench: Bench) -> Self {
        let store = bench.store();
        let mut command = bench.command(&["inspect", store.to_str().unwrap()]);
        command.env_remove("ANNALS_STORE");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("Open http://").unwrap();
        let (host, token) = address.split_once("/#token=").unwrap();
        let (host, token) = (host.into(), token.into());
        Served { bench, child, host, token }
    }

    /// Sends a request with these headers beside none others.
    fn send(&self, line: &str, headers: &[(&str, &str)]) -> Told {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        write!(stream, "{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head[9..12].parse().unwrap();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = &bytes[end + 4..];
        Told { status, head, body: if is_chunked { unchunked(body) } else { body.to_vec() } }
    }

    fn authorized(&self, line: &str, secret: &str) -> Told {
        let bearer = format!("Bearer {secret}");
        self.send(line, &[("Host", &self.host), ("Authorization", &bearer)])
    }

    fn session(&self) -> String {
        let told = self.authorized("POST /api/session", &self.token);
        told.json()["session"].as_str().unwrap().into()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Told {
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    fn refused(&self, status: u16, said: &str) {
        let told: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.status, status, "{told}");
        assert!(told["error"].as_str().unwrap().contains(said), "{told}");
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if len == 0 {
            return whole;
        }
        whole.extend(&body[end + 2..end + 2 + len]);
        body = &body[end + 2 + len + 2..];
    }
}

fn column(told: &Value, name: &str) -> Vec<String> {
    let events = told["events"].as_array().unwrap();
    events.iter().map(|event| event[name].to_string().replace('"', "")).collect()
}

#[test]
fn nothing_is_told_without_the_token_and_the_token_works_once() {
    let served = Served::start(Bench::with_rows(ROWS));
    let host = ("Host", served.host.as_str());
    served.send("GET /api/stats", &[host]).refused(401, "annals inspect");
    served.authorized("GET /api/stats", "wrong").refused(401, "annals inspect");
    served.authorized("GET /api/stats", &served.token).refused(401, "annals inspect");
    served.authorized("POST /api/session", "wrong").refused(401, "annals inspect");
    let session = served.session();
    served.authorized("POST /api/session", &served.token).refused(401, "opened before");
    assert_eq!(served.authorized("GET /api/stats", &session).json()["events"], 4);
    assert_eq!((served.token.len(), session.len()), (64, 64));
    assert_ne!(served.token, session);
}

#[test]
fn other_sites_and_rebound_names_are_refused() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = format!("Bearer {}", served.session());
    let (own, port) = (served.host.as_str(), served.host.split_once(':').unwrap().1);
    let ask = |line: &str, more: &[(&str, &str)]| {
        served.send(line, &[&[("Authorization", session.as_str())], more].concat())
    };
    for line in ["GET /", "GET /api/stats"] {
        for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", "127.0.0.1:1"] {
            ask(line, &[("Host", host)]).refused(403, "this server is not");
        }
        ask(line, &[]).refused(403, "this server is not");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"] {
            ask(line, &[("Host", own), ("Origin", origin)]).refused(403, "may not ask");
        }
    }
    for site in ["cross-site", "same-site"] {
        ask("GET /api/stats", &[("Host", own), ("Sec-Fetch-Site", site)]).refused(403, "may not");
    }
    let origin = format!("http://{own}");
    let told = ask("GET /api/stats", &[("Host", own), ("Origin", &origin)]);
    assert_eq!(told.json()["entities"], 2);
    assert!(!told.head.to_ascii_lowercase().contains("access-control"), "{}", told.head);
    let localhost = format!("localhost:{port}");
    assert_eq!(ask("GET /api/stats", &[("Host", &localhost)]).json()["entities"], 2);
}

#[test]
fn answers_are_not_kept_and_the_page_may_only_run_its_own_script() {
    let served = Served::start(Bench::with_rows(ROWS));
    let host = ("Host", served.host.as_str());
    for path in ["/", "/reducer", "/api/stats", "/nothing"] {
        let head = served.send(&format!("GET {path}"), &[host]).head.to_ascii_lowercase();
        for header in [
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(head.contains(header), "{header} of {path}: {head}");
        }
    }
    let page = served.send("GET /", &[host]);
    let nonce = page.head.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let body = String::from_utf8(page.body).unwrap();
    assert!(body.contains(&format!("nonce=\"{nonce}\"")), "the page's script has the nonce");
    assert!(!body.contains("__nonce__"));
    assert!(!page.head.contains("unsafe"), "{}", page.head);
    assert!(served.send("GET /reducer", &[host]).head.contains("sandbox allow-scripts"));
    served.send("GET /etc/passwd", &[host]).refused(404, "nothing");
}

#[test]
fn pages_of_events_hold_what_the_filters_say_in_order() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    let sequences = |query: &str| column(&ask(&format!("events?{query}")), "sequence").join(" ");
    let first = ask("events?limit=3");
    assert_eq!(column(&first, "sequence"), ["0", "1", "2"]);
    assert_eq!((&first["next"], &first["isDone"]), (&2.into(), &false.into()));
    let second = ask("events?limit=3&after=2");
    assert_eq!(column(&second, "sequence"), ["3"]);
    assert_eq!(second["isDone"], true);
    for (query, expected) in [
        ("direction=backward&limit=2", "3 2"),
        ("direction=backward&after=2", "1 0"),
        ("direction=backward&after=0", ""),
        ("stream=order%3A1", "0 2 3"),
        ("entity=order", "0 1 2 3"),
        ("prefix=order:2", "1"),
        ("scope=till", "3"),
        ("kind=order.paid&kind=order.sent", "2 3"),
        ("since=2024-01-01T11:00:00Z&until=2024-01-02", "1 2"),
        ("first=1&last=2", "1 2"),
        ("first=1&after=2", "3"),
        ("text=APPLE", "0"),
        ("text=nothing", ""),
    ] {
        assert_eq!(sequences(query), expected, "{query}");
    }
    let row = &first["events"][0];
    assert_eq!((&row["type"], &row["version"]), (&"order.placed".into(), &0.into()));
    assert_eq!(row["preview"], r#"{"note":"two Apples"}"#);
    assert_eq!(row["timestampUs"], 1_704_103_200_000_000_i64);
    assert!(row["payloadText"].is_null());
    assert_eq!(ask("events?payload=1")["events"][2]["payloadText"], r#"{"note":"cash"}"#);
}

#[test]
fn an_event_comes_with_its_bytes_and_its_chain() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    let event = ask("event?sequence=3");
    let id = event["id"].as_str().unwrap();
    let known = &served.bench.events(&[])[3];
    assert_eq!((&event["id"], &event["hash"]), (&known["id"], &known["event_hash"]));
    assert_eq!(event["payloadText"], r#"{"note":"by bike"}"#);
    let record = &event["record"];
    let file = std::fs::read(served.bench.store().join(record["file"].as_str().unwrap())).unwrap();
    let from = usize::try_from(record["offset"].as_u64().unwrap()).unwrap();
    let len = usize::try_from(record["bytes"].as_u64().unwrap()).unwrap();
    let hex: String = file[from..from + len].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(record["hex"], hex);
    assert!(file[from..from + len].ends_with(br#"{"note":"by bike"}"#));
    let chain = ask(&format!("chain?id={id}"));
    assert_eq!(
        (column(&chain, "version").join(" ").as_str(), &chain["end"]),
        ("2 1 0", &"genesis".into())
    );
    assert_eq!(chain["events"][0]["previousHash"], chain["events"][1]["hash"]);
    assert_eq!(ask(&format!("chain?id={id}&limit=2"))["end"], "limit");
    let payload = served.authorized(&format!("GET /api/payload?id={id}"), &session);
    assert_eq!(payload.body, br#"{"note":"by bike"}"#);
    let graph = ask(&format!("graph?id={id}"));
    assert_eq!((column(&graph, "sequence"), &graph["isCut"]), (vec!["3".into()], &false.into()));
}

#[test]
fn streams_rates_and_segments_are_counted() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    let entities = |query: &str| {
        let told = ask(query);
        let streams = told["streams"].as_array().unwrap().clone();
        streams
            .iter()
            .map(|stream| format!("{}={}", stream["entity"], stream["events"]))
            .collect::<String>()
    };
    assert_eq!(entities("streams"), "\"order:1\"=3\"order:2\"=1");
    assert_eq!(entities("streams?order=name&offset=1"), "\"order:2\"=1");
    assert_eq!(entities("streams?text=2&order=events"), "\"order:2\"=1");
    let told = ask("rates?parts=4");
    let rates = &told["rates"];
    assert_eq!(rates["counts"], serde_json::json!([2, 1, 1]));
    assert_eq!(rates["stepUs"], 86_400_000_000_i64);
    assert_eq!(rates["firstUs"], 1_704_103_200_000_000_i64);
    assert_eq!((&told["isDone"], &told["next"]), (&true.into(), &3.into()));
    assert_eq!(ask("rates?after=1")["rates"]["counts"].as_array().unwrap().len(), 145);
    assert!(ask("rates?scope=nowhere")["rates"].is_null());
    let stats = ask("stats");
    assert_eq!(stats["segments"][0]["events"], 4);
    assert_eq!(stats["kinds"].as_array().unwrap().len(), 3);
    // What is appended while it runs is seen, after a moment.
    served
        .bench
        .import_csv("id,place,what,at\norder:3,shop,order.placed,2024-02-01T00:00:00Z\n", &[])
        .done();
    while ask("stats")["events"] != 5 {
        std::thread::yield_now();
    }
    assert_eq!(entities("streams?limit=1"), "\"order:3\"=1");
}

#[test]
fn a_verification_runs_beside_and_gives_its_verdict() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    let idle = served.authorized("GET /api/verify", &session).json();
    assert_eq!((&idle["isRunning"], idle.get("isWhole")), (&false.into(), None));
    served.authorized("POST /api/verify?do=start", &session).json();
    let done = loop {
        let state = served.authorized("GET /api/verify", &session).json();
        if state["isRunning"] == false {
            break state;
        }
        std::thread::yield_now();
    };
    assert_eq!((&done["isWhole"], &done["report"]["events"]), (&true.into(), &4.into()));
    assert_eq!(done["bytesDone"], done["bytes"]);
}

#[test]
fn wrong_input_is_told_what_is_wrong_with_it() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    for (query, said) in [
        ("events?entiy=order", "there is no parameter \"entiy\""),
        ("events?limit=0", "from 1 to 1000"),
        ("events?limit=many", "limit=many"),
        ("events?after=-1", "after=-1"),
        ("events?direction=up", "one of forward, backward"),
        ("events?kind=order.lost", "no kind is named"),
        ("events?since=yesterday", "since=yesterday"),
        ("events?correlation=5", "correlation=5"),
        ("events?entity=a&stream=b", "give one of"),
        ("events?scope=a&scope=b", "scope is given twice"),
        ("event", "give id or sequence"),
        ("event?id=5", "id=5"),
        ("chain", "give id"),
        ("rates?parts=100000", "from 1 to 2000"),
        ("streams?order=worst", "one of newest, events, name"),
        ("stats?x=1", "there is no parameter"),
    ] {
        served.authorized(&format!("GET /api/{query}"), &session).refused(400, said);
    }
    let unknown = "event?id=00000000-0000-7000-8000-000000000000";
    served.authorized(&format!("GET /api/{unknown}"), &session).refused(404, "");
    served.authorized("GET /api/event?sequence=99", &session).refused(404, "99");
    served.authorized("GET /api/nothing", &session).refused(404, "nothing");
    served.authorized("DELETE /api/events", &session).refused(405, "only looks");
    served.authorized("POST /api/events", &session).refused(405, "only looks");
}

#[test]
fn streams_forget_events_that_retention_has_dropped() {
    let served = Served::start(Bench::with_rows(ROWS));
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    assert_eq!(ask("streams")["total"], 2);
    served.bench.run(&["compact", "--drop", "--entity", "order:2", "--yes"]).done();
    while ask("streams")["total"] != 1 {
        std::thread::yield_now();
    }
}

#[test]
fn a_chain_of_many_events_comes_whole_and_in_order() {
    let rows = (0..50).map(|at| format!("order:1,shop,order.moved,2024-01-01T10:00:{at:02}Z\n"));
    let rows: String = std::iter::once("id,place,what,at\n".into()).chain(rows).collect();
    let served = Served::start(Bench::with_rows(&rows));
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    let id = ask("event?sequence=49")["id"].as_str().unwrap().to_owned();
    for (limit, end) in [(100, "genesis"), (50, "genesis"), (40, "limit"), (16, "limit")] {
        let told = ask(&format!("chain?id={id}&limit={limit}"));
        let expected: Vec<String> = (0..50).rev().take(limit).map(|at| at.to_string()).collect();
        assert_eq!((column(&told, "version"), &told["end"]), (expected, &end.into()), "{limit}");
    }
}

#[test]
fn what_says_that_it_is_json_and_is_not_keeps_nobody_from_reading() {
    let bench = Bench::new();
    let store = Store::open(StoreConfig::new(bench.store())).unwrap();
    let at = Coordinate::new("order:1", "shop").unwrap();
    for bytes in [&b"{\"good\":1}"[..], b"{bad", b"\xFF\xFE"] {
        let payload = Payload::from_parts(PayloadFormat::Json, 1, bytes.to_vec());
        store.append(&at, EventKind::new(1, 1), payload).unwrap();
    }
    store.append(&at, EventKind::new(1, 1), Payload::raw([1, 2])).unwrap();
    store.close().unwrap();
    let served = Served::start(bench);
    let session = served.session();
    let ask = |query: &str| served.authorized(&format!("GET /api/{query}"), &session).json();
    let told = ask("events?payload=1");
    assert_eq!(column(&told, "payloadText"), ["{\\good\\:1}", "{bad", "null", "null"]);
    assert_eq!(column(&told, "payloadHex"), ["null", "null", "fffe", "0102"]);
    assert_eq!(ask("event?sequence=1")["payloadStartHex"], "7b626164");
    assert!(ask("event?sequence=1")["payloadText"].is_null());
}

#[test]
fn path_and_option_name_one_store() {
    let bench = Bench::with_rows(ROWS);
    bench.run(&["inspect", "nowhere", "--store", "elsewhere"]).failed(2, &["two stores are named"]);
    bench.run(&["inspect", "--store", "nowhere"]).failed(2, &["there is no directory nowhere"]);
}

#[test]
fn a_store_that_is_not_there_is_said_before_anything_is_served() {
    let bench = Bench::new();
    bench.run(&["inspect", "nowhere"]).failed(2, &["there is no directory nowhere"]);
}
