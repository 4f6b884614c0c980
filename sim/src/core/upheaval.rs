//! What a venue does to an account by itself: busts, liquidations, going back in time, new rules, maintenance.
//!
//! Part of `Exchange`; called by the control, by fault rules when they are due, and at every quote (margin).

use super::account::{LedgerKind, Trade};
use super::exchange::{Exchange, Live, Plan, Work};
use super::money::{self, Round};
use super::past::Was;
use super::types::*;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 1_440 * MINUTE_US;
/// 1970-01-01 was a Thursday: days since the epoch modulo 7 that are Saturday and Sunday.
const WEEKEND: [i64; 2] = [2, 3];
const MILLION: i128 = 1_000_000;

impl Exchange {
    /// Takes a fill back: position and fee, with the events that tell of it. False = no such fill.
    pub fn bust(&mut self, now_us: i64, fill_id: &str) -> bool {
        let Some(at) = self.fills.iter().rposition(|f| f.id == fill_id && !f.busted) else {
            return false;
        };
        self.version += 1;
        self.fills[at].busted = true;
        self.busted.push(fill_id.to_owned());
        let fill = self.fills[at].clone();
        let trade = Trade {
            market: fill.market,
            side: fill.side,
            price: fill.price,
            size: fill.size,
            fee: fill.fee,
            funding_index_e12: self.markets[fill.market].funding_index_e12,
            at_us: now_us,
            fill_id,
        };
        let (account, market) = (fill.account, fill.market);
        self.note_position(now_us, account, market);
        self.accounts[account].bust(trade);
        self.tell(now_us, Event::Bust(fill));
        self.tell_holdings(now_us, account, market);
        true
    }

    /// Takes the newest fills of an account back, one after the other; says how many there were.
    pub fn bust_newest(&mut self, now_us: i64, account: AccountId, count: usize) -> usize {
        let newest = self.fills(account).rev().filter(|fill| !fill.busted).take(count);
        let ids: Vec<String> = newest.map(|fill| fill.id.clone()).collect();
        ids.iter().filter(|id| self.bust(now_us, id)).count()
    }

    /// The venue closes a share of a position, parts per million, rounded up to a step: a liquidation against the book,
    /// a deleveraging at the mark. False = nothing is held.
    pub fn close_by_force(
        &mut self,
        now_us: i64,
        account: AccountId,
        market: usize,
        share_ppm: u32,
        cause: Cause,
    ) -> bool {
        let held = self.held(account, market);
        let step = self.markets[market].spec.step;
        let share = i128::from(held.abs()) * i128::from(share_ppm.min(1_000_000));
        let size =
            money::clamp(money::divide(share, MILLION * i128::from(step), Round::Up) * i128::from(step));
        let size = size.min(held.abs());
        if size == 0 {
            return false;
        }
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let mark = money::to_multiple(
            self.markets[market].model.mark(),
            self.markets[market].spec.tick,
            Round::Nearest,
        );
        let mut parts = match cause {
            Cause::Deleveraging => Vec::new(),
            _ => self.markets[market].book.walk(side, size, None),
        };
        let missing = size - parts.iter().map(|part| part.1).sum::<i64>();
        if missing > 0 {
            parts.push((mark.max(1), missing));
        }
        let id = self.add_forced(now_us, account, market, side, size, cause);
        self.fill(now_us, &id, &parts, false);
        self.end(now_us, &id, State::Filled, None);
        true
    }

    /// Closes positions whose account has lost its maintenance margin.
    pub(super) fn watch_margin(&mut self, now_us: i64, market: usize) {
        for account in 0..self.accounts.len() {
            if self.held(account, market) == 0 {
                continue;
            }
            let view = self.account(account, now_us);
            if view.value < view.maintenance_margin {
                self.close_by_force(now_us, account, market, 1_000_000, Cause::Liquidation);
            }
        }
    }

    /// Goes back to the state of `back_us` ago, as far as it is remembered: later fills and changes of positions have
    /// never been, orders that were touched or are open since are cancelled by force. Deposits stay.
    pub fn roll_back(&mut self, now_us: i64, back_us: i64) {
        let since_us = now_us - back_us;
        self.version += 1;
        let mut touched: Vec<OrderId> = Vec::new();
        while let Some(was) = self.memory.pop_after(since_us) {
            match was {
                Was::Position(account, market, position) => {
                    self.accounts[account].positions[market] = position;
                }
                Was::Order(id, view) => {
                    if let Some(live) = self.orders.get_mut(&id) {
                        live.view = view.map_or_else(|| untouched(&live.view), |view| *view);
                    }
                    touched.push(id);
                }
            }
        }
        let kept = self.fills.iter().rposition(|fill| fill.at_us <= since_us).map_or(0, |at| at + 1);
        self.vanished.extend(self.fills.drain(kept..));
        touched
            .extend(self.live.iter().filter_map(|at| self.orders.get_index(*at)).map(|(id, _)| id.clone()));
        touched.sort();
        touched.dedup();
        for id in touched {
            if self.order(&id).is_some_and(|order| order.state.is_live()) {
                self.end(now_us, &id, State::Cancelled, Some(Reject::RolledBack));
            }
        }
        for account in 0..self.accounts.len() {
            self.accounts[account].unbook(since_us);
            (0..self.markets.len()).for_each(|market| self.tell_holdings(now_us, account, market));
        }
    }

    /// Pays in, or takes out when negative.
    pub fn transfer(&mut self, now_us: i64, account: AccountId, amount: i64) {
        self.version += 1;
        self.accounts[account].book(now_us, LedgerKind::Deposit, None, amount, "transfer");
        let view = self.account(account, now_us);
        self.tell(now_us, Event::Account(view));
    }

    /// Changes the rules of a market; its book follows at once, resting orders stay.
    pub fn set_rules(&mut self, now_us: i64, market: usize, rules: &Rules) {
        self.version += 1;
        let spec = rules.over(&self.markets[market].spec);
        self.spec.markets[market] = spec.clone();
        self.markets[market].model.set_spec(&spec);
        self.markets[market].spec = spec;
        self.schedule_quote(now_us, market);
    }

    /// Changes the time between a market's book messages, from the next one on.
    pub fn set_cadence(&mut self, market: usize, cadence: Delay) {
        self.spec.markets[market].price.cadence = cadence;
        self.markets[market].spec.price.cadence = cadence;
        self.markets[market].model.set_spec(&self.spec.markets[market]);
    }

    /// Queues the next maintenance of the weekday cycle.
    pub(super) fn schedule_cycle(&mut self, now_us: i64) {
        let Some(cycle) = self.spec.cycle else { return };
        let today = now_us.div_euclid(DAY_US);
        let mut starts = (today..).filter(|day| !WEEKEND.contains(&day.rem_euclid(7)));
        let start_of = |day: i64| day * DAY_US + cycle.minute * MINUTE_US;
        let due_us = starts.find_map(|day| Some(start_of(day)).filter(|due_us| *due_us > now_us));
        self.schedule(due_us.unwrap_or(i64::MAX), Work::Cycle(Mode::CancelOnly));
    }

    pub(super) fn turn_cycle(&mut self, now_us: i64, mode: Mode) {
        let Some(cycle) = self.spec.cycle else { return };
        self.set_mode(now_us, mode);
        match mode {
            Mode::CancelOnly => self.schedule(now_us + cycle.cancel_only_us, Work::Cycle(Mode::PostOnly)),
            Mode::PostOnly => self.schedule(now_us + cycle.post_only_us, Work::Cycle(Mode::Ok)),
            _ => self.schedule_cycle(now_us),
        }
    }

    fn add_forced(
        &mut self,
        now_us: i64,
        account: AccountId,
        market: usize,
        side: Side,
        size: i64,
        cause: Cause,
    ) -> OrderId {
        let order = NewOrder {
            account,
            market,
            side,
            kind: Kind::Market,
            tif: Tif::Ioc,
            size,
            limit: 0,
            reduce_only: true,
            client_ref: String::new(),
            signed_at_ms: now_us / 1_000,
            window_ms: 1,
            id: None,
            bump_us: 0,
            taker_fee: None,
            note: String::new(),
            held: true,
        };
        let id = self.fresh_id(now_us);
        let view = OrderView { cause, ..self.view_of(now_us, &id, order) };
        self.insert(now_us, Live { view, plan: Plan::default() });
        id
    }
}

/// An order as if nothing had come of it.
fn untouched(view: &OrderView) -> OrderView {
    OrderView {
        state: State::New,
        reason: None,
        filled: 0,
        notional: 0,
        fees: 0,
        settled_funding: 0,
        realized_pnl: 0,
        last_fill: None,
        ..view.clone()
    }
}
