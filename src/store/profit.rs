//! A profit ledger as people and scripts read it: in `SUMMARY`, in `status` and in `pnl`. Its fields are a contract.

use serde::Serialize;

use super::number;
use crate::position::Ledger;
use crate::types::Usd;

/// A ledger for people: lines signed so that they add up to the total, positive = earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pnl {
    #[serde(serialize_with = "number::money")]
    pub entry_edge: Usd,
    #[serde(serialize_with = "number::money")]
    pub exit_cost: Usd,
    #[serde(serialize_with = "number::money")]
    pub slippage: Usd,
    #[serde(serialize_with = "number::money")]
    pub fees: Usd,
    #[serde(serialize_with = "number::money")]
    pub funding: Usd,
    #[serde(serialize_with = "number::money")]
    pub unwinds: Usd,
    #[serde(serialize_with = "number::money")]
    pub total: Usd,
}

impl From<&Ledger> for Pnl {
    fn from(ledger: &Ledger) -> Self {
        Self {
            entry_edge: ledger.entry_edge,
            exit_cost: ledger.exit_cost,
            slippage: ledger.slippage,
            fees: ledger.fees,
            funding: ledger.funding,
            unwinds: ledger.unwinds,
            total: ledger.total(),
        }
    }
}
