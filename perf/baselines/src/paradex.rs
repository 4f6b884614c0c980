//! Paradex: the binary book into two trees, orders hashed and signed with starknet-crypto and posted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha3::{Digest, Keccak256};
use starknet_crypto::{Felt, get_public_key, pedersen_hash, rfc6979_generate_k, sign};
use tokio::sync::mpsc;
use tokio_tungstenite::connect_async_tls_with_config;
use tokio_tungstenite::tungstenite::Message;

use crate::{Run, SIZE, Top, Wish, now_ms};

const MARKET: &str = "BTC-USD-PERP";
const DOMAIN: &str = "StarkNetDomain(name:felt,chainId:felt,version:felt)";
const REQUEST: &str = "Request(method:felt,path:felt,body:felt,timestamp:felt,expiration:felt)";
const ORDER: &str = "Order(timestamp:felt,market:felt,side:felt,orderType:felt,size:felt,price:felt)";

/// Both sides by price at 1e-8.
#[derive(Default)]
struct Book {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Book {
    /// A book message (template 3): header, block, bids, asks. `None` for any other.
    fn apply(&mut self, bytes: &[u8]) -> Option<()> {
        let word =
            |at: usize| bytes.get(at..at + 2).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        let (block, template) = (word(0)?, word(2)?);
        if template != 3 {
            return None;
        }
        if bytes[8 + 16] == 0 {
            *self = Self::default();
        }
        let mut at = 8 + block;
        for side in [&mut self.bids, &mut self.asks] {
            let (length, count) = (word(at)?, word(at + 2)?);
            at += 4;
            for level in bytes.get(at..at + length * count)?.chunks_exact(length) {
                let number =
                    |from: usize| i64::from_le_bytes(level[from..from + 8].try_into().expect("eight"));
                match number(8) {
                    0 => drop(side.remove(&number(0))),
                    size => drop(side.insert(number(0), size)),
                }
            }
            at += length * count;
        }
        Some(())
    }

    fn top(&self, at: Instant) -> Option<Top> {
        let (bid, ask) = (self.bids.last_key_value()?.0, self.asks.first_key_value()?.0);
        Some(Top { venue: 1, bid: *bid as f64 / 1e8, ask: *ask as f64 / 1e8, at })
    }
}

pub async fn feed(run: Arc<Run>, tops: mpsc::Sender<Top>) {
    let url = format!("{}?sbeSchemaId=1&sbeSchemaVersion=2", run.text("/paradex/ws_url"));
    let socket = connect_async_tls_with_config(url, None, true, Some(run.tls.clone())).await;
    let (mut socket, _) = socket.expect("Paradex' socket");
    let params = json!({"channel": format!("order_book.{MARKET}.deltas")});
    let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": params});
    socket.send(Message::text(ask.to_string())).await.expect("the socket takes it");
    let mut book = Book::default();
    while let Some(Ok(message)) = socket.next().await {
        let at = Instant::now();
        let Message::Binary(bytes) = message else { continue };
        let Some(top) = book.apply(&bytes).and_then(|()| book.top(at)) else { continue };
        let _the_strategy_has_ended = tops.send(top).await;
    }
}

pub struct Orders {
    run: Arc<Run>,
    key: Felt,
    account: Felt,
    domain: Felt,
    token: String,
}

impl Orders {
    /// Not logged in.
    pub fn new(run: &Arc<Run>, chain: &str) -> Self {
        let felt = |pointer| Felt::from_hex(run.text(pointer)).expect("a number");
        let (key, account) = (felt("/keys/PARADEX_SUBKEY"), felt("/keys/PARADEX_ACCOUNT_ADDRESS"));
        let domain = structure(DOMAIN, &[text("Paradex"), text(chain), Felt::ONE]);
        Self { run: Arc::clone(run), key, account, domain, token: String::new() }
    }

    /// Asks for the chain id and a token.
    pub async fn log_in(run: &Arc<Run>) -> Self {
        let base = run.text("/paradex/rest_url");
        let config = run.http.get(format!("{base}/system/config")).send().await.expect("Paradex answers");
        let config: Value = config.json().await.expect("JSON");
        let chain = config["starknet_chain_id"].as_str().expect("a chain id");
        let mut orders = Self::new(run, chain);
        let (from, to) = (now_ms() / 1000, now_ms() / 1000 + 600);
        let fields = [text("POST"), text("/v1/auth"), Felt::ZERO, from.into(), to.into()];
        let public = get_public_key(&orders.key).to_hex_string();
        let reply = run.http.post(format!("{base}/auth/{public}"));
        let reply = reply.header("PARADEX-STARKNET-ACCOUNT", orders.account.to_hex_string());
        let reply = reply.header("PARADEX-STARKNET-SIGNATURE", orders.sign(REQUEST, &fields));
        let reply = reply.header("PARADEX-TIMESTAMP", from).header("PARADEX-SIGNATURE-EXPIRATION", to);
        let reply: Value = reply.send().await.expect("Paradex answers").json().await.expect("JSON");
        orders.token = reply["jwt_token"].as_str().unwrap_or_else(|| panic!("no token: {reply}")).to_owned();
        orders
    }

    /// Hashes, signs, posts, waits for the answer; returns when the order was handed to the HTTP client.
    pub async fn send(&self, wish: &Wish) -> Instant {
        let request = self.request(wish);
        let sent = Instant::now();
        let reply = request.send().await.expect("Paradex answers");
        assert!(reply.status().is_success(), "{}", reply.text().await.unwrap_or_default());
        sent
    }

    pub fn request(&self, wish: &Wish) -> RequestBuilder {
        let (time, price) = (now_ms(), format!("{:.1}", wish.limit));
        let fields = [
            time.into(),
            text(MARKET),
            if wish.buy { Felt::ONE } else { Felt::TWO },
            text("LIMIT"),
            scaled(SIZE),
            scaled(&price),
        ];
        let flags: &[&str] = if wish.reduce_only { &["REDUCE_ONLY"] } else { &[] };
        let body = json!({
            "market": MARKET, "side": if wish.buy { "BUY" } else { "SELL" }, "type": "LIMIT", "size": SIZE,
            "price": price, "instruction": "IOC", "flags": flags, "client_id": format!("baseline-{time}"),
            "signature": self.sign(ORDER, &fields), "signature_timestamp": time, "recv_window": 2000,
        });
        let request = self.run.http.post(format!("{}/orders", self.run.text("/paradex/rest_url")));
        request.bearer_auth(&self.token).json(&body)
    }

    fn sign(&self, kind: &str, fields: &[Felt]) -> String {
        let message = [text("StarkNet Message"), self.domain, self.account, structure(kind, fields)];
        let hash = chain(&message);
        let nonce = rfc6979_generate_k(&hash, &self.key, None);
        let signature = sign(&self.key, &hash, &nonce).expect("a good nonce");
        format!("[\"{}\",\"{}\"]", signature.r, signature.s)
    }
}

fn structure(kind: &str, fields: &[Felt]) -> Felt {
    let mut keccak: [u8; 32] = Keccak256::digest(kind.as_bytes()).into();
    keccak[0] &= 3;
    chain(&[&[Felt::from_bytes_be(&keccak)], fields].concat())
}

fn chain(values: &[Felt]) -> Felt {
    let hash = values.iter().fold(Felt::ZERO, |hash, value| pedersen_hash(&hash, value));
    pedersen_hash(&hash, &Felt::from(values.len()))
}

fn text(text: &str) -> Felt {
    Felt::from_bytes_be_slice(text.as_bytes())
}

/// A decimal text at 1e-8.
fn scaled(decimal: &str) -> Felt {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    Felt::from_dec_str(&format!("{whole}{fraction:0<8}")).expect("digits")
}
