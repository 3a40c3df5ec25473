//! Who may ask: a page of this server, in the browser that opened the address first.
//!
//! The token stands in the fragment of the address, which no browser sends anywhere. The page
//! exchanges it, once, for the session's secret, and shows that in a header with every request:
//! not in a cookie, which other servers on this machine would see. `Host` and `Origin` are held
//! against this server's own, so that no other site's page, and none that a name was rebound for,
//! gets an answer.

use crate::failure::Failure;
use crate::inspect::api::{Answer, Refusal};
use crate::inspect::locked;
use crate::output::hex;
use std::sync::Mutex;
use subtle::ConstantTimeEq;
use tiny_http::Request;

/// See the module.
pub(super) struct Gate {
    hosts: [String; 2],
    token: String,
    session: String,
    is_used: Mutex<bool>,
}

impl Gate {
    pub(super) fn new(port: u16) -> Result<Self, Failure> {
        let hosts = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        Ok(Gate { hosts, token: secret()?, session: secret()?, is_used: Mutex::new(false) })
    }

    /// What to open.
    pub(super) fn address(&self) -> String {
        format!("http://{}/#token={}", self.hosts[0], self.token)
    }

    /// Lets in what a page of this server asks, and what a person types.
    ///
    /// # Errors
    ///
    /// A refusal of anything that another site is behind.
    pub(super) fn admit(&self, request: &Request) -> Result<(), Refusal> {
        let host = header(request, "Host").unwrap_or_default();
        if !self.hosts.iter().any(|own| own == host) {
            return Err(Refusal::new(403, format!("this server is not {host:?}")));
        }
        if let Some(origin) = header(request, "Origin") {
            // The page of the very address that is asked: not the other name of this machine.
            if origin.strip_prefix("http://") != Some(host) {
                return Err(Refusal::new(403, format!("a page of {origin:?} may not ask")));
            }
        }
        let is_api = request.url().starts_with("/api/");
        match header(request, "Sec-Fetch-Site") {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if !is_api => Ok(()),
            Some(site) => Err(Refusal::new(403, format!("a {site} page may not ask"))),
        }
    }

    /// Gives the session's secret for the token, the first time.
    ///
    /// # Errors
    ///
    /// A refusal where the token is not the one, or was used.
    pub(super) fn exchange(&self, request: &Request) -> Result<Answer, Refusal> {
        check(request, &self.token)?;
        let mut is_used = locked(&self.is_used);
        if std::mem::replace(&mut *is_used, true) {
            let reason = "this address has been opened before: end `annals inspect` and start it \
                          again for a new one";
            return Err(Refusal::new(401, reason));
        }
        Answer::json(&serde_json::json!({ "session": self.session }))
    }

    /// Lets in who has the session's secret.
    ///
    /// # Errors
    ///
    /// A refusal of anybody else.
    pub(super) fn check_session(&self, request: &Request) -> Result<(), Refusal> {
        check(request, &self.session)
    }
}

/// 256 random bits as hex.
pub(super) fn secret() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::usage(format!("the system gives no random bytes: {error}")))?;
    Ok(hex(&bytes))
}

fn check(request: &Request, secret: &str) -> Result<(), Refusal> {
    let shown = header(request, "Authorization").and_then(|text| text.strip_prefix("Bearer "));
    let shown = shown.unwrap_or_default().as_bytes();
    if bool::from(shown.ct_eq(secret.as_bytes())) {
        return Ok(());
    }
    Err(Refusal::new(401, "open the address that `annals inspect` has printed"))
}

fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    let found = request.headers().iter().find(|header| header.field.equiv(name));
    found.map(|header| header.value.as_str())
}
