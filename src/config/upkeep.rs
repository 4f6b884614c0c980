//! The sections `[mending]` to `[watchdog]`: periods, deadlines and bands of what goes on beside trading (SAFETY §7).

use super::error::ConfigError;
use super::reader::Section;
use crate::types::Rate;
use crate::types::settings::{
    DatabaseLag, KeyExpiry, Maintenance, MarginSettings, Mending, Pauses, Reconcile, ThrottleSettings, Upkeep,
};

/// Reads the sections.
pub fn read(root: &Section<'_>) -> Result<Upkeep, ConfigError> {
    let watchdog = root.section("watchdog")?;
    Ok(Upkeep {
        mending: mending(&root.section("mending")?)?,
        throttle: throttle(&root.section("throttle")?)?,
        margin: margin(&root.section("margin")?)?,
        reconcile: reconcile(&root.section("reconcile")?)?,
        pauses: pauses(&root.section("pauses")?)?,
        stop_deadline_s: root.section("stop")?.int("deadline_s", 5..=55)?,
        maintenance: maintenance(&root.section("maintenance")?)?,
        keys: keys(&root.section("keys")?)?,
        database: database(&root.section("database")?)?,
        journal_free_min_mb: root.section("journal")?.int("free_min_mb", 64..=1_000_000)?,
        heartbeat_max_ms: watchdog.int("heartbeat_max_ms", 500..=4_000)?,
        store_heartbeat_max_ms: watchdog.int("store_heartbeat_max_ms", 4_000..=60_000)?,
        blocking_heartbeat_max_ms: watchdog.int("blocking_heartbeat_max_ms", 5_000..=300_000)?,
        memory_growth_max_mb: watchdog.int("memory_growth_max_mb", 1..=100_000)?,
    })
}

fn mending(s: &Section<'_>) -> Result<Mending, ConfigError> {
    let bands = s.rising("unwind_bands_bps", 1..=1_000, 8)?;
    Ok(Mending {
        unwind_bands: bands.into_iter().map(|bps| Rate::from_bps(i64::from(bps))).collect(),
        no_progress_halt_s: s.int("no_progress_halt_s", 1..=60)?,
        query_at_ms: s.rising("query_at_ms", 50..=60_000, 8)?,
        unknown_alarm_s: s.int("unknown_alarm_s", 1..=60)?,
    })
}

fn throttle(s: &Section<'_>) -> Result<ThrottleSettings, ConfigError> {
    Ok(ThrottleSettings {
        max_entries_per_min: s.int("max_entries_per_min", 1..=100_000)?,
        max_failed_entries: s.int("max_failed_entries", 1..=100_000)?,
        max_unwinds_per_hour: s.int("max_unwinds_per_hour", 1..=100_000)?,
    })
}

fn margin(s: &Section<'_>) -> Result<MarginSettings, ConfigError> {
    let margin = MarginSettings {
        alert_free: s.share("alert_free", 10..=90)?,
        reduce_free: s.share("reduce_free", 5..=80)?,
        liquidation_distance: s.share("liquidation_distance", 5..=50)?,
    };
    if margin.alert_free < margin.reduce_free {
        let wanted = "at least reduce_free".to_owned();
        return Err(s.clash("alert_free", "reduce_free", margin.alert_free.percent().to_string(), wanted));
    }
    Ok(margin)
}

fn reconcile(s: &Section<'_>) -> Result<Reconcile, ConfigError> {
    Ok(Reconcile {
        orders_s: s.int("orders_s", 1..=60)?,
        positions_s: s.int("positions_s", 2..=300)?,
        rules_s: s.int("rules_s", 30..=3_600)?,
    })
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
