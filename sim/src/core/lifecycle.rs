//! The life of an order up to the match: arrival, acknowledgement, risk check, cancel, end.
//!
//! Part of `Exchange`; `matching` goes on from here. Each stage runs when its time has come; faults
//! chosen at arrival travel with the order as its plan.

use super::exchange::{Exchange, Live, Plan, Work};
use super::fault::{Action, Class, Subject};
use super::money::{self, Round};
use super::types::*;

/// A window shorter or longer than this is no window.
const WINDOW_MS: std::ops::RangeInclusive<i64> = 1..=300_000;

/// When the answer to a request is sent, if at all.
struct Ack {
    due_us: i64,
    lost: bool,
}

impl Exchange {
    /// An order arrives. What can be refused at once is refused; the rest follows as events.
    pub fn submit(&mut self, now_us: i64, order: NewOrder) -> Reply<OrderId> {
        let mut plan = Plan::default();
        let mut ack = Ack { due_us: now_us + self.sample(self.spec.latency.ack), lost: false };
        for action in self.order_actions(&order) {
            match action {
                Action::DropRequest => return Reply::Never,
                Action::DelayRequest { ms } => {
                    return Reply::Hold { until_us: now_us + i64::from(ms) * 1_000 };
                }
                Action::DropAck => ack.lost = true,
                Action::DelayAck { ms } => ack.due_us += i64::from(ms) * 1_000,
                Action::HoldFill { ms } => plan.hold_us += i64::from(ms) * 1_000,
                Action::LateReject { code, message } => plan.late_reject = Some((code, message)),
                Action::PartialFill { size } => plan.fill_at_most = Some(size),
                Action::Reject { code, message } => {
                    return answer(ack, Err(Reject::Injected { code, message }));
                }
                other => self.side_effect(now_us, &other),
            }
        }
        let result = self.accept(now_us, order, plan);
        answer(ack, result)
    }

    /// A cancel arrives. `Ok` means queued: the order may still fill first.
    pub fn cancel(&mut self, now_us: i64, id: &str, bump_us: i64, held: bool) -> Reply<()> {
        let mut ack = Ack { due_us: now_us + self.sample(self.spec.latency.ack), lost: false };
        let actions = if held { Vec::new() } else { self.faults.draw_request(Subject::of(Class::Cancel)) };
        for action in actions {
            match action {
                Action::DropRequest => return Reply::Never,
                Action::DelayRequest { ms } => {
                    return Reply::Hold { until_us: now_us + i64::from(ms) * 1_000 };
                }
                Action::DropAck => ack.lost = true,
                Action::DelayAck { ms } => ack.due_us += i64::from(ms) * 1_000,
                Action::Reject { code, message } => {
                    return answer(ack, Err(Reject::Injected { code, message }));
                }
                other => self.side_effect(now_us, &other),
            }
        }
        let result = match self.orders.get(id) {
            None => Err(Reject::NotFound),
            Some(live) if !live.view.state.is_live() => Err(Reject::Closed),
            Some(_) => Ok(()),
        };
        if result.is_ok() {
            let due = now_us + bump_us + self.sample(self.spec.latency.accept);
            self.schedule(due, Work::Cancel(id.to_owned()));
        }
        answer(ack, result)
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
        let id =
            order.id.clone().unwrap_or_else(|| format!("{}{:015}", now_us / 1_000, self.orders.len() + 1));
        if self.orders.contains_key(&id) {
            return Err(Reject::Duplicate);
        }
        let named = !order.client_ref.is_empty() && self.spec.style == Style::OrderBook;
        if named && !self.client_refs.insert((order.account, order.client_ref.clone())) {
            return Err(Reject::Duplicate);
        }
        let due = now_us + order.bump_us + self.sample(self.spec.latency.accept);
        let view = self.view_of(now_us, &id, order);
        self.orders.insert(id.clone(), Live { view, plan });
        self.live.insert(self.orders.len() - 1);
        self.schedule(due, Work::Check(id.clone()));
        Ok(id)
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

    fn view_of(&self, now_us: i64, id: &str, order: NewOrder) -> OrderView {
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
        if order.reduce_only && !reduces {
            return Err(Reject::ReduceOnlyIncreases);
        }
        if order.reduce_only && order.size > held.abs() {
            return Err(Reject::ReduceOnlyExceeds);
        }
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

    pub(super) fn finish_cancel(&mut self, now_us: i64, id: &str) {
        if self.orders.get(id).is_some_and(|live| live.view.state.is_live()) {
            self.end(now_us, id, State::Cancelled, Some(Reject::UserCancelled));
        }
    }

    pub(super) fn end(&mut self, now_us: i64, id: &str, state: State, reason: Option<Reject>) {
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

fn answer<T>(ack: Ack, result: Result<T, Reject>) -> Reply<T> {
    match ack.lost {
        true => Reply::Never,
        false => Reply::At { due_us: ack.due_us, result },
    }
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
    }
}
