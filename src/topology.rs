//! THE table: which threads run where and which ring joins whom; it builds and starts them, and ends them in order.
//! Called by the verb `run`. The only file that sees every stage.
//!
//! | ring | from → to | depth | when full |
//! |---|---|---|---|
//! | `md_spread[v]`, `md_order[v]` | `md:<venue>` → `spread`, `order` | `QUOTE_RING` | conflate: newest wins |
//! | `spread_order` | `spread` → `order` | `INTENT_RING` | refuse: an old intent is worthless |
//! | `order_spread` | `order` → `spread` | `EXPOSURE_RING` | one pending slot a pair, newest wins |
//! | `order_rules` | `order` → `spread` | `KEEPER_RING` | drop: refreshed every five minutes |
//! | `order_keeper[v]`, `keeper_order[v]` | `order` ↔ `keeper:<venue>` | `KEEPER_RING` | drop: every deadline asks again |
//! | `md_keeper[v]`, `keeper_md[v]` | `md:<venue>` ↔ `keeper:<venue>` | `COMMAND_RING` | drop: stays wanted |
//! | `main_order` | `main` → `order` | `COMMAND_RING` | refused to the operator |
//! | `*_store` | everyone → `store` | `RECORD_RING` | drop and count |

mod plan;
mod startup;
mod watch;
mod wires;

use std::path::Path;
use std::sync::Arc;

use crate::book::BookThread;
use crate::book::thread::BookRings;
use crate::config::{Config, Credentials};
use crate::control;
use crate::journal::{self, FileJournal, Recovered, Tail};
use crate::keeper::thread::{KeeperThread, Rings as KeeperRings};
use crate::order::board::Board;
use crate::order::core::{Core, Effects, Input, Start};
use crate::order::paper::PaperTrader;
use crate::order::thread::{OrderThread, Rings as OrderRings};
use crate::spread::SpreadThread;
use crate::spread::thread::SpreadRings;
use crate::store::{DbThread, Names, Output, StoreThread, Target};
use crate::sys::clock::{Clock, SystemClock};
use crate::sys::lock::InstanceLock;
use crate::sys::notify::Notifier;
use crate::sys::ring::{Rx, Tx, ring};
use crate::sys::signals::Signals;
use crate::sys::thread::{Handle, Shared, ThreadSpec, Wait, Worker, spawn};
use crate::sys::waker::Waker;
use crate::sys::{cores, process};
use crate::telemetry::Telemetry;
use crate::types::limits::{
    COMMAND_RING, EXPOSURE_RING, INTENT_RING, KEEPER_RING, QUOTE_RING, RECORD_RING, VENUES_MAX,
};
use crate::types::report::{Ask, Fact};
use crate::types::{
    Command, Exposure, Intent, MarketRules, Mode, Nanos, PairId, Quote, Record, RecordKind, VenueId,
};
use crate::venue::{Answer, Desk, Feed, REGISTRY, Setup, Trader};
use plan::{Place, Plan};
use startup::Opening;
use watch::{End, Watch};
use wires::Wires;
