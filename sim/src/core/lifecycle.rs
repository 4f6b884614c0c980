//! The life of an order: arrival, acknowledgement, risk check, match, rest, cancel.
//!
//! The second half of `Exchange`. Each stage runs when its time has come; faults chosen at arrival
//! travel with the order as its plan.

use super::account::Trade;
use super::book::{average_against, total};
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
                    return Reply::Hold { until_us: now_us + ms * 1_000 };
                }
                Action::DropAck => ack.lost = true,
                Action::DelayAck { ms } => ack.due_us += ms * 1_000,
                Action::HoldFill { ms } => plan.hold_us += ms * 1_000,
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
        let actions = if held { Vec::new() } else { self.faults.draw(Subject::of(Class::Cancel)) };
        for action in actions {
            match action {
                Action::DropRequest => return Reply::Never,
                Action::DelayRequest { ms } => {
                    return Reply::Hold { until_us: now_us + ms * 1_000 };
                }
                Action::DropAck => ack.lost = true,
                Action::DelayAck { ms } => ack.due_us += ms * 1_000,
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
        self.faults.draw(subject)
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
        let held = self.accounts[order.account].positions[order.market].size;
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

    /// Resting orders that the market has come to are filled at their own price.
    pub(super) fn match_resting(&mut self, now_us: i64, market: usize) {
        let resting: Vec<OrderId> = self
            .orders
            .values()
            .filter(|live| live.view.market == market && live.view.state == State::Open)
            .filter(|live| {
                !self.markets[market].book.walk(live.view.side, 1, Some(live.view.limit)).is_empty()
            })
            .map(|live| live.view.id.clone())
            .collect();
        for id in resting {
            let Some(view) = self.orders.get(&id).map(|live| live.view.clone()) else {
                continue;
            };
            let price = view.limit;
            self.fill(now_us, &id, &[(price, view.remaining())], true);
            self.end(now_us, &id, State::Filled, None);
        }
    }

    /// The order meets the book.
    pub(super) fn try_match(&mut self, now_us: i64, id: &str) {
        let Some(live) = self.orders.get(id).filter(|live| live.view.state == State::New) else {
            return;
        };
        let view = live.view.clone();
        let wanted = live.plan.fill_at_most.map_or(view.size, |most| most.min(view.size));
        let limit = (view.limit > 0).then_some(view.limit);
        let taken = self.markets[view.market].book.walk(view.side, wanted, limit);
        let (reached, _) = total(&taken);
        match self.verdict(&view, reached, wanted) {
            Verdict::Take => {
                self.take(now_us, &view, &taken);
                self.settle_rest(now_us, id);
            }
            Verdict::Rest => self.rest(now_us, id),
            Verdict::End(state, reason) => self.end(now_us, id, state, Some(reason)),
        }
    }

    fn verdict(&mut self, order: &OrderView, reached: i64, wanted: i64) -> Verdict {
        let house = self.spec.style == Style::House;
        if house && order.tif != Tif::Gtc && self.rng.chance(self.spec.requote_ppm) {
            return Verdict::End(State::Rejected, Reject::PriceCheck);
        }
        match order.tif {
            Tif::PostOnly if reached > 0 => Verdict::End(State::Cancelled, Reject::PostOnlyCrosses),
            Tif::PostOnly => Verdict::Rest,
            Tif::Fok if reached < order.size => Verdict::End(State::Cancelled, Reject::NotFilled),
            Tif::Gtc if reached == 0 => Verdict::Rest,
            _ if house
                && order.kind == Kind::Market
                && (reached == 0 || self.refuses_part(reached, wanted)) =>
            {
                Verdict::End(State::Rejected, Reject::PriceCheck)
            }
            _ if reached == 0 => Verdict::End(State::Cancelled, Reject::NotFilled),
            _ => Verdict::Take,
        }
    }

    fn refuses_part(&self, reached: i64, wanted: i64) -> bool {
        self.spec.thin_book == ThinBook::Reject && reached < wanted
    }

    /// Executes: a house at one price, an order book level by level.
    fn take(&mut self, now_us: i64, order: &OrderView, taken: &[Level]) {
        let market = order.market;
        let change = self.markets[market].book.consume(order.side, taken);
        if self.spec.style == Style::House {
            let price = average_against(order.side, taken, self.markets[market].spec.tick);
            let (size, _) = total(taken);
            return self.fill(now_us, &order.id, &[(price, size)], false);
        }
        self.publish_change(now_us, market, change);
        self.fill(now_us, &order.id, taken, false);
    }

    fn settle_rest(&mut self, now_us: i64, id: &str) {
        let Some(view) = self.orders.get(id).map(|live| &live.view) else {
            return;
        };
        match (view.remaining(), view.tif) {
            (0, _) => self.end(now_us, id, State::Filled, None),
            (_, Tif::Gtc) => self.rest(now_us, id),
            _ => self.end(now_us, id, State::Cancelled, Some(Reject::NotFilled)),
        }
    }

    fn rest(&mut self, now_us: i64, id: &str) {
        if let Some(live) = self.orders.get_mut(id) {
            live.view.state = State::Open;
            live.view.updated_us = now_us;
            let view = live.view.clone();
            self.tell(now_us, Event::Order(view));
        }
    }

    /// Books the fills of one order and tells of them; the order's own event follows from its state.
    fn fill(&mut self, now_us: i64, id: &str, parts: &[Level], maker: bool) {
        let Some(order) = self.orders.get(id).map(|live| live.view.clone()) else {
            return;
        };
        self.accrue(order.market, now_us);
        for (price, size) in parts {
            let fill = self.book_fill(now_us, id, *price, *size, maker);
            self.fills.push(fill.clone());
            self.tell(now_us, Event::Fill(fill));
        }
        self.tell_holdings(now_us, order.account, order.market);
    }

    fn book_fill(&mut self, now_us: i64, id: &str, price: i64, size: i64, maker: bool) -> FillView {
        let fill_id = format!("{}{:015}", now_us / 1_000, self.fills.len() + 1);
        let order = &mut self.orders[id].view;
        let market = &mut self.markets[order.market];
        let fee = fee(self.spec.style, order.taker_fee + market.spec.premium, price, size);
        let effect = self.accounts[order.account].trade(Trade {
            market: order.market,
            side: order.side,
            price,
            size,
            fee,
            funding_index_e12: market.funding_index_e12,
            at_us: now_us,
            fill_id: &fill_id,
        });
        market.last = price;
        order.filled += size;
        order.notional += money::mul(price, size, Round::Nearest);
        order.fees += fee;
        order.settled_funding += effect.funding;
        order.realized_pnl += effect.realized_pnl;
        order.updated_us = now_us;
        let fill = FillView {
            id: fill_id,
            order_id: order.id.clone(),
            client_ref: order.client_ref.clone(),
            account: order.account,
            market: order.market,
            side: order.side,
            maker,
            price,
            size,
            remaining: order.remaining(),
            fee,
            funding: effect.funding,
            realized_pnl: effect.realized_pnl,
            index: market.model.index(),
            book_seq: market.seq,
            at_us: now_us,
            busted: false,
        };
        order.last_fill = Some(fill.clone());
        fill
    }

    fn end(&mut self, now_us: i64, id: &str, state: State, reason: Option<Reject>) {
        if let Some(live) = self.orders.get_mut(id) {
            live.view.state = state;
            live.view.reason = reason;
            live.view.updated_us = now_us;
            let view = live.view.clone();
            self.tell(now_us, Event::Order(view));
        }
    }
}

enum Verdict {
    Take,
    Rest,
    End(State, Reject),
}

fn answer<T>(ack: Ack, result: Result<T, Reject>) -> Reply<T> {
    match ack.lost {
        true => Reply::Never,
        false => Reply::At { due_us: ack.due_us, result },
    }
}

/// A house rounds its fee to 6 places, an order book to 8; both to the nearest.
fn fee(style: Style, rate: i64, price: i64, size: i64) -> i64 {
    let notional = money::mul(price, size, Round::Nearest);
    let exact = i128::from(notional) * i128::from(rate);
    let quantum = i128::from(super::account::Account::dollar_quantum(style));
    let units = money::divide(exact, i128::from(money::ONE) * quantum, Round::Nearest);
    money::clamp(units * quantum)
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
    use crate::core::fault::Rule;
    use crate::core::model::Script;
    use crate::core::money::ONE;
    use crate::options::Options;

    const SECOND: i64 = 1_000_000;

    /// A venue whose BTC mid stands still at 72,000, and its clock.
    struct Bench {
        exchange: Exchange,
        now_us: i64,
        events: Vec<Event>,
    }

    impl Bench {
        fn new(style: Style) -> Self {
            let options = Options { vest_premium_cbps: 50, ..Options::default() };
            let spec = if style == Style::House { options.vest_spec(0) } else { options.paradex_spec(0) };
            let mut bench = Self { exchange: Exchange::new(spec), now_us: 0, events: Vec::new() };
            let still = Script { mid: Some(72_000 * ONE), basis_bps: Some(0), ..Script::default() };
            bench.exchange.set_script(0, 0, still);
            bench.pass(SECOND);
            bench
        }

        fn pass(&mut self, us: i64) {
            self.now_us += us;
            self.exchange.advance(self.now_us, &mut self.events);
        }

        fn order(&self, side: Side, size: i64, limit: i64) -> NewOrder {
            NewOrder {
                account: 0,
                market: 0,
                side,
                kind: Kind::Limit,
                tif: Tif::Ioc,
                size,
                limit: limit * ONE,
                reduce_only: false,
                client_ref: String::new(),
                signed_at_ms: self.now_us / 1_000,
                window_ms: 1_000,
                id: None,
                bump_us: 0,
                taker_fee: None,
                note: String::new(),
                held: false,
            }
        }

        fn submit(&mut self, order: NewOrder) -> Reply<OrderId> {
            self.exchange.submit(self.now_us, order)
        }

        /// Submits, lets a second pass and returns the order.
        fn trade(&mut self, order: NewOrder) -> OrderView {
            let Reply::At { result: Ok(id), .. } = self.submit(order) else { panic!("not accepted") };
            self.pass(SECOND);
            self.exchange.order(&id).unwrap().clone()
        }

        fn refusal(&mut self, order: NewOrder) -> Reject {
            match self.submit(order) {
                Reply::At { result: Err(reject), .. } => reject,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_order_book_fills_level_by_level_and_consumes_what_it_shows() {
        let mut bench = Bench::new(Style::OrderBook);
        let asks = bench.exchange.book(0).asks();
        let size = asks[0].1 + asks[1].1 / 2 / 1_000 * 1_000;
        let Reply::At { result: Ok(id), .. } = bench.submit(bench.order(Side::Buy, size, 75_000)) else {
            panic!()
        };
        while !bench.exchange.order(&id).is_some_and(|o| o.state == State::Filled) {
            bench.pass(100);
        }
        let fills: Vec<FillView> = bench.exchange.fills(0).cloned().collect();
        assert_eq!(fills.len(), 2);
        assert_eq!((fills[0].price, fills[1].price), (asks[0].0, asks[1].0));
        assert_eq!(bench.exchange.book(0).best(Side::Sell).unwrap().0, asks[1].0);
        let fee = money::divide(
            i128::from(asks[0].0) * i128::from(asks[0].1) * 45_000,
            10_i128.pow(16),
            Round::Nearest,
        );
        assert_eq!(i128::from(fills[0].fee), fee);
    }

    #[test]
    fn a_house_fills_at_one_price_and_charges_the_premium() {
        let mut bench = Bench::new(Style::House);
        let filled = bench.trade(bench.order(Side::Buy, 3 * ONE, 75_000));
        assert_eq!(filled.state, State::Filled);
        assert_eq!(bench.exchange.fills(0).count(), 1);
        assert_eq!(filled.average() % (ONE / 100), 0);
        assert_eq!(
            filled.fees,
            money::to_multiple(money::mul(filled.notional, 15_000, Round::Nearest), 100, Round::Nearest)
        );
    }

    #[test]
    fn the_ledger_adds_up_to_the_balance_through_many_trades() {
        for style in [Style::House, Style::OrderBook] {
            let mut bench = Bench::new(style);
            bench.exchange.set_funding(bench.now_us, 0, 5_000_000_000);
            for round in 0..40_i64 {
                let side = if round % 3 == 0 { Side::Sell } else { Side::Buy };
                let limit = if side == Side::Buy { 75_000 } else { 69_000 };
                bench.trade(bench.order(side, (1 + round % 7) * 1_000_000, limit));
            }
            let held = bench.exchange.position(0, 0).size;
            bench.trade(bench.order(Side::Sell, held, 69_000));
            let account = &bench.exchange.accounts()[0];
            let total: i64 = account.ledger.iter().map(|entry| entry.amount).sum();
            let orders: i64 =
                bench.exchange.orders(0).map(|o| o.realized_pnl + o.settled_funding - o.fees).sum();
            assert_eq!((bench.exchange.position(0, 0).size, total), (0, account.balance));
            assert_eq!(account.balance, 100_000 * ONE + orders, "{style:?}: orders explain the balance");
            assert!(bench.exchange.orders(0).any(|o| o.settled_funding != 0));
        }
    }

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
    fn limits_rest_fill_and_are_cancelled() {
        let mut bench = Bench::new(Style::OrderBook);
        let resting = NewOrder { tif: Tif::Gtc, ..bench.order(Side::Buy, 1_000_000, 71_000) };
        let first = bench.trade(resting.clone());
        assert_eq!(first.state, State::Open);
        let Reply::At { result: Ok(()), .. } = bench.exchange.cancel(bench.now_us, &first.id, 0, false)
        else {
            panic!()
        };
        bench.pass(SECOND);
        assert_eq!(bench.exchange.order(&first.id).unwrap().reason, Some(Reject::UserCancelled));
        let again = NewOrder { signed_at_ms: bench.now_us / 1_000, ..resting };
        let second = bench.trade(again);
        let lower = Script { mid: Some(70_900 * ONE), basis_bps: Some(0), ..Script::default() };
        bench.exchange.set_script(bench.now_us, 0, lower);
        bench.pass(SECOND);
        let filled = bench.exchange.order(&second.id).unwrap();
        assert_eq!((filled.state, filled.average()), (State::Filled, 71_000 * ONE));
        let fok = NewOrder { tif: Tif::Fok, ..bench.order(Side::Buy, 80 * ONE, 70_950) };
        assert!(matches!(bench.trade(fok).state, State::Cancelled | State::Rejected));
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

    #[test]
    fn the_same_seed_and_calls_give_the_same_events() {
        let run = || {
            let mut bench = Bench::new(Style::House);
            bench.trade(bench.order(Side::Buy, ONE, 75_000));
            bench.pass(10 * SECOND);
            bench.events
        };
        assert_eq!(run(), run());
        assert!(run().len() > 100);
    }
}
