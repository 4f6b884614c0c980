//! Names of the channels that a socket can subscribe to.
//!
//! `session` parses and compares them, `feed` addresses events by them. Source: Paradex sheet §5.5, §5.6.

use super::error::RpcError;

/// Which markets a channel is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Markets {
    All,
    One(String),
}

/// A channel that this venue serves.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// The whole book, then its changes. With retail liquidity when `interactive`.
    Deltas {
        market: String,
        interactive: bool,
    },
    /// The first 15 levels a side, every `period_ms`.
    Top15 {
        market: String,
        period_ms: i64,
    },
    Bbo {
        markets: Markets,
        interactive: bool,
    },
    Summary(Markets),
    FundingData(Markets),
    Orders(Markets),
    Fills(Markets),
    Positions,
    Account,
    /// Fills taken back.
    Tradebusts,
    /// Acknowledged and silent: nothing happens on it in this simulation.
    Silent {
        name: String,
        private: bool,
    },
}

/// Channels that exist on the venue and carry nothing here.
const SILENT: [(&str, bool); 9] = [
    ("trades.", false),
    ("markets", false),
    ("funding_rate_comparison.", false),
    ("balance_events", true),
    ("funding_payments.", true),
    ("transaction", true),
    ("transfers", true),
    ("mmp", true),
    ("block_trades", true),
];

impl Channel {
    /// Parses a channel's name; `known` tells which markets exist.
    pub fn parse(name: &str, known: impl Fn(&str) -> bool) -> Result<Channel, RpcError> {
        let (topic, rest) = name.split_once('.').unwrap_or((name, ""));
        let markets = |text: &str| match text {
            "ALL" => Ok(Markets::All),
            market if known(market) => Ok(Markets::One(market.to_owned())),
            _ => Err(RpcError::subscribe("unknown market")),
        };
        match topic {
            "order_book" => book(rest, known),
            "bbo" => match rest.strip_suffix(".interactive") {
                Some(market) => Ok(Channel::Bbo { markets: markets(market)?, interactive: true }),
                None => Ok(Channel::Bbo { markets: markets(rest)?, interactive: false }),
            },
            "markets_summary" if rest.is_empty() => Ok(Channel::Summary(Markets::All)),
            "markets_summary" => Ok(Channel::Summary(markets(rest)?)),
            "funding_data" => Ok(Channel::FundingData(markets(rest)?)),
            "orders" => Ok(Channel::Orders(markets(rest)?)),
            "fills" => Ok(Channel::Fills(markets(rest)?)),
            "positions" if rest.is_empty() => Ok(Channel::Positions),
            "account" if rest.is_empty() => Ok(Channel::Account),
            "tradebusts" if rest.is_empty() => Ok(Channel::Tradebusts),
            _ => silent(name),
        }
    }

    /// Whether the socket must have authenticated.
    pub fn is_private(&self) -> bool {
        match self {
            Channel::Orders(_) | Channel::Fills(_) => true,
            Channel::Positions | Channel::Account | Channel::Tradebusts => true,
            Channel::Silent { private, .. } => *private,
            _ => false,
        }
    }

    /// What frames do not tell apart on one socket: only one channel may hold each.
    pub fn exclusive_key(&self) -> Option<(&'static str, &str)> {
        match self {
            Channel::Deltas { market, .. } | Channel::Top15 { market, .. } => Some(("order_book", market)),
            Channel::Bbo { markets: Markets::One(market), .. } => Some(("bbo", market)),
            _ => None,
        }
    }
}

impl Markets {
    pub fn covers(&self, market: &str) -> bool {
        match self {
            Markets::All => true,
            Markets::One(name) => name == market,
        }
    }
}

fn book(rest: &str, known: impl Fn(&str) -> bool) -> Result<Channel, RpcError> {
    let (market, feed) = rest.split_once('.').ok_or_else(|| RpcError::subscribe("missing feed type"))?;
    if !known(market) {
        return Err(RpcError::subscribe("unknown market"));
    }
    let (kind, parameters) = feed.split_once('@').unwrap_or((feed, ""));
    let market = market.to_owned();
    match (kind, parameters) {
        ("deltas", "") if !feed.contains('@') => Ok(Channel::Deltas { market, interactive: false }),
        ("interactive_deltas", "") if !feed.contains('@') => {
            Ok(Channel::Deltas { market, interactive: true })
        }
        ("deltas" | "interactive_deltas", _) => {
            Err(RpcError::subscribe(&format!("no parameters expected for {kind} topic.")))
        }
        ("snapshot", "15@50ms") => Ok(Channel::Top15 { market, period_ms: 50 }),
        ("snapshot" | "interactive", "15@100ms") => Ok(Channel::Top15 { market, period_ms: 100 }),
        ("interactive", "15@200ms") => Ok(Channel::Top15 { market, period_ms: 200 }),
        ("interactive", "15@400ms") => Ok(Channel::Top15 { market, period_ms: 400 }),
        _ => Err(RpcError::subscribe("unknown feed type or parameters")),
    }
}

fn silent(name: &str) -> Result<Channel, RpcError> {
    let known = SILENT.iter().find(|(topic, _)| match topic.strip_suffix('.') {
        Some(_) => name.starts_with(topic) && name.len() > topic.len(),
        None => name == *topic || name.strip_prefix(topic).is_some_and(|rest| rest.starts_with('.')),
    });
    match known {
        Some((_, private)) => Ok(Channel::Silent { name: name.to_owned(), private: *private }),
        None => Err(RpcError::subscribe("unknown channel")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> Result<Channel, RpcError> {
        Channel::parse(name, |market| market == "BTC-USD-PERP")
    }

    #[test]
    fn the_bare_deltas_name_is_served_and_a_suffix_refused_as_recorded() {
        let deltas = Channel::Deltas { market: "BTC-USD-PERP".into(), interactive: false };
        assert_eq!(parse("order_book.BTC-USD-PERP.deltas"), Ok(deltas));
        let error = parse("order_book.BTC-USD-PERP.deltas@15@50ms").unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (-32600, "invalid subscribe request"));
        assert_eq!(error.data.as_deref(), Some("no parameters expected for deltas topic."));
    }

    #[test]
    fn private_channels_are_marked() {
        for name in
            ["orders.ALL", "fills.BTC-USD-PERP", "positions", "account", "balance_events", "transfers"]
        {
            assert!(parse(name).unwrap().is_private(), "{name}");
        }
        for name in
            ["bbo.ALL", "markets_summary", "markets_summary.BTC-USD-PERP", "trades.ALL", "funding_data.ALL"]
        {
            assert!(!parse(name).unwrap().is_private(), "{name}");
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "",
            "order_book",
            "order_book.XRP.deltas",
            "bbo.XRP",
            "positions.ALL",
            "orders",
            "quotes.ALL",
            "trades.",
        ] {
            assert!(parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn books_of_one_market_exclude_each_other() {
        let key = |name: &str| {
            parse(name).unwrap().exclusive_key().map(|(topic, market)| (topic, market.to_owned()))
        };
        let deltas = key("order_book.BTC-USD-PERP.deltas");
        assert_eq!(deltas, key("order_book.BTC-USD-PERP.snapshot@15@100ms"));
        assert_ne!(deltas, key("bbo.BTC-USD-PERP"));
        assert_eq!(key("bbo.ALL"), None);
    }
}
