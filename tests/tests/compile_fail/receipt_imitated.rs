//! Nothing but a receipt counts as admitted.

use annals_core::{Admitted, Append, Issuer};

struct Mine(Issuer);

impl Admitted for Mine {
    type Payload = &'static str;

    fn issuer(&self) -> &Issuer {
        &self.0
    }

    fn into_append<E>(
        self,
        make: impl FnOnce(&'static str) -> Result<Append, E>,
    ) -> Result<Append, E> {
        make("let me in")
    }

    fn into_payload(self) -> &'static str {
        "let me in"
    }
}

fn main() {}
