//! The life of an order up to the match: arrival, acknowledgement, risk check, cancel, end.
//!
//! Part of `Exchange`; `matching` goes on from here. Each stage runs when its time has come; faults
//! chosen at arrival travel with the order as its plan.

use super::exchange::{Exchange, Live, Plan, Work};
use super::fault::{Action, Class, Http, Subject};
use super::money::{self, Round};
use super::past::Was;
use super::types::*;

/// A window shorter or longer than this is no window.
const WINDOW_MS: std::ops::RangeInclusive<i64> = 1..=300_000;

/// When the answer to a request is sent, if at all.
struct Ack {
    due_us: i64,
    lost: bool,
    /// Said instead, whatever was done.
    instead: Option<Http>,
}

impl Exchange {
    /// An order arrives. What can be refused at once is refused; the rest follows as events.
    pub fn submit(&mut self, now_us: i64, order: NewOrder) -> Reply<OrderId> {
        let mut plan = Plan::default();
        let mut ack = Ack::at(now_us + self.sample(self.spec.latency.ack));
        let mut again = None;
        self.is_echoed = false;
        for action in self.order_actions(&order) {
            match action {
                Action::DropRequest => return Reply::Never,
                Action::DelayRequest { ms } => return Reply::Hold { until_us: now_us + micros(ms) },
                Action::DuplicateRequest { ms } => again = Some(now_us + micros(ms)),
                Action::GiveUp { ms } => {
                    let late = Box::new(NewOrder { held: true, ..order });
                    self.schedule(now_us + micros(ms), Work::Again(late));
                    return ack.answer(Err(Reject::Http(Http::of(504))));
                }
                // What was refused is not carried to the venue once more.
                Action::Reject { code, message } => {
                    return self.refuse(now_us, order, ack, Reject::Injected { code, message });
                }
                Action::Respond { http, acted: false } => {
                    return self.refuse(now_us, order, ack, Reject::Http(http));
                }
                action => {
                    let action = self.meant_for_answer(&mut ack, action);
                    let action = action.and_then(|action| self.meant_for_plan(&order, &mut plan, action));
                    action.inspect(|action| self.side_effect(now_us, action));
                }
            }
        }
        let copy = again.map(|due_us| (due_us, Box::new(NewOrder { held: true, ..order.clone() })));
        let result = self.take_in(now_us, order, plan);
        // Nobody carries once more what was told to be refused; a refusal that was not heard is another matter.
        let unheard = ack.lost || ack.instead.is_some();
        if let Some((due_us, copy)) = copy.filter(|_| result.is_ok() || unheard) {
            self.schedule(due_us, Work::Again(copy));
        }
        ack.answer(result)
    }

    /// A cancel arrives. `Ok` means queued: the order may still fill first.
    pub fn cancel(&mut self, now_us: i64, id: &str, bump_us: i64, held: bool) -> Reply<()> {
        let mut ack = Ack::at(now_us + self.sample(self.spec.latency.ack));
        let actions = if held { Vec::new() } else { self.faults.draw_request(Subject::of(Class::Cancel)) };
        self.is_echoed = false;
        for action in actions {
            match action {
                Action::DropRequest => return Reply::Never,
                Action::DelayRequest { ms } => return Reply::Hold { until_us: now_us + micros(ms) },
                Action::DuplicateRequest { ms } => {
                    self.schedule(now_us + micros(ms), Work::CancelAgain(id.to_owned()));
                }
                Action::Reject { code, message } => {
                    return ack.answer(Err(Reject::Injected { code, message }));
                }
                Action::Respond { http, acted: false } => return ack.answer(Err(Reject::Http(http))),
                action => {
                    let action = self.meant_for_answer(&mut ack, action);
                    action.inspect(|action| self.side_effect(now_us, action));
                }
            }
        }
        let result = self.queue_cancel(now_us, id, bump_us);
        ack.answer(result)
    }

    pub(super) fn queue_cancel(&mut self, now_us: i64, id: &str, bump_us: i64) -> Result<(), Reject> {
        match self.orders.get(id) {
            None => return Err(Reject::NotFound),
            Some(live) if !live.view.state.is_live() => return Err(Reject::Closed),
            Some(_) => {}
        }
        let due = now_us + bump_us + self.sample(self.spec.latency.accept);
        self.schedule(due, Work::Cancel(id.to_owned()));
        Ok(())
    }

    /// Lets an action change the answer, or hands it back.
    fn meant_for_answer(&mut self, ack: &mut Ack, action: Action) -> Option<Action> {
        match action {
            Action::DropAck => ack.lost = true,
            Action::DelayAck { ms } => ack.due_us += micros(ms),
            Action::DuplicateAck => self.is_echoed = true,
            Action::Respond { http, .. } => ack.instead = Some(http),
            other => return Some(other),
        }
        None
    }

    /// Lets an action change the order's plan, or hands it back.
    fn meant_for_plan(&mut self, order: &NewOrder, plan: &mut Plan, action: Action) -> Option<Action> {
        let step = self.markets[order.market].spec.step;
        match action {
            Action::HoldFill { ms } => plan.hold_us += micros(ms),
            Action::LateReject { code, message } => plan.late_reject = Some((code, message)),
            Action::Requote => plan.requote = true,
            Action::PartialFill { size } => plan.fill_at_most = Some(size),
            Action::PartialSteps { steps } => plan.fill_at_most = Some(step * i64::from(steps)),
            Action::PartialAny => {
                let steps = self.rng.between(1, (order.size / step).max(1));
                plan.fill_at_most = Some(step * steps);
            }
            Action::CorruptFill { wrong } => plan.wrong = Some(wrong),
            Action::BustFill { ms } => plan.bust_after_us = Some(micros(ms)),
            other => return Some(other),
        }
        None
    }

    /// The order arrives and is refused by a rule.
    fn refuse(&mut self, now_us: i64, order: NewOrder, ack: Ack, reject: Reject) -> Reply<OrderId> {
        self.note_arrival(now_us, order, Err(reject.clone()));
        ack.answer(Err(reject))
    }

    /// The order arrives.
    pub(super) fn take_in(&mut self, now_us: i64, order: NewOrder, plan: Plan) -> Result<OrderId, Reject> {
        let outcome = self.accept(now_us, order.clone(), plan);
        self.note_arrival(now_us, order, outcome.clone());
        outcome
    }

    fn note_arrival(&mut self, now_us: i64, order: NewOrder, outcome: Result<OrderId, Reject>) {
        self.version += 1;
        self.arrivals.push(Arrival { at_us: now_us, order, outcome });
    }

    fn order_actions(&mut self, order: &NewOrder) -> Vec<Action> {
        if order.held {
            return Vec::new();
        }
        let subject = Subject {
            class: Class::Order,
            side: Some(order.side),
            market: self.markets.get(order.market).map(|m| m.spec.symbol.as_str()),
            reduce_only: Some(order.reduce_only),
        };
        self.faults.draw_request(subject)
    }

    fn accept(&mut self, now_us: i64, order: NewOrder, plan: Plan) -> Result<OrderId, Reject> {
        self.refuse_at_arrival(now_us, &order)?;
        let id = order.id.clone().unwrap_or_else(|| self.fresh_id(now_us));
        if self.orders.contains_key(&id) {
            return Err(Reject::Duplicate);
        }
        let named = !order.client_ref.is_empty() && self.spec.style == Style::OrderBook;
        if named && !self.client_refs.insert((order.account, order.client_ref.clone())) {
            return Err(Reject::Duplicate);
        }
        let due = now_us + order.bump_us + self.sample(self.spec.latency.accept);
        let view = self.view_of(now_us, &id, order);
        self.insert(now_us, Live { view, plan });
        self.schedule(due, Work::Check(id.clone()));
        Ok(id)
    }

    pub(super) fn fresh_id(&self, now_us: i64) -> OrderId {
        format!("{}{:015}", now_us / 1_000, self.orders.len() + 1)
    }

    pub(super) fn insert(&mut self, now_us: i64, live: Live) {
        let id = live.view.id.clone();
        self.memory.note(now_us, Was::Order(id.clone(), None));
        self.orders.insert(id, live);
        self.live.insert(self.orders.len() - 1);
    }

    /// Remembers an order as it is, before it changes.
    pub(super) fn note_order(&mut self, now_us: i64, id: &str) {
        self.version += 1;
        if let Some(live) = self.orders.get(id) {
            self.memory.note(now_us, Was::Order(id.to_owned(), Some(Box::new(live.view.clone()))));
        }
    }

    /// Remembers a position as it is, before it changes.
    pub(super) fn note_position(&mut self, now_us: i64, account: AccountId, market: usize) {
        self.version += 1;
        let position = self.accounts[account].positions[market].clone();
        self.memory.note(now_us, Was::Position(account, market, position));
    }

    fn refuse_at_arrival(&self, now_us: i64, order: &NewOrder) -> Result<(), Reject> {
        let market = &self.markets[order.market].spec;
        if !WINDOW_MS.contains(&order.window_ms) {
            return Err(Reject::BadWindow);
        }
        if now_us / 1_000 > order.signed_at_ms.saturating_add(order.window_ms) {
            return Err(Reject::Expired);
        }
        if order.size <= 0 || order.size % market.step != 0 {
            return Err(Reject::BadSize);
        }
        if order.limit < 0
            || order.limit % market.tick != 0
            || (order.kind == Kind::Limit && order.limit == 0)
        {
            return Err(Reject::BadPrice);
        }
        match (self.markets[order.market].mode, order.tif) {
            (Mode::Ok, _) | (Mode::PostOnly, Tif::PostOnly) => Ok(()),
            (mode, _) => Err(Reject::Mode(mode)),
        }
    }

    pub(super) fn view_of(&self, now_us: i64, id: &str, order: NewOrder) -> OrderView {
        let market = &self.markets[order.market];
        OrderView {
            id: id.to_owned(),
            client_ref: order.client_ref,
            account: order.account,
            market: order.market,
            side: order.side,
            kind: order.kind,
            tif: order.tif,
            size: order.size,
            limit: order.limit,
            reduce_only: order.reduce_only,
            signed_at_ms: order.signed_at_ms,
            received_us: now_us,
            updated_us: now_us,
            state: State::New,
            reason: None,
            filled: 0,
            notional: 0,
            fees: 0,
            settled_funding: 0,
            realized_pnl: 0,
            last_fill: None,
            mark: market.model.mark(),
            cause: Cause::Order,
            note: order.note,
            taker_fee: order.taker_fee.unwrap_or(market.spec.taker_fee),
        }
    }

    /// The risk check: the order becomes known to its owner, or is refused.
    pub(super) fn check(&mut self, now_us: i64, id: &str) {
        let Some(live) = self.orders.get_mut(id).filter(|live| live.view.state.is_live()) else {
            return;
        };
        if let Some((code, message)) = live.plan.late_reject.take() {
            return self.end(now_us, id, State::Rejected, Some(Reject::Injected { code, message }));
        }
        let view = live.view.clone();
        let hold_us = live.plan.hold_us;
        if let Err(reason) = self.risk(&view) {
            return self.end(now_us, id, State::Rejected, Some(reason));
        }
        self.tell(now_us, Event::Order(view));
        let due = now_us + hold_us + self.sample(self.spec.latency.fill);
        self.schedule(due, Work::Match(id.to_owned()));
    }

    fn risk(&self, order: &OrderView) -> Result<(), Reject> {
        let market = &self.markets[order.market];
        let held = self.held(order.account, order.market);
        let reduces = held.signum() == -order.side.sign();
        self.keeps_to_reducing(order)?;
        let notional = money::mul(order.size, market.model.mark(), Round::Nearest);
        let closes_all = order.reduce_only && order.size == held.abs();
        if notional < market.spec.min_notional && !closes_all {
            return Err(Reject::MinNotional);
        }
        if order.size > market.spec.max_order {
            return Err(Reject::TooLarge);
        }
        if self.open_orders(order.account).filter(|o| o.market == order.market).count()
            > market.spec.max_open_orders
        {
            return Err(Reject::TooManyOpen);
        }
        if beyond_band(order, market.model.mark(), market.spec.price_band) {
            return Err(Reject::PriceBand);
        }
        let account = self.account(order.account, order.received_us);
        let needed = money::mul(notional, market.spec.imf, Round::Up);
        if !(reduces && order.size <= held.abs()) && account.free < needed {
            return Err(Reject::Margin);
        }
        Ok(())
    }

    /// A reduce-only order is no larger than what is held against it. Held to at the risk check and again when it is
    /// to be executed: the position may have shrunk meanwhile.
    pub(super) fn keeps_to_reducing(&self, order: &OrderView) -> Result<(), Reject> {
        let held = self.held(order.account, order.market);
        match order.reduce_only {
            true if held.signum() != -order.side.sign() => Err(Reject::ReduceOnlyIncreases),
            true if order.remaining() > held.abs() => Err(Reject::ReduceOnlyExceeds),
            _ => Ok(()),
        }
    }

    pub(super) fn finish_cancel(&mut self, now_us: i64, id: &str) {
        if self.orders.get(id).is_some_and(|live| live.view.state.is_live()) {
            self.end(now_us, id, State::Cancelled, Some(Reject::UserCancelled));
        }
    }

    pub(super) fn end(&mut self, now_us: i64, id: &str, state: State, reason: Option<Reject>) {
        self.note_order(now_us, id);
        if let Some((at, _, live)) = self.orders.get_full_mut(id) {
            self.live.remove(&at);
            live.view.state = state;
            live.view.reason = reason;
            live.view.updated_us = now_us;
            let view = live.view.clone();
            self.tell(now_us, Event::Order(view));
        }
    }
}

impl Ack {
    fn at(due_us: i64) -> Self {
        Self { due_us, lost: false, instead: None }
    }

    fn answer<T>(self, result: Result<T, Reject>) -> Reply<T> {
        let result = match self.instead {
            Some(http) => Err(Reject::Http(http)),
            None => result,
        };
        match self.lost {
            true => Reply::Never,
            false => Reply::At { due_us: self.due_us, result },
        }
    }
}

fn micros(ms: u32) -> i64 {
    i64::from(ms) * 1_000
}

fn beyond_band(order: &OrderView, mark: i64, band: i64) -> bool {
    if band == 0 || order.limit == 0 {
        return false;
    }
    let width = money::mul(mark, band, Round::Down);
    match order.side {
        Side::Buy => order.limit > mark + width,
        Side::Sell => order.limit < mark - width,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bench::{Bench, SECOND};
    use crate::core::fault::Rule;
    use crate::core::money::ONE;

    #[test]
    fn refusals_at_arrival() {
        let mut bench = Bench::new(Style::OrderBook);
        let good = bench.order(Side::Buy, 1_000_000, 72_000);
        let late = NewOrder { signed_at_ms: good.signed_at_ms - 1_001, ..good.clone() };
        assert_eq!(bench.refusal(late), Reject::Expired);
        assert_eq!(bench.refusal(NewOrder { window_ms: 0, ..good.clone() }), Reject::BadWindow);
        assert_eq!(bench.refusal(NewOrder { size: 1_000_001, ..good.clone() }), Reject::BadSize);
        assert_eq!(bench.refusal(NewOrder { limit: good.limit + 1, ..good.clone() }), Reject::BadPrice);
        let named = NewOrder { client_ref: "a".into(), ..good.clone() };
        bench.trade(named.clone());
        let again = NewOrder { signed_at_ms: bench.now_us / 1_000, ..named };
        assert_eq!(bench.refusal(again), Reject::Duplicate);
        bench.exchange.set_mode(bench.now_us, Mode::CancelOnly);
        let order = bench.order(Side::Buy, 1_000_000, 72_000);
        assert_eq!(bench.refusal(order), Reject::Mode(Mode::CancelOnly));
    }

    #[test]
    fn refusals_at_the_risk_check() {
        let mut bench = Bench::new(Style::OrderBook);
        let reason = |bench: &mut Bench, order: NewOrder| bench.trade(order).reason;
        let order = bench.order(Side::Buy, 10_000, 72_000);
        assert_eq!(reason(&mut bench, order), Some(Reject::MinNotional));
        let order = bench.order(Side::Buy, 1_000_000, 76_000);
        assert_eq!(reason(&mut bench, order), Some(Reject::PriceBand));
        let order = NewOrder { reduce_only: true, ..bench.order(Side::Sell, 1_000_000, 70_000) };
        assert_eq!(reason(&mut bench, order), Some(Reject::ReduceOnlyIncreases));
        let order = bench.order(Side::Buy, 90 * ONE, 75_000);
        assert_eq!(reason(&mut bench, order), Some(Reject::Margin));
    }

    #[test]
    fn faults_of_orders() {
        let mut bench = Bench::new(Style::OrderBook);
        let order = bench.order(Side::Buy, 1_000_000, 73_000);
        bench.exchange.add_fault(Rule::once(Class::Order, Action::DropRequest));
        assert_eq!(bench.submit(order.clone()), Reply::Never);
        assert_eq!(bench.exchange.orders(0).count(), 0);
        bench.exchange.add_fault(Rule::once(Class::Order, Action::DropAck));
        assert_eq!(bench.submit(order.clone()), Reply::Never);
        assert_eq!(bench.exchange.orders(0).count(), 1);
        bench.exchange.add_fault(Rule::once(Class::Order, Action::DelayRequest { ms: 2_000 }));
        assert_eq!(bench.submit(order.clone()), Reply::Hold { until_us: bench.now_us + 2 * SECOND });
        bench.pass(2 * SECOND);
        assert_eq!(bench.refusal(NewOrder { held: true, ..order }), Reject::Expired);
        bench.exchange.add_fault(Rule::once(Class::Order, Action::PartialFill { size: 400_000 }));
        let part = bench.trade(bench.order(Side::Buy, 1_000_000, 73_000));
        assert_eq!((part.state, part.filled), (State::Cancelled, 400_000));
        let step = bench.exchange.spec().markets[0].step;
        bench.exchange.add_fault(Rule::once(Class::Order, Action::PartialFill { size: 400_000 + step / 2 }));
        let part = bench.trade(bench.order(Side::Buy, 1_000_000, 73_000));
        assert_eq!(part.filled, 400_000, "nothing is traded that is no multiple of the step");
    }

    #[test]
    fn what_a_gateway_gave_up_arrives_later_and_inside_its_window_alone() {
        let mut bench = Bench::new(Style::OrderBook);
        for (ms, taken) in [(200, true), (2_000, false)] {
            bench.exchange.add_fault(Rule::once(Class::Order, Action::GiveUp { ms }));
            let order = bench.order(Side::Buy, 1_000_000, 73_000);
            let Reply::At { result, .. } = bench.submit(order) else { panic!("an answer") };
            assert!(matches!(result, Err(Reject::Http(Http { status: 504, .. }))), "{result:?}");
            bench.pass(3 * SECOND);
            assert_eq!(bench.exchange.arrivals().last().unwrap().outcome.is_ok(), taken);
        }
    }

    #[test]
    fn a_refused_order_does_not_arrive_again() {
        let mut bench = Bench::new(Style::OrderBook);
        let reject = Action::Reject { code: "X".to_owned(), message: String::new() };
        // Taken; refused by a fault; refused by the venue itself, whose answer is heard or lost.
        let cases = [
            (None, Mode::Ok, 2),
            (Some(reject), Mode::Ok, 1),
            (None, Mode::Halt, 1),
            (Some(Action::DropAck), Mode::Halt, 2),
        ];
        for (fault, mode, arrivals) in cases {
            let before = bench.exchange.arrivals().len();
            bench.exchange.add_fault(Rule::once(Class::Order, Action::DuplicateRequest { ms: 50 }));
            if let Some(fault) = fault {
                bench.exchange.add_fault(Rule::once(Class::Order, fault));
            }
            bench.exchange.set_mode(bench.now_us, mode);
            let order = bench.order(Side::Buy, 1_000_000, 73_000);
            bench.submit(order);
            bench.exchange.set_mode(bench.now_us, Mode::Ok);
            bench.pass(SECOND);
            assert_eq!(bench.exchange.arrivals().len() - before, arrivals, "{mode:?}");
        }
    }
}
