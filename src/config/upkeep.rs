//! Periods, deadlines and bands of the cold side (SAFETY §7) that `types::Settings` does not carry: how often `keeper`
//! reconciles, when entries stop for margin, keys, database or disk, and how long a stop may take.

use super::error::ConfigError;
use super::reader::Section;
use crate::types::Rate;

/// Checked numbers of the sections `[mending]` to `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    pub mending: Mending,
    pub reconcile: Reconcile,
    pub margin: Margin,
    pub pauses: Pauses,
    pub stop_deadline_s: u32,
    pub maintenance: Maintenance,
    pub keys: KeyExpiry,
    pub database: DatabaseLag,
    pub journal_free_min_mb: u32,
    pub heartbeat_max_ms: u32,
    /// For the threads that may block.
    pub blocking_heartbeat_max_ms: u32,
}

/// The lone-leg ladder and the resolution of unknown orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mending {
    /// From the moment the exposure is known, ms.
    pub decide_ms: u32,
    /// Bands of the unwind by priced misses, bps, rising.
    pub unwind_bands_bps: Vec<u32>,
    /// Without progress for this long the latch falls, s.
    pub no_progress_halt_s: u32,
    /// When an unknown order is asked for, ms after it became unknown, rising; the last step repeats.
    pub query_at_ms: Vec<u32>,
    pub unknown_alarm_s: u32,
}

/// Periods of the running reconciliation, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconcile {
    /// While any order is open.
    pub orders_s: u32,
    pub positions_s: u32,
    pub balances_s: u32,
    /// A private stream that was silent this long is checked against REST.
    pub stream_check_s: u32,
    pub rules_s: u32,
}

/// Margin, as shares of equity; the share wanted for entries is `risk.entry_free_margin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    pub alert_share: Rate,
    pub reduce_share: Rate,
    /// Distance of mark to liquidation price, of mark.
    pub liquidation_distance: Rate,
}

/// How long the automatic pauses last, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    pub losing_pairs_s: u32,
    pub order_errors_s: u32,
    /// Realised loss of a day, of equity, that halts.
    pub daily_loss_share: Rate,
}

/// Around a venue's planned maintenance, s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub entries_off_before_s: u32,
    pub entries_on_after_s: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExpiry {
    pub warn_h: u32,
    /// Beyond the longest hold, needed for entries.
    pub spare_h: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseLag {
    pub alert_s: u32,
    pub no_entries_s: u32,
}

/// Reads the sections.
pub fn read(root: &Section<'_>) -> Result<Upkeep, ConfigError> {
    let watchdog = root.section("watchdog")?;
    Ok(Upkeep {
        mending: mending(&root.section("mending")?)?,
        reconcile: reconcile(&root.section("reconcile")?)?,
        margin: margin(&root.section("margin")?)?,
        pauses: pauses(&root.section("pauses")?)?,
        stop_deadline_s: root.section("stop")?.int("deadline_s", 5..=55)?,
        maintenance: maintenance(&root.section("maintenance")?)?,
        keys: keys(&root.section("keys")?)?,
        database: database(&root.section("database")?)?,
        journal_free_min_mb: root.section("journal")?.int("free_min_mb", 64..=1_000_000)?,
        heartbeat_max_ms: watchdog.int("heartbeat_max_ms", 500..=4_000)?,
        blocking_heartbeat_max_ms: watchdog.int("blocking_heartbeat_max_ms", 5_000..=300_000)?,
    })
}

fn mending(s: &Section<'_>) -> Result<Mending, ConfigError> {
    Ok(Mending {
        decide_ms: s.int("decide_ms", 50..=5_000)?,
        unwind_bands_bps: s.rising("unwind_bands_bps", 1..=1_000, 8)?,
        no_progress_halt_s: s.int("no_progress_halt_s", 1..=60)?,
        query_at_ms: s.rising("query_at_ms", 50..=60_000, 8)?,
        unknown_alarm_s: s.int("unknown_alarm_s", 1..=60)?,
    })
}

fn reconcile(s: &Section<'_>) -> Result<Reconcile, ConfigError> {
    Ok(Reconcile {
        orders_s: s.int("orders_s", 1..=60)?,
        positions_s: s.int("positions_s", 2..=300)?,
        balances_s: s.int("balances_s", 5..=900)?,
        stream_check_s: s.int("stream_check_s", 5..=300)?,
        rules_s: s.int("rules_s", 30..=3_600)?,
    })
}

fn margin(s: &Section<'_>) -> Result<Margin, ConfigError> {
    let margin = Margin {
        alert_share: s.share("alert_share", 5..=100)?,
        reduce_share: s.share("reduce_share", 5..=100)?,
        liquidation_distance: s.share("liquidation_distance", 5..=90)?,
    };
    if margin.alert_share < margin.reduce_share {
        let wanted = format!("at least reduce_share = {}", margin.reduce_share);
        return Err(s.clash("alert_share", "reduce_share", margin.alert_share.to_string(), wanted));
    }
    Ok(margin)
}

fn pauses(s: &Section<'_>) -> Result<Pauses, ConfigError> {
    Ok(Pauses {
        losing_pairs_s: s.int("losing_pairs_s", 1..=86_400)?,
        order_errors_s: s.int("order_errors_s", 1..=86_400)?,
        daily_loss_share: s.share("daily_loss_share", 0..=20)?,
    })
}

fn maintenance(s: &Section<'_>) -> Result<Maintenance, ConfigError> {
    Ok(Maintenance {
        entries_off_before_s: s.int("entries_off_before_s", 0..=7_200)?,
        entries_on_after_s: s.int("entries_on_after_s", 0..=7_200)?,
    })
}

fn keys(s: &Section<'_>) -> Result<KeyExpiry, ConfigError> {
    Ok(KeyExpiry { warn_h: s.int("warn_h", 1..=720)?, spare_h: s.int("spare_h", 1..=720)? })
}

fn database(s: &Section<'_>) -> Result<DatabaseLag, ConfigError> {
    Ok(DatabaseLag {
        alert_s: s.int("lag_alert_s", 1..=3_600)?,
        no_entries_s: s.int("lag_no_entries_s", 1..=86_400)?,
    })
}
