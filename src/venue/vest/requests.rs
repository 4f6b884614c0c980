//! HTTP/1.1 requests of the order path, head and body in one buffer so that one `write` sends them (sheet `vest`, 2 and
//! 4.3). Called by `trader`. What does not change is built once; the buffers hold the API key and are wiped.

use zeroize::Zeroizing;

use super::access::{Access, Keys};
use super::body::{BodyWriter, Terms, put_number};
use super::sign::Signer;
use crate::types::limits::{ORDER_BYTES_MAX, PAIRS_MAX};
use crate::types::{MarketRules, OrderKind, OrderSpec, PairId};

/// Writes the requests of one account.
pub struct RequestWriter {
    signer: Signer,
    bodies: BodyWriter,
    order_kind: OrderKind,
    symbols: [Option<String>; PAIRS_MAX],
    terms: [Option<Terms>; PAIRS_MAX],
    order_line: String,
    /// Up to the value of `time`.
    cancel_line: String,
    /// Common headers, up to the value of `Content-Length`.
    headers: Zeroizing<String>,
    /// A public request without consequence, to keep a connection warm.
    warm: String,
    request: Zeroizing<String>,
}

impl RequestWriter {
    /// Takes the key out of `keys`; the host and path come from `access`.
    pub fn new(access: &Access, keys: Keys) -> Self {
        let (path, host, group) = (&access.rest.path, &access.rest.authority, keys.group);
        let api_key = keys.api_key.expose();
        let mut symbols = [const { None }; PAIRS_MAX];
        for (pair, symbol) in &access.markets {
            symbols[pair.index()] = Some(symbol.clone());
        }
        Self {
            headers: Zeroizing::new(format!(
                "Host: {host}\r\nX-API-KEY: {api_key}\r\nxrestservermm: restserver{group}\r\n\
                 Content-Type: application/json\r\nContent-Length: "
            )),
            order_line: format!("POST {path}/orders HTTP/1.1\r\n"),
            cancel_line: format!("POST {path}/orders/cancel?time="),
            warm: warm_request(access),
            signer: keys.signer,
            bodies: BodyWriter::default(),
            order_kind: access.order_kind,
            symbols,
            terms: [const { None }; PAIRS_MAX],
            request: Zeroizing::new(String::with_capacity(ORDER_BYTES_MAX)),
        }
    }

    /// Prepares orders on this market; one that is not ours is ignored.
    pub fn set_rules(&mut self, pair: PairId, rules: &MarketRules) {
        if let Some(symbol) = &self.symbols[pair.index()] {
            self.terms[pair.index()] = Some(Terms::new(symbol, rules, self.order_kind));
        }
    }

    /// `POST /orders`, signed. The error says why nothing was written.
    pub fn order(&mut self, spec: &OrderSpec) -> Result<&[u8], &'static str> {
        let terms = self.terms[spec.pair.index()].as_ref().ok_or("rules of the market are not known")?;
        let body = self.bodies.order(&self.signer, terms, spec)?;
        self.request.clear();
        self.request.push_str(&self.order_line);
        Ok(finish(&mut self.request, &self.headers, body))
    }

    /// `POST /orders` with a signature that was made ahead.
    pub fn signed_order(&mut self, spec: &OrderSpec, signature: &str) -> Result<&[u8], &'static str> {
        let terms = self.terms[spec.pair.index()].as_ref().ok_or("rules of the market are not known")?;
        let body = self.bodies.signed_order(terms, spec, signature)?;
        self.request.clear();
        self.request.push_str(&self.order_line);
        Ok(finish(&mut self.request, &self.headers, body))
    }

    /// `POST /orders/cancel?time=…`, signed. `id` must be a plain order id.
    pub fn cancel(&mut self, id: &str, signed_ms: u64, nonce: u64) -> Result<&[u8], &'static str> {
        let body = self.bodies.cancel(&self.signer, id, signed_ms, nonce)?;
        self.request.clear();
        self.request.push_str(&self.cancel_line);
        put_number(&mut self.request, signed_ms);
        self.request.push_str(" HTTP/1.1\r\n");
        Ok(finish(&mut self.request, &self.headers, body))
    }

    pub fn warm(&self) -> &[u8] {
        self.warm.as_bytes()
    }
}

/// Headers, length and body behind a request line.
fn finish<'a>(request: &'a mut String, headers: &str, body: &str) -> &'a [u8] {
    request.push_str(headers);
    put_number(request, body.len() as u64);
    request.push_str("\r\n\r\n");
    request.push_str(body);
    assert!(request.len() <= ORDER_BYTES_MAX, "an order outgrew its buffer");
    request.as_bytes()
}

fn warm_request(access: &Access) -> String {
    let (path, host, group) = (&access.rest.path, &access.rest.authority, access.group());
    let symbol = access.markets.first().map_or("", |market| market.1.as_str());
    format!(
        "GET {path}/ticker/latest?symbols={symbol} HTTP/1.1\r\nHost: {host}\r\n\
         xrestservermm: restserver{group}\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{ClientId, Price, Purpose, Qty, Side, VenueId};
    use crate::venue::vest::testing::{BTC, ETH, rules, setup};

    fn writer() -> RequestWriter {
        let mut access = Access::read(&setup()).unwrap();
        let keys = access.keys.take().unwrap();
        RequestWriter::new(&access, keys)
    }

    fn spec() -> OrderSpec {
        OrderSpec {
            id: ClientId { epoch: 1, seq: 1, leg: 0 },
            venue: VenueId(0),
            pair: BTC,
            side: Side::Sell,
            purpose: Purpose::Exit,
            qty: Qty::parse(b"0.03").unwrap(),
            limit: Price::parse(b"87250").unwrap(),
            reduce_only: true,
            signed_ms: 1_767_225_600_124,
            nonce: 1_767_225_600_124,
            window_ms: 650,
        }
    }

    fn parts(request: &[u8]) -> (Vec<String>, String) {
        let text = std::str::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split("\r\n").map(str::to_owned).collect(), body.to_owned())
    }

    #[test]
    fn an_order_request_is_whole() {
        let mut writer = writer();
        writer.set_rules(BTC, &rules(2, 4));
        let (head, body) = parts(writer.order(&spec()).unwrap());
        let length = format!("Content-Length: {}", body.len());
        assert_eq!(
            head,
            [
                "POST /v2/orders HTTP/1.1",
                "Host: 127.0.0.1:8443",
                "X-API-KEY: test-api-key",
                "xrestservermm: restserver3",
                "Content-Type: application/json",
                length.as_str(),
            ]
        );
        assert!(body.starts_with(
            "{\"order\":{\"time\":1767225600124,\"nonce\":1767225600124,\"symbol\":\"BTC-PERP\",\
             \"isBuy\":false,\"size\":\"0.0300\",\"orderType\":\"MARKET\",\"limitPrice\":\"87250.00\",\
             \"reduceOnly\":true},\"recvWindow\":650,\"signature\":\"0x"
        ));
    }

    #[test]
    fn a_cancel_carries_its_time_in_the_query() {
        let mut writer = writer();
        let (head, body) = parts(writer.cancel("0xab", 77, 78).unwrap());
        assert_eq!(head[0], "POST /v2/orders/cancel?time=77 HTTP/1.1");
        assert_eq!(head[5], format!("Content-Length: {}", body.len()));
        assert!(
            body.starts_with(
                r#"{"order":{"time":77,"nonce":78,"id":"0xab"},"recvWindow":5000,"signature":"0x"#
            )
        );
    }

    #[test]
    fn a_market_without_rules_takes_no_order() {
        let mut writer = writer();
        writer.set_rules(ETH, &rules(3, 3));
        writer.set_rules(PairId(9), &rules(3, 3));
        assert!(writer.order(&spec()).is_err());
        assert!(writer.order(&OrderSpec { pair: PairId(9), ..spec() }).is_err());
    }
}
