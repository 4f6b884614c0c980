//! The control operations as data: one JSON object each, for the control port, for scenarios and for simulations.
//!
//! It only names them; what an operation does is `control`'s.

use serde::{Deserialize, Serialize};

use crate::core::fault::Rule;
use crate::core::model::Script;
use crate::core::{Mode, Rules, Side, Socket, money};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueName {
    Vest,
    Paradex,
}

/// A login that `expire` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    ListenKey,
    Jwt,
}

/// An operation with its fields, as it is posted or written in a scenario: one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    Fault {
        venue: VenueName,
        rule: Rule,
    },
    Clear {},
    Script {
        venue: VenueName,
        market: String,
        script: Script,
    },
    Raw {
        venue: VenueName,
        market: String,
        text: String,
    },
    Disconnect {
        venue: VenueName,
        socket: Socket,
        code: Option<u16>,
    },
    Stall {
        venue: VenueName,
        socket: Socket,
        stalled: bool,
    },
    Mode {
        venue: VenueName,
        mode: Mode,
    },
    Funding {
        venue: VenueName,
        market: String,
        rate_1h_e12: i64,
    },
    Expire {
        what: Login,
    },
    Bust {
        venue: VenueName,
        fill: String,
    },
    /// Takes the newest fills back, one after the other.
    BustNewest {
        venue: VenueName,
        count: usize,
    },
    /// Trades at the market by hand: on the trader's account and unknown to the client.
    Trade {
        venue: VenueName,
        market: String,
        side: Side,
        size: Size,
    },
    /// The same with an order that rests at a limit.
    Rest {
        venue: VenueName,
        market: String,
        side: Side,
        size: Size,
        limit: Size,
    },
    /// Cancels by hand: one order, or all.
    Cancel {
        venue: VenueName,
        #[serde(default)]
        order: Option<String>,
    },
    /// Closes a share of a position by force, parts per million, for want of margin.
    Liquidate {
        venue: VenueName,
        market: String,
        share_ppm: u32,
    },
    /// The same against a loser of the other side, at the mark.
    Deleverage {
        venue: VenueName,
        market: String,
        share_ppm: u32,
    },
    /// Goes back to the state of so long ago (at most 15 minutes).
    Rollback {
        venue: VenueName,
        ms: u32,
    },
    Rules {
        venue: VenueName,
        market: String,
        rules: Rules,
    },
    /// Pays in, or takes out when negative.
    Transfer {
        venue: VenueName,
        usd: Size,
    },
    /// Sets the venue's clock so far ahead (behind when negative), gaining so many microseconds a second.
    Clock {
        venue: VenueName,
        offset_ms: i64,
        #[serde(default)]
        drift_ppm: i64,
    },
    /// Time between the book messages of every market.
    Cadence {
        venue: VenueName,
        lo_ms: u32,
        hi_ms: u32,
    },
}

/// An amount in a command: a decimal text or a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Size(#[serde(with = "money::text")] pub i64);

impl Command {
    /// Whom it is for; `None` = both.
    pub fn venue(&self) -> Option<VenueName> {
        match self {
            Command::Clear {} => None,
            Command::Expire { what: Login::ListenKey } => Some(VenueName::Vest),
            Command::Expire { what: Login::Jwt } => Some(VenueName::Paradex),
            Command::Fault { venue, .. }
            | Command::Script { venue, .. }
            | Command::Raw { venue, .. }
            | Command::Disconnect { venue, .. }
            | Command::Stall { venue, .. }
            | Command::Mode { venue, .. }
            | Command::Funding { venue, .. }
            | Command::Bust { venue, .. }
            | Command::BustNewest { venue, .. }
            | Command::Trade { venue, .. }
            | Command::Rest { venue, .. }
            | Command::Cancel { venue, .. }
            | Command::Liquidate { venue, .. }
            | Command::Deleverage { venue, .. }
            | Command::Rollback { venue, .. }
            | Command::Rules { venue, .. }
            | Command::Transfer { venue, .. }
            | Command::Clock { venue, .. }
            | Command::Cadence { venue, .. } => Some(*venue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_from_json() {
        for text in [
            r#"{"fault":{"venue":"vest","rule":{"class":"order","action":{"hold_fill":{"ms":30000}}}}}"#,
            r#"{"clear":{}}"#,
            r#"{"script":{"venue":"paradex","market":"BTC-USD-PERP",
                "script":{"basis_bps":"-40","freeze":true}}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"private","code":1012}}"#,
            r#"{"disconnect":{"venue":"vest","socket":"md"}}"#,
            r#"{"mode":{"venue":"paradex","mode":"cancel_only"}}"#,
            r#"{"expire":{"what":"listen_key"}}"#,
            r#"{"trade":{"venue":"vest","market":"BTC-PERP","side":"buy","size":"0.01"}}"#,
            r#"{"rest":{"venue":"vest","market":"BTC-PERP","side":"buy","size":"0.01","limit":"70000"}}"#,
            r#"{"cancel":{"venue":"paradex"}}"#,
            r#"{"bust_newest":{"venue":"paradex","count":3}}"#,
            r#"{"liquidate":{"venue":"paradex","market":"BTC-USD-PERP","share_ppm":500000}}"#,
            r#"{"deleverage":{"venue":"vest","market":"BTC-PERP","share_ppm":1}}"#,
            r#"{"rollback":{"venue":"paradex","ms":60000}}"#,
            r#"{"rules":{"venue":"vest","market":"BTC-PERP","rules":{"tick":"0.5","imf":"0.2"}}}"#,
            r#"{"transfer":{"venue":"vest","usd":"-99000"}}"#,
            r#"{"clock":{"venue":"vest","offset_ms":-300,"drift_ppm":50}}"#,
            r#"{"cadence":{"venue":"paradex","lo_ms":500,"hi_ms":900}}"#,
        ] {
            serde_json::from_str::<Command>(text).unwrap();
        }
        assert!(serde_json::from_str::<Command>(r#"{"mode":{"venue":"vest","mode":"ok","x":1}}"#).is_err());
    }
}
