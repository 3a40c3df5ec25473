//! A web service that keeps what happens in Annals.
//!
//! ```text
//! cargo run --release --manifest-path examples/axum/Cargo.toml
//!
//! $ curl -s localhost:3000/orders/5/items -H 'content-type: application/json' -d '{"item":"tea","cents":450}'
//! {"sequence":0,"version":0}
//! $ curl -s localhost:3000/orders/5/items -H 'content-type: application/json' -d '{"item":"jam","cents":290,"expected":7}'
//! {"error":"order:5 is at version 0, but version 7 was expected"}
//! $ curl -s localhost:3000/orders/5
//! {"items":["tea"],"cents":450,"version":0}
//! ```
//!
//! A store waits for the disk, so a handler calls it in `spawn_blocking`; concurrent requests share
//! one write and one sync all the same. What only waits for events needs no thread: `recv_async`.

use annals::{
    AppendOptions, CodecError, Coordinate, EventKind, EventPayload, EventSourced, ExpectedVersion,
    Freshness, PayloadFormat, SourceEvent, Store, StoreConfig, StoreError, Version,
};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::error::Error;
use std::sync::Arc;

#[derive(Serialize, Deserialize)]
struct ItemAdded {
    item: String,
    cents: u64,
}

impl EventPayload for ItemAdded {
    const KIND: EventKind = EventKind::new(1, 2);
    const NAME: Option<&'static str> = Some("order.item-added");
    const FORMAT: PayloadFormat = PayloadFormat::Json;
}

#[derive(Default, Serialize, Deserialize)]
struct Order {
    items: Vec<String>,
    cents: u64,
    version: u64,
}

impl EventSourced for Order {
    const NAME: &'static str = "order";
    const KINDS: Option<&'static [EventKind]> = Some(&[ItemAdded::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let ItemAdded { item, cents } = event.decode()?;
        self.items.push(item);
        self.cents += cents;
        self.version = event.header().version().get();
        Ok(())
    }
}

/// What the client posts; `expected` is the version that it decided on.
#[derive(Deserialize)]
struct NewItem {
    item: String,
    cents: u64,
    expected: Option<u64>,
}

/// An answer that is an error: what the client may do decides the status.
struct Refused(StatusCode, String);

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::VersionConflict { .. } | StoreError::ConditionFailed { .. } => {
                StatusCode::CONFLICT
            }
            StoreError::Limit(_) | StoreError::InvalidInput(_) => StatusCode::BAD_REQUEST,
            StoreError::NotFound(_) => StatusCode::NOT_FOUND,
            StoreError::QueueFull { .. } | StoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(status, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Calls the store where waiting holds up nobody.
async fn blocking<T: Send + 'static>(
    store: Arc<Store>,
    act: impl FnOnce(&Store) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let done = tokio::task::spawn_blocking(move || act(&store)).await;
    done.unwrap_or_else(|error| Err(Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())))
}

async fn add_item(
    State(store): State<Arc<Store>>,
    Path(number): Path<u64>,
    Json(new): Json<NewItem>,
) -> Result<Json<Value>, Refused> {
    let receipt = blocking(store, move |store| {
        let order = Coordinate::new(format!("order:{number}"), "shop")
            .map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string()))?;
        let expected = new
            .expected
            .map_or(ExpectedVersion::Any, |version| ExpectedVersion::Exact(Version::new(version)));
        let options = AppendOptions::default().with_expected_version(expected);
        let added = ItemAdded { item: new.item, cents: new.cents };
        Ok(store.append_typed_with_options(&order, &added, options)?)
    })
    .await?;
    let (sequence, version) = (receipt.sequence.get(), receipt.version.get());
    Ok(Json(json!({ "sequence": sequence, "version": version })))
}

async fn order(
    State(store): State<Arc<Store>>,
    Path(number): Path<u64>,
) -> Result<Json<Order>, Refused> {
    let found = blocking(store, move |store| {
        Ok(store.project::<Order>(&format!("order:{number}"), Freshness::Consistent)?)
    })
    .await?;
    let unknown = || Refused(StatusCode::NOT_FOUND, format!("there is no order {number}"));
    found.map(|found| Json(found.state)).ok_or_else(unknown)
}

fn service(store: Arc<Store>) -> Router {
    Router::new()
        .route("/orders/{number}", get(order))
        .route("/orders/{number}/items", post(add_item))
        .with_state(store)
}

fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(Store::open(StoreConfig::new("annals-data"))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let stop = async { drop(tokio::signal::ctrl_c().await) };
        axum::serve(listener, service(Arc::clone(&store))).with_graceful_shutdown(stop).await
    })?;
    // All handlers have answered. Dropping it would do too: closing says what went wrong.
    drop(runtime);
    if let Some(store) = Arc::into_inner(store) {
        store.close()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    fn answer(store: &Arc<Store>, path: &str, body: Option<Value>) -> (StatusCode, String) {
        let request = Request::builder().uri(path).header("content-type", "application/json");
        let request = match body {
            Some(body) => request.method("POST").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let service = service(Arc::clone(store));
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        runtime.block_on(async {
            let response = service.oneshot(request.unwrap()).await.unwrap();
            let status = response.status();
            let body = to_bytes(response.into_body(), 65_536).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        })
    }

    #[test]
    fn the_service_answers_as_its_first_comment_says() {
        let dir = std::env::temp_dir().join(format!("annals-axum-{}", std::process::id()));
        let store = Arc::new(Store::open(StoreConfig::new(&dir)).unwrap());
        let promised = include_str!("main.rs");
        for (status, path, body) in [
            (200, "/orders/5/items", Some(json!({ "item": "tea", "cents": 450 }))),
            (409, "/orders/5/items", Some(json!({ "item": "jam", "cents": 290, "expected": 7 }))),
            (200, "/orders/5", None),
        ] {
            let (answered, text) = answer(&store, path, body);
            assert_eq!(answered.as_u16(), status, "{text}");
            assert!(promised.contains(&format!("//! {text}\n")), "{text}");
        }
        assert_eq!(answer(&store, "/orders/6", None).0, StatusCode::NOT_FOUND);
        drop(store);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
