//! Vest: JSON depth over a WebSocket, orders signed with k256 and posted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use k256::ecdsa::SigningKey;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async_tls_with_config;
use tokio_tungstenite::tungstenite::Message;

use crate::{Run, SIZE, Top, Wish, now_ms};

const SYMBOL: &str = "BTC-PERP";

pub async fn feed(run: Arc<Run>, tops: mpsc::Sender<Top>) {
    let url = format!(
        "{}?version=1.0&xwebsocketserver=restserver{}",
        run.text("/vest/ws_url"),
        run.text("/keys/VEST_ACCOUNT_GROUP")
    );
    let socket = connect_async_tls_with_config(url, None, true, Some(run.tls.clone())).await;
    let (mut socket, _) = socket.expect("Vest's socket");
    let ask = json!({"method": "SUBSCRIBE", "params": [format!("{SYMBOL}@depth")], "id": 1});
    socket.send(Message::text(ask.to_string())).await.expect("the socket takes it");
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Message::Text(text) = message else { continue };
        let Some(top) = top(&text, at) else { continue };
        let _the_strategy_has_ended = tops.send(top).await;
    }
}

/// The touch of a depth message.
pub fn top(text: &str, at: Instant) -> Option<Top> {
    let value: Value = serde_json::from_str(text).ok()?;
    let best = |side: &str| value.pointer(&format!("/data/{side}/0/0"))?.as_str()?.parse().ok();
    Some(Top { venue: 0, bid: best("bids")?, ask: best("asks")?, at })
}

pub struct Orders {
    run: Arc<Run>,
    key: SigningKey,
    nonce: AtomicU64,
}

impl Orders {
    pub fn new(run: &Arc<Run>) -> Self {
        let bytes = hex::decode(run.text("/keys/VEST_SIGNING_KEY").trim_start_matches("0x")).expect("hex");
        let key = SigningKey::from_slice(&bytes).expect("a key");
        Self { run: Arc::clone(run), key, nonce: AtomicU64::new(now_ms()) }
    }

    /// Signs, posts, waits for the answer; returns when the order was handed to the HTTP client.
    pub async fn send(&self, wish: &Wish) -> Instant {
        let request = self.request(wish);
        let sent = Instant::now();
        let reply = request.send().await.expect("Vest answers");
        assert!(reply.status().is_success(), "{}", reply.text().await.unwrap_or_default());
        sent
    }

    pub fn request(&self, wish: &Wish) -> RequestBuilder {
        let (time, nonce) = (now_ms(), self.nonce.fetch_add(1, Ordering::Relaxed));
        let (size, limit) =
            (format!("{:.4}", SIZE.parse::<f64>().expect("a number")), format!("{:.2}", wish.limit));
        let order = json!({
            "time": time, "nonce": nonce, "orderType": "MARKET", "symbol": SYMBOL, "isBuy": wish.buy,
            "size": size, "limitPrice": limit, "reduceOnly": wish.reduce_only,
        });
        let signature = self.sign(&[
            Field::Number(time),
            Field::Number(nonce),
            Field::Text("MARKET"),
            Field::Text(SYMBOL),
            Field::Number(wish.buy.into()),
            Field::Text(&size),
            Field::Text(&limit),
            Field::Number(wish.reduce_only.into()),
        ]);
        let body = json!({"order": order, "recvWindow": 2000, "signature": signature});
        let run = &self.run;
        let request = run.http.post(format!("{}/orders", run.text("/vest/rest_url")));
        let request = request.header("X-API-KEY", run.text("/keys/VEST_API_KEY"));
        let group = format!("restserver{}", run.text("/keys/VEST_ACCOUNT_GROUP"));
        request.header("xrestservermm", group).json(&body)
    }

    /// EIP-191 over the hash of the ABI encoding.
    fn sign(&self, fields: &[Field<'_>]) -> String {
        let inner = Keccak256::digest(encode(fields));
        let digest = Keccak256::digest([b"\x19Ethereum Signed Message:\n32".as_slice(), &inner].concat());
        let (signature, recovery) = self.key.sign_prehash_recoverable(&digest);
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + u8::from(recovery.is_y_odd()))
    }
}

enum Field<'a> {
    Number(u64),
    Text(&'a str),
}

fn encode(fields: &[Field<'_>]) -> Vec<u8> {
    let word = |number: u64| [vec![0; 24], number.to_be_bytes().to_vec()].concat();
    let (mut heads, mut tails) = (Vec::new(), Vec::new());
    for field in fields {
        match field {
            Field::Number(number) => heads.extend(word(*number)),
            Field::Text(text) => {
                heads.extend(word((32 * fields.len() + tails.len()) as u64));
                tails.extend(word(text.len() as u64));
                tails.extend(text.as_bytes());
                tails.resize(tails.len().next_multiple_of(32), 0);
            }
        }
    }
    heads.extend(tails);
    heads
}
