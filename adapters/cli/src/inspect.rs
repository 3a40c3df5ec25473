//! `annals inspect`: a page that shows a store, served on this machine alone.
//!
//! The page and the store's numbers go to whoever has the token that is printed, over loopback,
//! and nothing can be changed. Ctrl-C ends it. [`gate`] says who may ask, [`api`] answers.

mod answers;
mod api;
mod check;
mod filter;
mod gate;
mod histogram;
mod params;
mod streams;

use crate::args::InspectArgs;
use crate::failure::{Code, Failure};
use crate::open;
use crate::output::Output;
use annals::{FsStorage, ReadOnlyLog, Reader, StoreError};
use api::{Answer, Refusal};
use check::Check;
use console::Style;
use gate::Gate;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use streams::Streams;
use tiny_http::{Header, Method, Request, Response, Server};

/// The page, built by `npm run build:inspector` in `web/`.
const PAGE: &str = include_str!("../assets/inspector.html");
/// What a pasted reducer runs in, built likewise.
const REDUCER: &str = include_str!("../assets/reducer.html");

/// What the page may do: run its own script, and ask this server.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'nonce-NONCE'; style-src 'nonce-NONCE'; \
    connect-src 'self'; frame-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";
/// What a reducer may do: compute. `sandbox` takes the origin from it too.
const REDUCER_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; \
    worker-src blob:; sandbox allow-scripts; frame-ancestors 'self'";

/// How many requests are answered at once.
const THREADS: usize = 4;
/// A look at the files reads the newest segment: the next comes after this many times as long.
const REFRESH_FACTOR: u32 = 10;

pub(crate) fn run(dir: &Path, args: &InspectArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let (server, port) = listen(args.port)?;
    let gate = Gate::new(port)?;
    out.line(format_args!("{} {}", Style::new().bold().apply_to("Open"), gate.address()))?;
    out.line("The address opens once, on this machine alone. Ctrl-C ends it.")?;
    out.flush()?;
    let nonce = gate::secret()?;
    let inspector = Inspector {
        dir: dir.to_path_buf(),
        page: PAGE.replace("__nonce__", &nonce),
        policy: PAGE_POLICY.replace("NONCE", &nonce),
        gate,
        log: Mutex::new(Fresh { log, next: Instant::now() }),
        streams: Mutex::default(),
        check: Check::default(),
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Ok(request) = server.recv() {
                    inspector.serve(request);
                }
            });
        }
    });
    Ok(Code::Done)
}

fn listen(port: u16) -> Result<(Server, u16), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let server = Server::http(address).map_err(|error| {
        Failure::usage(format!("can't listen on {address}: {error}"))
            .hint("name another --port, or none to take a free one")
    })?;
    let port = server.server_addr().to_ip().map_or(port, |address| address.port());
    Ok((server, port))
}

/// An open store, and when it is worth a look whether it has grown.
struct Fresh {
    log: ReadOnlyLog<FsStorage>,
    next: Instant,
}

/// See the module.
struct Inspector {
    dir: PathBuf,
    page: String,
    policy: String,
    gate: Gate,
    log: Mutex<Fresh>,
    streams: Mutex<Streams>,
    check: Check,
}

impl Inspector {
    fn serve(&self, request: Request) {
        let answer = self.answer(&request).unwrap_or_else(Answer::from);
        let mut response = Response::from_data(answer.body).with_status_code(answer.status);
        let policy = answer.policy.unwrap_or_else(|| "default-src 'none'; sandbox".into());
        for (name, value) in [
            ("Content-Type", answer.content_type),
            ("Content-Security-Policy", policy.as_str()),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ] {
            if let Ok(header) = Header::from_bytes(name, value) {
                response.add_header(header);
            }
        }
        // Whoever asked may have gone; nobody else cares.
        let _ = request.respond(response);
    }

    fn answer(&self, request: &Request) -> Result<Answer, Refusal> {
        self.gate.admit(request)?;
        let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
        let is_get = matches!(request.method(), Method::Get | Method::Head);
        match path {
            "/" if is_get => Ok(Answer::html(&self.page, &self.policy)),
            "/reducer" if is_get => Ok(Answer::html(REDUCER, REDUCER_POLICY)),
            "/api/session" if *request.method() == Method::Post => self.gate.exchange(request),
            _ => match path.strip_prefix("/api/") {
                Some(what) => {
                    self.gate.check_session(request)?;
                    self.api(request.method(), what, query)
                }
                None => Err(Refusal::new(404, format!("there is nothing at {path}"))),
            },
        }
    }

    /// A reader of what is in the files now, or was a moment ago.
    fn reader(&self) -> Result<Reader<FsStorage>, StoreError> {
        let mut fresh = locked(&self.log);
        let now = Instant::now();
        if now >= fresh.next {
            fresh.log.refresh()?;
            let pause = now.elapsed() * REFRESH_FACTOR;
            fresh.next = Instant::now() + pause.max(Duration::from_millis(200));
        }
        Ok(fresh.log.reader())
    }
}

/// A panic while it was held leaves nothing half-done that matters here.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
