//! One socket's conversation: requests in, replies and frames out. Pure; `ws` moves the bytes.
//!
//! It owns what belongs to a connection: authentication (for life), subscriptions, cancel-on-disconnect. It
//! never waits: what is due later is handed back with its time. Source: Paradex sheet §5, §6.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::channel::Channel;
use super::desk::{Answer, Desk, Principal, order_error};
use super::error::{ApiError, RpcError};
use super::feed::{Form, Scene, Subscription};
use super::json::{self, millis};
use super::limits::Scope;
use super::{felt, rpc, view};
use crate::core::fault::{Action, Class, Subject};
use crate::core::{Event, Exchange, OrderId, OrderView, Reply, Socket, State};
use crate::wire::{Due, Effect, Frame};

/// The venue as a request sees it.
pub struct Floor<'a> {
    pub now_us: i64,
    pub desk: &'a mut Desk,
    pub exchange: &'a mut Exchange,
}

impl Floor<'_> {
    /// What events and lists are shown with.
    pub fn scene(&self) -> Scene<'_> {
        Scene { now_us: self.now_us, directory: &self.desk.directory, exchange: self.exchange }
    }
}

/// The state of one connection.
#[derive(Clone)]
pub struct Session {
    form: Form,
    principal: Option<Principal>,
    subscriptions: BTreeMap<String, Subscription>,
    cancel_on_disconnect: bool,
    /// Orders placed on this connection.
    placed: Vec<OrderId>,
    node_id: String,
    /// It is used for orders, and not only ready to be.
    has_traded: bool,
}

type Outcome = Result<Value, RpcError>;

impl Session {
    /// `serial` distinguishes connections.
    pub fn new(form: Form, serial: u64) -> Session {
        Session {
            form,
            principal: None,
            subscriptions: BTreeMap::new(),
            cancel_on_disconnect: false,
            placed: Vec::new(),
            node_id: format!("{:016x}", serial.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            has_traded: false,
        }
    }

    /// Takes a token that came with the connection request; a bad one is ignored, `auth` will tell.
    pub fn present(&mut self, floor: &Floor, token: &str) {
        self.principal = floor.desk.principal(floor.now_us, token).ok();
    }

    /// Answers one text frame. `held` marks a request that was handed back by [`Effect::Repeat`].
    pub fn on_text(&mut self, floor: &mut Floor, text: &str, held: bool) -> Vec<Due> {
        let effects = self.answer(floor, text, held);
        let echo = floor.exchange.take_echo().then(|| effects.clone());
        effects.into_iter().chain(echo.into_iter().flatten()).collect()
    }

    fn answer(&mut self, floor: &mut Floor, text: &str, held: bool) -> Vec<Due> {
        let now_us = floor.now_us;
        let request = match rpc::parse(text) {
            Ok(request) => request,
            Err((id, error)) => return vec![reply(&id, now_us, now_us, Err(error))],
        };
        if request.method.starts_with("order.") {
            return self.order_method(floor, &request, text, held);
        }
        let due_us = match floor.exchange.gate(now_us, Class::Socket, held) {
            Reply::Never => return Vec::new(),
            Reply::Hold { until_us } => return vec![(until_us, Effect::Repeat(text.to_owned()))],
            Reply::At { due_us, result: Ok(()) } => due_us,
            Reply::At { due_us, result: Err(reject) } => {
                return vec![reply(&request.id, now_us, due_us, Err(order_error(&reject).into()))];
            }
        };
        let outcome = match request.method.as_str() {
            "auth" => self.auth(floor, &request.params),
            "subscribe" => return self.subscribe(floor, &request, due_us),
            "unsubscribe" => self.unsubscribe(&request.params),
            _ => Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "method does not exist")),
        };
        vec![reply(&request.id, now_us, due_us, outcome)]
    }

    /// Appends the frames that an event of the venue means for this connection.
    pub fn on_event(&mut self, scene: &Scene, event: &Event, out: &mut impl Extend<Frame>) {
        let account = self.principal.as_ref().map(|who| who.account);
        let subscriptions = self.subscriptions.iter_mut();
        out.extend(subscriptions.filter_map(|(name, s)| s.frames(self.form, name, account, scene, event)));
    }

    /// Whether a forced disconnect of `socket` concerns this connection.
    pub fn is_kind(&self, socket: Socket) -> bool {
        match socket {
            Socket::All => true,
            Socket::Md => self.subscriptions.values().any(|s| !s.channel.is_private()),
            Socket::Private => self.subscriptions.values().any(|s| s.channel.is_private()),
            Socket::Orders => self.has_traded,
        }
    }

    /// Nothing says yet what this connection is for.
    pub fn is_unused(&self) -> bool {
        self.is_idle() && !self.has_traded
    }

    /// A connection without subscriptions is closed after a while.
    pub fn is_idle(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// The frame for a connection on which nothing was sent for some time.
    pub fn heartbeat(&self, now_us: i64) -> Frame {
        self.form.heartbeat(now_us)
    }

    /// The connection is gone: cancels its orders when the client asked for that.
    pub fn on_close(&mut self, floor: &mut Floor) {
        let Some(who) = self.principal.clone().filter(|_| self.cancel_on_disconnect) else { return };
        for id in std::mem::take(&mut self.placed) {
            if floor.exchange.order(&id).is_some_and(|order| order.state.is_live()) {
                // Nobody is left to be told what became of it.
                let _ = floor.desk.cancel(floor.exchange, floor.now_us, &who, &id, false);
            }
        }
    }

    fn auth(&mut self, floor: &mut Floor, params: &Value) -> Outcome {
        let faults = floor.exchange.faults().draw(Subject::of(Class::SocketAuth));
        if let Some(Action::Reject { message, .. }) = faults.into_iter().next() {
            return Err(RpcError::new(RpcError::INVALID_BEARER, &message));
        }
        let malformed = || RpcError::new(RpcError::MALFORMED_BEARER, "malformed bearer token");
        let bearer = params.get("bearer").and_then(Value::as_str).ok_or_else(malformed)?;
        let invalid = |_| RpcError::new(RpcError::INVALID_BEARER, "invalid bearer token");
        self.principal = Some(floor.desk.principal(floor.now_us, bearer).map_err(invalid)?);
        Ok(json!({"node_id": self.node_id}))
    }

    /// The acknowledgement, and the whole book when the channel starts with one.
    fn subscribe(&mut self, floor: &Floor, request: &rpc::Request, due_us: i64) -> Vec<Due> {
        let now_us = floor.now_us;
        match self.admit(floor, &request.params) {
            Err(error) => vec![reply(&request.id, now_us, due_us, Err(error))],
            Ok((name, mut subscription)) => {
                let first = subscription.first_frame(self.form, &floor.scene());
                self.subscriptions.insert(name.clone(), subscription);
                let acknowledged = reply(&request.id, now_us, due_us, Ok(json!({"channel": name})));
                std::iter::once(acknowledged)
                    .chain(first.map(|frame| (due_us, Effect::Send(frame))))
                    .collect()
            }
        }
    }

    fn admit(&self, floor: &Floor, params: &Value) -> Result<(String, Subscription), RpcError> {
        let name = params.get("channel").and_then(Value::as_str);
        let name = name.ok_or_else(|| RpcError::new(RpcError::INVALID_PARAMS, "missing channel"))?;
        let channel = Channel::parse(name, |market| floor.exchange.market(market).is_some())?;
        if channel.is_private() && self.principal.is_none() {
            return Err(RpcError::not_authenticated());
        }
        if self.subscriptions.contains_key(name) {
            return Err(RpcError::subscribe("already subscribed"));
        }
        let key = channel.exclusive_key();
        let clash =
            self.subscriptions.iter().find(|(_, s)| key.is_some() && s.channel.exclusive_key() == key);
        if let Some((other, _)) = clash {
            return Err(RpcError::subscribe(&format!("{name} cannot share an SBE session with {other}")));
        }
        Ok((name.to_owned(), Subscription::new(channel)))
    }

    fn unsubscribe(&mut self, params: &Value) -> Outcome {
        let name = params.get("channel").and_then(Value::as_str).unwrap_or_default();
        match self.subscriptions.remove(name) {
            Some(_) => Ok(json!({"channel": name})),
            None => Err(RpcError::new(RpcError::INVALID_REQUEST, "invalid unsubscribe request")),
        }
    }

    fn order_method(
        &mut self,
        floor: &mut Floor,
        request: &rpc::Request,
        text: &str,
        held: bool,
    ) -> Vec<Due> {
        let now_us = floor.now_us;
        let answer = match self.trade(floor, request, held) {
            Ok(answer) => answer,
            Err(error) => return vec![reply(&request.id, now_us, now_us, Err(error))],
        };
        match answer {
            Answer::Never => Vec::new(),
            Answer::Hold { until_us } => vec![(until_us, Effect::Repeat(text.to_owned()))],
            Answer::At { due_us, result } => {
                vec![reply(&request.id, now_us, due_us, result.map_err(RpcError::from))]
            }
        }
    }

    fn trade(
        &mut self,
        floor: &mut Floor,
        request: &rpc::Request,
        held: bool,
    ) -> Result<Answer<Value>, RpcError> {
        let who = self.principal.clone().ok_or_else(RpcError::not_authenticated)?;
        let owner = felt::to_hex(&floor.desk.directory.address(who.account));
        if !held && floor.desk.spend(floor.now_us, Scope::Orders, &owner).is_err() {
            return Err(ApiError::too_many().into());
        }
        self.has_traded |= request.method != "order.cancel_on_disconnect";
        let params = &request.params;
        match request.method.as_str() {
            "order.create" => Ok(self.create(floor, &who, params, held)),
            "order.cancel" => Ok(cancel(floor, &who, params, held)),
            "order.cancel_batch" => {
                let result = cancel_batch(floor, &who, params);
                Ok(at_once(floor, result))
            }
            "order.cancel_all" => {
                let market = params.get("market").and_then(Value::as_str);
                let result = floor.desk.cancel_all(floor.exchange, floor.now_us, &who, market);
                Ok(at_once(floor, result.map(|_| json!({"status": "ok"}))))
            }
            "order.cancel_on_disconnect" => {
                let enabled = params.get("enabled").and_then(Value::as_bool);
                let missing = || RpcError::new(RpcError::INVALID_PARAMS, "enabled: must be a boolean");
                self.cancel_on_disconnect = enabled.ok_or_else(missing)?;
                Ok(at_once(floor, Ok(json!({"enabled": self.cancel_on_disconnect}))))
            }
            _ => Err(RpcError::new(RpcError::METHOD_NOT_FOUND, "method does not exist")),
        }
    }

    fn create(&mut self, floor: &mut Floor, who: &Principal, params: &Value, held: bool) -> Answer<Value> {
        let now_us = floor.now_us;
        let before = newest(floor, who).map(|order| order.id.clone());
        let answer = floor.desk.create(floor.exchange, now_us, who, params, held);
        self.track(floor, who, before);
        let view = |id: OrderId| {
            let order = order_json(floor, &id);
            json!({"order": order, "created_at": millis(now_us), "received_at": now_us.saturating_mul(1_000)})
        };
        answer.map(|result| result.map(view))
    }

    /// Remembers the order just placed, acknowledged or not: a drop cancels it either way. After a refusal the newest
    /// of the account is the one from before, which may be somebody else's.
    fn track(&mut self, floor: &Floor, who: &Principal, before: Option<OrderId>) {
        self.placed.retain(|id| floor.exchange.order(id).is_some_and(|order| order.state.is_live()));
        let placed = newest(floor, who).filter(|order| Some(&order.id) != before.as_ref());
        let live = placed.filter(|order| order.state == State::New);
        self.placed.extend(live.map(|order| order.id.clone()));
    }
}

fn newest<'a>(floor: &'a Floor, who: &Principal) -> Option<&'a OrderView> {
    floor.exchange.orders(who.account).next_back()
}

fn reply(id: &Value, in_us: i64, out_us: i64, outcome: Outcome) -> Due {
    (out_us, Effect::Send(Frame::Text(rpc::reply(id, outcome, in_us, out_us))))
}

fn at_once(floor: &Floor, result: Result<Value, ApiError>) -> Answer<Value> {
    Answer::At { due_us: floor.now_us, result }
}

fn order_json(floor: &Floor, id: &str) -> Value {
    let Some(order) = floor.exchange.order(id) else { return Value::Null };
    let symbol = floor.exchange.symbol(order.market);
    json::order(&view::order(order, floor.desk.directory.address(order.account), symbol, floor.now_us))
}

/// By `id`, or by `client_id` (of a live order) and `market`.
fn cancel(floor: &mut Floor, who: &Principal, params: &Value, held: bool) -> Answer<Value> {
    let text = |key: &str| params.get(key).and_then(Value::as_str).unwrap_or_default();
    let id = match (text("id"), text("client_id")) {
        ("", client_id) => floor.exchange.open_orders(who.account).find(|o| o.client_ref == client_id),
        (id, _) => floor.exchange.order(id),
    };
    let Some(id) = id.map(|order| order.id.clone()) else {
        let code = if text("id").is_empty() { "CLIENT_ORDER_ID_NOT_FOUND" } else { "ORDER_ID_NOT_FOUND" };
        return at_once(floor, Err(ApiError::not_found(code, "order not found")));
    };
    let answer = floor.desk.cancel(floor.exchange, floor.now_us, who, &id, held);
    answer.map(|result| result.map(|()| json!({"order_id": id, "status": "QUEUED_FOR_CANCELLATION"})))
}

fn cancel_batch(floor: &mut Floor, who: &Principal, params: &Value) -> Result<Value, ApiError> {
    let ids = params.get("order_ids").and_then(Value::as_array);
    let ids = ids.ok_or_else(|| ApiError::validation("order_ids: must be an array"))?;
    let results =
        ids.iter().filter_map(Value::as_str).map(|id| cancel_one(floor, who, id)).collect::<Vec<_>>();
    Ok(json!({"results": results}))
}

/// Cancels one order of a batch and says what became of it.
pub fn cancel_one(floor: &mut Floor, who: &Principal, id: &str) -> Value {
    let order = floor.exchange.order(id).filter(|order| order.account == who.account).cloned();
    let symbol = order.as_ref().map(|o| floor.exchange.symbol(o.market).to_owned());
    let status = match &order {
        None => "NOT_FOUND",
        Some(order) if !order.state.is_live() => "ALREADY_CLOSED",
        Some(_) => {
            // The answer of a batch is single and immediate; each order's end comes as an event.
            let _ = floor.desk.cancel(floor.exchange, floor.now_us, who, id, false);
            "QUEUED_FOR_CANCELLATION"
        }
    };
    let account = felt::to_hex(&floor.desk.directory.address(who.account));
    let client_id = order.map(|order| order.client_ref).unwrap_or_default();
    json!({"id": id, "client_id": client_id, "account": account, "market": symbol, "status": status})
}
