//! The control operations as data: one JSON object each, for the control port and for scenarios.
//!
//! It only names and dispatches; what an operation does is `control`'s.

use serde::Deserialize;

use crate::control::{Control, ControlError, Login, VenueName};
use crate::core::fault::Rule;
use crate::core::model::Script;
use crate::core::{Mode, Side, Socket, money};

/// An operation with its fields, as it is posted or written in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    Fault { venue: VenueName, rule: Rule },
    Clear {},
    Script { venue: VenueName, market: String, script: Script },
    Raw { venue: VenueName, market: String, text: String },
    Disconnect { venue: VenueName, socket: Socket, code: Option<u16> },
    Stall { venue: VenueName, socket: Socket, stalled: bool },
    Mode { venue: VenueName, mode: Mode },
    Funding { venue: VenueName, market: String, rate_1h_e12: i64 },
    Expire { what: Login },
    Bust { venue: VenueName, fill: String },
    Trade { venue: VenueName, market: String, side: Side, size: Size },
}

/// An amount in a command: a decimal text or a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Size(#[serde(with = "money::text")] i64);

impl Command {
    /// Does it, on both venues of a run.
    pub fn perform(self, control: &Control) -> Result<(), ControlError> {
        match self {
            Command::Fault { venue, rule } => control.fault(venue, rule),
            Command::Clear {} => control.clear(),
            Command::Script { venue, market, script } => return control.script(venue, &market, script),
            Command::Raw { venue, market, text } => return control.raw(venue, &market, text.into_bytes()),
            Command::Disconnect { venue, socket, code } => control.disconnect(venue, socket, code),
            Command::Stall { venue, socket, stalled } => control.stall(venue, socket, stalled),
            Command::Mode { venue, mode } => control.mode(venue, mode),
            Command::Funding { venue, market, rate_1h_e12 } => {
                return control.funding(venue, &market, rate_1h_e12);
            }
            Command::Expire { what } => control.expire(what),
            Command::Bust { venue, fill } => return control.bust(venue, &fill),
            Command::Trade { venue, market, side, size } => {
                return control.trade(venue, &market, side, size.0);
            }
        }
        Ok(())
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
        ] {
            serde_json::from_str::<Command>(text).unwrap();
        }
        assert!(serde_json::from_str::<Command>(r#"{"mode":{"venue":"vest","mode":"ok","x":1}}"#).is_err());
    }
}
