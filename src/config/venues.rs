//! The sections `[venues.<name>]`, one per venue of the registry: environment, bases, order kind, profile, ages and
//! budgets. Environments may not be mixed, and a simulated one lives on this machine only (SAFETY 5.4).

use std::path::PathBuf;

use super::error::ConfigError;
use super::reader::Section;
use super::url::{BaseUrl, Scheme};
use crate::types::settings::VenueSettings;
use crate::types::{OrderKind, Pool, Profile, VenueId};
use crate::venue::{REGISTRY, Venue};

/// The environment that trades real money, and the one that may only be on this machine.
const PRODUCTION: &str = "prod";
const SIMULATION: &str = "sim";
/// Order messages a second that a Retail account may use: 0.7 of its 3, rounded down (SAFETY §7, rate limits).
const RETAIL_ORDERS_PER_S: u32 = 2;
/// Orders in 24 h after which a Retail account stops (SAFETY §7, rate of entries).
const RETAIL_ORDERS_PER_DAY: u32 = 950;

/// One venue as the operator configured it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueSection {
    pub id: VenueId,
    /// One of the venue's `environments`.
    pub env: String,
    pub rest_url: BaseUrl,
    pub ws_url: BaseUrl,
    /// Extra root certificate (PEM), beside the built-in ones.
    pub ca_file: Option<PathBuf>,
    pub order_kind: OrderKind,
    pub profile: Profile,
    pub pool: Pool,
    pub max_book_age_ms: u32,
    pub orders_per_s: u32,
    /// Zero = no such budget.
    pub orders_per_day: u32,
    /// Minute of the day, UTC, of the planned maintenance on weekdays.
    pub maintenance_minute: Option<u32>,
}

impl VenueSection {
    /// Whether real money is there.
    pub fn is_production(&self) -> bool {
        self.env == PRODUCTION
    }

    /// What the pure stages need of it.
    pub fn settings(&self) -> VenueSettings {
        let venue = &REGISTRY[self.id.index()];
        VenueSettings {
            id: self.id,
            max_book_age_ms: self.max_book_age_ms,
            orders_per_s: self.orders_per_s,
            orders_per_day: self.orders_per_day,
            maintenance_minute: self.maintenance_minute,
            closes_by_rest: venue.order_fallback || venue.orders_by_request,
        }
    }
}

/// Every venue of the registry, in its order.
pub fn read(root: &Section<'_>, registry: &[Venue]) -> Result<Vec<VenueSection>, ConfigError> {
    let venues = root.section("venues")?;
    let read = |(at, venue): (usize, &Venue)| section(&venues.section(venue.name)?, venue, VenueId(at as u8));
    let sections: Vec<VenueSection> = registry.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    refuse_mixture(&venues, registry, &sections)?;
    Ok(sections)
}

fn section(s: &Section<'_>, venue: &Venue, id: VenueId) -> Result<VenueSection, ConfigError> {
    let environments: Vec<(&str, &str)> = venue.environments.iter().map(|env| (*env, *env)).collect();
    let section = VenueSection {
        id,
        env: s.word("env", &environments)?.to_owned(),
        rest_url: s.url("rest_url", Scheme::Https)?,
        ws_url: s.url("ws_url", Scheme::Wss)?,
        ca_file: s.optional_path("ca_file")?,
        order_kind: order_kind(s)?,
        profile: profile(s)?,
        pool: pool(s)?,
        max_book_age_ms: s.int("max_book_age_ms", 50..=10_000)?,
        orders_per_s: s.int("orders_per_s", 1..=560)?,
        orders_per_day: s.int("orders_per_day", 0..=1_000_000)?,
        maintenance_minute: s.minute_of_day("maintenance_utc")?,
    };
    refuse_remote_simulation(s, &section)?;
    refuse_retail_excess(s, &section)?;
    Ok(section)
}

/// A venue that gives no choice has no such key.
fn order_kind(s: &Section<'_>) -> Result<OrderKind, ConfigError> {
    const WORDS: [(&str, OrderKind); 3] =
        [("market", OrderKind::Market), ("fok", OrderKind::Fok), ("ioc", OrderKind::Ioc)];
    if s.has("order_kind") { s.word("order_kind", &WORDS) } else { Ok(OrderKind::default()) }
}

/// As [`order_kind`].
fn pool(s: &Section<'_>) -> Result<Pool, ConfigError> {
    if !s.has("order_connections") {
        return Ok(Pool::default());
    }
    Ok(Pool { connections: s.int("order_connections", 2..=8)?, keep_warm_s: s.int("keep_warm_s", 5..=300)? })
}

/// As [`order_kind`].
fn profile(s: &Section<'_>) -> Result<Profile, ConfigError> {
    const WORDS: [(&str, Profile); 2] = [("pro", Profile::Pro), ("retail", Profile::Retail)];
    if s.has("profile") { s.word("profile", &WORDS) } else { Ok(Profile::default()) }
}

fn refuse_remote_simulation(s: &Section<'_>, section: &VenueSection) -> Result<(), ConfigError> {
    if section.env != SIMULATION {
        return Ok(());
    }
    let remote = [("rest_url", &section.rest_url), ("ws_url", &section.ws_url)];
    match remote.iter().find(|(_, url)| !url.is_loopback()) {
        Some((key, url)) => {
            let (got, wanted) =
                (format!("host {}", url.host()), "a loopback host, as env = \"sim\"".to_owned());
            Err(s.clash(key, "env", got, wanted))
        }
        None => Ok(()),
    }
}

fn refuse_retail_excess(s: &Section<'_>, section: &VenueSection) -> Result<(), ConfigError> {
    if section.profile != Profile::Retail {
        return Ok(());
    }
    if section.orders_per_s > RETAIL_ORDERS_PER_S {
        let wanted = format!("at most {RETAIL_ORDERS_PER_S} with profile = \"retail\"");
        return Err(s.clash("orders_per_s", "profile", section.orders_per_s.to_string(), wanted));
    }
    if !(1..=RETAIL_ORDERS_PER_DAY).contains(&section.orders_per_day) {
        let wanted = format!("1 to {RETAIL_ORDERS_PER_DAY} with profile = \"retail\"");
        return Err(s.clash("orders_per_day", "profile", section.orders_per_day.to_string(), wanted));
    }
    Ok(())
}

/// Production stands with production only, a simulation with simulations only: one leg with real money and one without
/// is a naked leg.
fn refuse_mixture(
    venues: &Section<'_>,
    registry: &[Venue],
    sections: &[VenueSection],
) -> Result<(), ConfigError> {
    let Some(first) = sections.first() else { return Ok(()) };
    for (venue, section) in registry.iter().zip(sections) {
        let differs = |env: &str| (section.env == env) != (first.env == env);
        if differs(PRODUCTION) || differs(SIMULATION) {
            let at = venues.section(venue.name)?;
            let (got, wanted) =
                (format!("{:?}", section.env), format!("an environment that goes with {:?}", first.env));
            return Err(at.refused_because(
                "env",
                got,
                wanted,
                "set every venue to the same kind of environment",
            ));
        }
    }
    Ok(())
}
