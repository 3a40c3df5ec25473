//! The word on who let an event in: the gates that it passed, or the reason they were bypassed.
//!
//! An admission is stored with its event. Only the policy layer makes one, and only it puts one on
//! an append, so that an application can read admissions but not claim them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use super::limits::{GATE_NAME_LEN_MAX, GATE_NAMES_MAX, LimitError, REASON_LEN_MAX};

/// Who let an event in: the gates by their names, or a bypass with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Admission(Grounds);

/// The order of the variants and their fields is that of the stored bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
enum Grounds {
    Gates(Vec<String>),
    Bypass { reason: String, justification: String },
}

impl Admission {
    /// Let in by all of these gates, in their order.
    pub(crate) const fn by_gates(names: Vec<String>) -> Self {
        Self(Grounds::Gates(names))
    }

    /// Let in past the gates.
    pub(crate) const fn by_bypass(reason: String, justification: String) -> Self {
        Self(Grounds::Bypass { reason, justification })
    }

    /// The names of the gates that let the event in, if gates did.
    #[must_use]
    pub fn gates(&self) -> Option<&[String]> {
        match &self.0 {
            Grounds::Gates(names) => Some(names),
            Grounds::Bypass { .. } => None,
        }
    }

    /// The reason and the justification, if the gates were bypassed.
    #[must_use]
    pub fn bypass(&self) -> Option<(&str, &str)> {
        match &self.0 {
            Grounds::Gates(_) => None,
            Grounds::Bypass { reason, justification } => Some((reason, justification)),
        }
    }

    /// More bytes than its encoding takes up.
    pub(crate) fn encoded_len_max(&self) -> usize {
        // A length before each text takes three bytes at most, within the limits.
        match &self.0 {
            Grounds::Gates(names) => 8 + names.iter().map(|name| name.len() + 3).sum::<usize>(),
            Grounds::Bypass { reason, justification } => 8 + reason.len() + justification.len(),
        }
    }

    /// Checks the number and the sizes of its texts.
    pub(crate) fn check_limits(&self) -> Result<(), LimitError> {
        match &self.0 {
            Grounds::Gates(names) => {
                LimitError::check("gate names", GATE_NAMES_MAX, names.len())?;
                names.iter().try_for_each(|name| check_gate_name(name))
            }
            Grounds::Bypass { reason, justification } => {
                LimitError::check("bypass reason bytes", REASON_LEN_MAX, reason.len())?;
                let len = justification.len();
                LimitError::check("bypass justification bytes", REASON_LEN_MAX, len)
            }
        }
    }
}

/// Checks that a gate's name has 1 to 256 bytes.
pub(crate) fn check_gate_name(name: &str) -> Result<(), LimitError> {
    if name.is_empty() {
        return Err(LimitError::new("gate name bytes (at least 1)", GATE_NAME_LEN_MAX, 0));
    }
    LimitError::check("gate name bytes", GATE_NAME_LEN_MAX, name.len())
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Grounds::Gates(names) => {
                f.write_str("admitted by ")?;
                for (at, name) in names.iter().enumerate() {
                    write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
                }
                if names.is_empty() { f.write_str("no gate") } else { Ok(()) }
            }
            Grounds::Bypass { reason, justification } => {
                write!(f, "bypassed the gates: {reason} ({justification})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::*;

    #[test]
    fn an_admission_tells_its_gates_or_its_bypass() {
        let gates = Admission::by_gates(vec!["limits".into(), "owner".into()]);
        assert_eq!(gates.to_string(), "admitted by limits, owner");
        assert_eq!(gates.gates().unwrap(), ["limits", "owner"]);
        assert_eq!(gates.bypass(), None);
        assert_eq!(serde_json::to_string(&gates).unwrap(), r#"{"gates":["limits","owner"]}"#);
        let bypass = Admission::by_bypass("outage".into(), "ticket 7".into());
        assert_eq!(bypass.to_string(), "bypassed the gates: outage (ticket 7)");
        assert_eq!(bypass.bypass(), Some(("outage", "ticket 7")));
        assert_eq!(bypass.gates(), None);
        assert_eq!(Admission::by_gates(vec![]).to_string(), "admitted by no gate");
    }

    #[test]
    fn each_limit_of_an_admission_holds_at_its_border() {
        let gates = |count, len| Admission::by_gates(vec!["g".repeat(len); count]).check_limits();
        assert!(gates(64, 256).is_ok());
        assert_eq!(gates(65, 1).unwrap_err().limit, "gate names");
        assert_eq!(gates(1, 257).unwrap_err().actual, 257);
        assert_eq!(gates(1, 0).unwrap_err().actual, 0);
        let bypass = |reason, justification| {
            Admission::by_bypass("r".repeat(reason), "j".repeat(justification)).check_limits()
        };
        assert!(bypass(4096, 4096).is_ok());
        assert_eq!(bypass(4097, 0).unwrap_err().limit, "bypass reason bytes");
        assert_eq!(bypass(0, 4097).unwrap_err().limit, "bypass justification bytes");
    }
}
