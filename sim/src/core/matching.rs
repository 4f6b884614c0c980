//! Orders meet the book: what is taken, at which price, what it costs, what becomes of the rest.
//!
//! Part of `Exchange`, called when an order's time to match has come and at every new quote for resting
//! orders. Roundings are the venue's own and are mirrored in the account to the last unit.

use super::account::{Account, Trade};
use super::book::{average_against, total};
use super::exchange::{Exchange, Work};
use super::fault::Wrong;
use super::money::{self, Round};
use super::types::*;

enum Verdict {
    Take,
    Rest,
    End(State, Reject),
}

impl Exchange {
    /// Resting orders that the market has come to are filled at their own price.
    pub(super) fn match_resting(&mut self, now_us: i64, market: usize) {
        if self.live.is_empty() {
            return;
        }
        let book = &self.markets[market].book;
        let reached =
            |o: &OrderView| book.best(o.side.opposite()).is_some_and(|best| o.side.takes(best.0, o.limit));
        let live = self.live.iter().filter_map(|at| self.orders.get_index(*at)).map(|(_, live)| &live.view);
        let resting = live.filter(|o| o.market == market && o.state == State::Open && reached(o));
        let resting: Vec<OrderId> = resting.map(|o| o.id.clone()).collect();
        for id in resting {
            let Some(view) = self.orders.get(&id).map(|live| live.view.clone()) else {
                continue;
            };
            if let Err(reason) = self.keeps_to_reducing(&view) {
                self.end(now_us, &id, State::Cancelled, Some(reason));
                continue;
            }
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
        if live.plan.requote {
            return self.end(now_us, id, State::Rejected, Some(Reject::PriceCheck));
        }
        if let Some(wrong) = live.plan.wrong {
            return self.execute_wrongly(now_us, &view, wrong);
        }
        if let Err(reason) = self.keeps_to_reducing(&view) {
            return self.end(now_us, id, self.given_up(), Some(reason));
        }
        // Nothing is traded that is no multiple of the step of this moment.
        let step = self.markets[view.market].spec.step;
        let most = |most: i64| (most / step * step).min(view.size);
        let wanted = live.plan.fill_at_most.map_or(view.size, most);
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

    /// What becomes of an order that was taken in and then cannot be executed.
    fn given_up(&self) -> State {
        match self.spec.style {
            Style::House => State::Rejected,
            Style::OrderBook => State::Cancelled,
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

    /// What a venue must never do, and then says it did: the account really holds it.
    fn execute_wrongly(&mut self, now_us: i64, order: &OrderView, wrong: Wrong) {
        self.note_order(now_us, &order.id);
        let worst = if order.limit > 0 { order.limit } else { order.mark };
        let (mut price, mut size) = (worst, order.size);
        if let Some(live) = self.orders.get_mut(&order.id) {
            match wrong {
                Wrong::Side => live.view.side = order.side.opposite(),
                Wrong::Size => size = order.size.saturating_mul(2),
                Wrong::Market => live.view.market = (order.market + 1) % self.markets.len(),
                Wrong::Price => price = worst + order.side.sign() * (worst / 10),
            }
        }
        if wrong == Wrong::Market {
            let market = (order.market + 1) % self.markets.len();
            price = self.markets[market].model.mark();
        }
        self.fill(now_us, &order.id, &[(price, size)], false);
        self.end(now_us, &order.id, State::Filled, None);
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
        self.note_order(now_us, id);
        if let Some(live) = self.orders.get_mut(id) {
            live.view.state = State::Open;
            live.view.updated_us = now_us;
            let view = live.view.clone();
            self.tell(now_us, Event::Order(view));
        }
    }

    /// Books the fills of one order and tells of them; the order's own event follows from its state.
    pub(super) fn fill(&mut self, now_us: i64, id: &str, parts: &[Level], maker: bool) {
        let Some(order) = self.orders.get(id).map(|live| live.view.clone()) else {
            return;
        };
        let bust_after_us = self.orders.get(id).and_then(|live| live.plan.bust_after_us);
        self.accrue(order.market, now_us);
        self.note_order(now_us, id);
        self.note_position(now_us, order.account, order.market);
        for (price, size) in parts {
            let fill = self.book_fill(now_us, id, *price, *size, maker);
            if let Some(after_us) = bust_after_us {
                self.schedule(now_us + after_us, Work::Bust(fill.id.clone()));
            }
            self.fills.push(fill.clone());
            self.tell(now_us, Event::Fill(fill));
        }
        self.tell_holdings(now_us, order.account, order.market);
    }

    fn book_fill(&mut self, now_us: i64, id: &str, price: i64, size: i64, maker: bool) -> FillView {
        self.made_fills += 1;
        let fill_id = format!("{}{:015}", now_us / 1_000, self.made_fills);
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
            cause: order.cause,
            busted: false,
        };
        order.last_fill = Some(fill.clone());
        fill
    }
}

/// A house rounds its fee to 6 places, an order book to 8; both to the nearest.
fn fee(style: Style, rate: i64, price: i64, size: i64) -> i64 {
    let notional = money::mul(price, size, Round::Nearest);
    let exact = i128::from(notional) * i128::from(rate);
    let quantum = i128::from(Account::dollar_quantum(style));
    let units = money::divide(exact, i128::from(money::ONE) * quantum, Round::Nearest);
    money::clamp(units * quantum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::bench::{Bench, SECOND};
    use crate::core::fault::{Action, Class, Rule};
    use crate::core::model::Script;
    use crate::core::money::ONE;

    #[test]
    fn an_order_book_fills_level_by_level_and_consumes_what_it_shows() {
        let mut bench = Bench::new(Style::OrderBook);
        let asks = bench.exchange.book(0).asks().to_vec();
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
    fn a_close_is_given_up_where_the_position_has_shrunk_before_it_meets_the_book() {
        for (style, state) in [(Style::House, State::Rejected), (Style::OrderBook, State::Cancelled)] {
            let mut bench = Bench::new(style);
            bench.trade(bench.order(Side::Buy, 2_000_000, 75_000));
            bench.exchange.add_fault(Rule::once(Class::Order, Action::HoldFill { ms: 500 }));
            let close = NewOrder { reduce_only: true, ..bench.order(Side::Sell, 2_000_000, 69_000) };
            let Reply::At { result: Ok(id), .. } = bench.submit(close) else { panic!("taken in") };
            bench.pass(100_000);
            assert!(bench.exchange.close_by_force(bench.now_us, 0, 0, 500_000, Cause::Liquidation));
            bench.pass(2 * SECOND);
            let order = bench.exchange.order(&id).unwrap();
            assert_eq!((order.state, order.filled), (state, 0), "{style:?}");
            assert_eq!(order.reason, Some(Reject::ReduceOnlyExceeds));
            assert_eq!(bench.exchange.position(0, 0).size, 1_000_000);
        }
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
