//! Why a gate said no.
//!
//! Owns the one value that every refusal ends in. A denial is data: it can be stored, sent and
//! shown, and it names the gate that made it. The gate set writes that name, so no gate can
//! forget it or speak for another.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

/// A gate's refusal: which gate, a stable code for programs, a message for people, and facts.
///
/// ```
/// use annals_core::Denial;
///
/// let denial = Denial::new("OVER_LIMIT", "the order is over the limit")
///     .with_context("total_cents", 12_500)
///     .with_context("limit_cents", 10_000);
///
/// assert_eq!(denial.code(), "OVER_LIMIT");
/// assert_eq!(denial.context().get("limit_cents").map(String::as_str), Some("10000"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    gate: String,
    code: Cow<'static, str>,
    message: String,
    context: BTreeMap<String, String>,
}

impl Denial {
    /// The code of a denial that stands for a gate that panicked (feature `std`).
    pub const GATE_DEFECT: &'static str = "GATE_DEFECT";

    /// A denial with a stable `code` for programs and a `message` for people.
    ///
    /// The gate's name is added by the gate set that evaluates the gate.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            gate: String::new(),
            code: code.into(),
            message: message.into(),
            context: BTreeMap::new(),
        }
    }

    /// Adds a fact that helps to understand the denial. The last value of a key wins.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers give numbers and text alike")]
    pub fn with_context(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.context.insert(key.into(), value.to_string());
        self
    }

    /// The name of the gate that denied; empty until a gate set has evaluated the gate.
    pub fn gate(&self) -> &str {
        &self.gate
    }

    /// The stable code, such as `OVER_LIMIT`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The facts that the gate gave, sorted by key.
    pub fn context(&self) -> &BTreeMap<String, String> {
        &self.context
    }

    /// Whether the gate panicked instead of deciding.
    pub fn is_defect(&self) -> bool {
        self.code == Self::GATE_DEFECT
    }

    pub(crate) fn by_gate(mut self, name: &str) -> Self {
        self.gate = name.into();
        self
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.gate.is_empty() {
            write!(f, "gate `{}`: ", self.gate)?;
        }
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl core::error::Error for Denial {}
