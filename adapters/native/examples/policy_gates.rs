//! Refunds that must pass gates before they may be written, and the log that says who let each in.
//!
//! ```text
//! cargo run --release --example policy_gates
//! ```
//!
//! It prints:
//!
//! ```text
//! The gates, in the order in which they are asked:
//!   positive: a refund returns something
//!   not-more-than-paid: nobody gets back more than was paid
//!   clerk-limit: clerks refund up to 50.00
//!
//! 20.00 of 80.00, by a clerk: written as version 0
//! 70.00 of 80.00, by a clerk: denied by clerk-limit (OVER_LIMIT, cents = 7000, cents_max = 5000)
//! 90.00 of 80.00, by a clerk: denied by not-more-than-paid (OVER_PAID, cents = 9000, paid_cents = 8000)
//!   all that speaks against the last one: not-more-than-paid, clerk-limit
//!
//! A receipt of a pipeline without gates: refused (the receipt was issued by another pipeline: it passed [], required is ["positive", "not-more-than-paid", "clerk-limit"])
//! 70.00 past the gates: written as version 1
//!
//! What an auditor reads in the log afterwards:
//!   version 0: 20.00, admitted by positive, not-more-than-paid, clerk-limit
//!   version 1: 70.00, bypassed the gates: goodwill (call of 3 May, agreed with Ada)
//! ```

use annals::{
    BypassReason, Coordinate, Denial, EventKind, EventPayload, Gate, GateSet, Pipeline,
    PolicyError, Proposal, Store, StoreConfig, gate_fn,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Refunded {
    cents: u64,
}

impl EventPayload for Refunded {
    const KIND: EventKind = EventKind::new(1, 7);
    const NAME: Option<&'static str> = Some("order.refunded");
}

/// What the gates judge on. They see it, they never write.
struct Request {
    cents: u64,
    paid_cents: u64,
    by_clerk: bool,
}

/// The reasons that this program accepts for going past the gates.
const GOODWILL: BypassReason = BypassReason::new("goodwill", "to keep a customer");

/// A gate may be a type of its own, for instance to hold a setting.
struct ClerkLimit {
    cents_max: u64,
}

impl Gate<Request> for ClerkLimit {
    fn name(&self) -> &str {
        "clerk-limit"
    }

    fn description(&self) -> &str {
        "clerks refund up to 50.00"
    }

    fn evaluate(&self, request: &Request) -> Result<(), Denial> {
        if !request.by_clerk || request.cents <= self.cents_max {
            return Ok(());
        }
        Err(Denial::new("OVER_LIMIT", "the refund is over the clerk's limit")
            .with_context("cents", request.cents)
            .with_context("cents_max", self.cents_max))
    }
}

fn pipeline() -> Pipeline<Request> {
    let positive = gate_fn("positive", |request: &Request| match request.cents {
        0 => Err(Denial::new("NOTHING", "there is nothing to refund")),
        _ => Ok(()),
    })
    .described("a refund returns something");
    let not_more_than_paid = gate_fn("not-more-than-paid", |request: &Request| {
        if request.cents <= request.paid_cents {
            return Ok(());
        }
        Err(Denial::new("OVER_PAID", "more than was paid")
            .with_context("cents", request.cents)
            .with_context("paid_cents", request.paid_cents))
    })
    .described("nobody gets back more than was paid");
    let gates = GateSet::new().with(positive).with(not_more_than_paid);
    Pipeline::new(gates.with(ClerkLimit { cents_max: 5_000 }))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(StoreConfig::new(dir.path()))?;
    let order = Coordinate::new("order:5", "shop")?;

    let refunds = pipeline();
    println!("The gates, in the order in which they are asked:");
    for (name, description) in refunds.gates().descriptions() {
        println!("  {name}: {description}");
    }
    println!();

    // The code that writes refunds gets this view and not the store: it takes the receipts of
    // this one pipeline and nothing else.
    let guarded = store.guarded_by(&refunds);
    for cents in [2_000, 7_000, 9_000] {
        let request = Request { cents, paid_cents: 8_000, by_clerk: true };
        print!("{} of {}, by a clerk: ", euros(cents), euros(request.paid_cents));
        // A receipt can't be made in any other way, and it is spent by committing it.
        match refunds.evaluate(&request, Proposal::new(Refunded { cents })) {
            Ok(receipt) => {
                let written = guarded.commit_typed_receipt(&order, receipt)?;
                println!("written as version {}", written.version);
            }
            Err(denial) => println!("denied by {}", explained(&denial)),
        }
    }
    let request = Request { cents: 9_000, paid_cents: 8_000, by_clerk: true };
    let denials = refunds.gates().evaluate_all(&request);
    let names: Vec<&str> = denials.iter().map(Denial::gate).collect();
    println!("  all that speaks against the last one: {}", names.join(", "));
    println!();

    // A receipt says which pipeline issued it, so a laxer one is of no use.
    let lax = Pipeline::new(GateSet::<Request>::new());
    let receipt = lax.evaluate(&request, Proposal::new(Refunded { cents: 9_000 }))?;
    match guarded.commit_typed_receipt(&order, receipt) {
        Err(error @ PolicyError::WrongPipeline(_)) => {
            println!("A receipt of a pipeline without gates: refused ({error})");
        }
        other => return Err(format!("a foreign receipt must be refused, not {other:?}").into()),
    }

    // There is a way past the gates, and it leaves a trace.
    let proposal = Proposal::new(Refunded { cents: 7_000 });
    let bypass = refunds.bypass(proposal, GOODWILL, "call of 3 May, agreed with Ada")?;
    let written = guarded.commit_typed_receipt(&order, bypass)?;
    println!("70.00 past the gates: written as version {}", written.version);
    println!();

    println!("What an auditor reads in the log afterwards:");
    for event in store.stream("order:5") {
        let event = event?;
        let refunded: Refunded = event.decode()?;
        let admission = event.header.admission.as_ref().ok_or("an event that nobody let in")?;
        println!("  version {}: {}, {admission}", event.version(), euros(refunded.cents));
    }
    Ok(())
}

fn euros(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// The gate, the code for programs, and the numbers that decided.
fn explained(denial: &Denial) -> String {
    let context = denial.context().iter().map(|(name, value)| format!(", {name} = {value}"));
    format!("{} ({}{})", denial.gate(), denial.code(), context.collect::<String>())
}
