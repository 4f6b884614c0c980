//! The configuration as an operator meets it: the shipped files are taken, and each mistake is refused with the place,
//! what stood there, what was wanted and the mend, word for word.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use assert_cmd::Command;
use bot4::config::{self, Config, Durability, Layout, TradingMode, Wait};
use bot4::types::settings::{
    Basis, DatabaseLag, KeyExpiry, Legs, Maintenance, MarginSettings, Mending, Pauses, Reconcile,
};
use bot4::types::{OrderKind, Profile, Qty, Rate, Usd};
use bot4::venue::REGISTRY;

fn parse(name: &str, text: &str) -> Result<Config, String> {
    config::parse(name, text, &REGISTRY).map_err(|error| error.to_string())
}

fn taken(text: &str) -> Config {
    parse("my.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    match parse("my.toml", text) {
        Ok(_) => panic!("taken: {text}"),
        Err(error) => error,
    }
}

const PAIR: &str = r#"[[pairs]]
name = "BTC"
vest = "BTC-PERP"
paradex = "BTC-USD-PERP"
size = "0.001"
entry_threshold = 0.30
exit_threshold = 0.02
"#;

const MINE_TOML: &str = r#"
mode = "live"
[risk]
max_depth_share = 0.15
cooldown_s = 2.5
[threads]
spread = { core = 3, wait = "spin" }
[[pairs]]
name = "ETH"
vest = "ETH-PERP"
paradex = "ETH-USD-PERP"
size = "0.04"
entry_threshold = 0.30
exit_threshold = -0.02
"#;

const MINE_YAML: &str = r#"
mode: live
risk:
  max_depth_share: 0.15
  cooldown_s: 2.5
threads:
  spread: { core: 3, wait: spin }
pairs:
  - name: ETH
    vest: ETH-PERP
    paradex: ETH-USD-PERP
    size: "0.04"
    entry_threshold: 0.30
    exit_threshold: -0.02
"#;

#[test]
fn the_shipped_defaults_are_the_table_of_safety() {
    let config = taken(config::DEFAULTS);
    assert_eq!(config.mode, TradingMode::Paper);
    assert!(!config.settings.dedicated_account);
    let [pair] = config.settings.pairs.as_slice() else { panic!("one pair") };
    assert_eq!(pair.size, Qty::from_raw(100_000));
    assert_eq!((pair.entry_threshold, pair.exit_threshold), (Rate::from_bps(30), Rate::from_bps(2)));
    let ages: Vec<u32> = config.settings.venues.iter().map(|venue| venue.max_book_age_ms).collect();
    assert_eq!(ages, [1_500, 1_000]);
    assert_eq!(config.venues[0].order_kind, OrderKind::Market);
    assert_eq!(config.venues[1].profile, Profile::Pro);
    assert_eq!((config.threads.layout, config.threads.spread.wait), (Layout::Auto, Wait::Auto));
    let minutes: Vec<_> = config.settings.venues.iter().map(|venue| venue.maintenance_minute).collect();
    assert_eq!(minutes, [None, Some(4 * 60 + 30)]);
    let budgets: Vec<_> = config.settings.venues.iter().map(|venue| venue.orders_per_s).collect();
    assert_eq!(budgets, [5, 560], "Vest tells none; 0.7 of 800");
    assert_eq!(config.journal.durability, Durability::Process);
    let alerts = &config.alerts;
    assert!(alerts.webhook_url.is_none() && alerts.dead_man_url.is_none());
    assert_eq!((alerts.rules.lone_leg_ms, alerts.rules.unknown_ms), (1_000, 5_000));
}

#[test]
fn the_shipped_limits_are_the_table_of_safety() {
    let settings = taken(config::DEFAULTS).settings;
    let (risk, execution) = (&settings.risk, &settings.execution);
    let dollars = |whole: i64| Usd::from_raw(whole * 100_000_000);
    assert_eq!(risk.max_order_notional, dollars(200));
    assert_eq!(risk.max_pair_notional, dollars(500));
    assert_eq!(risk.max_gross_notional, dollars(2_000));
    assert_eq!(risk.max_depth_share, Rate::from_bps(2_000));
    assert_eq!((risk.max_plausible, risk.stop_widening), (Rate::from_bps(200), Rate::from_bps(100)));
    assert_eq!((risk.cooldown_ms, risk.failed_leg_cooldown_ms), (5_000, 60_000));
    assert_eq!((risk.max_entries_per_hour, risk.max_entries_per_day), (20, 200));
    assert_eq!((risk.clock_warn_ms, risk.clock_no_entries_ms, risk.clock_halt_ms), (50, 250, 1_000));
    assert_eq!((risk.max_net_delta, risk.max_skew_ms), (dollars(20), 1_500));
    assert_eq!((risk.max_hold_s, risk.max_naked_ms), (86_400, 5_000));
    assert_eq!((risk.daily_loss, risk.losing_pairs_pause), (dollars(25), 5));
    assert_eq!((risk.link_cooldown_ms, risk.max_order_errors_per_min), (60_000, 5));
    assert_eq!((risk.leverage, risk.entry_free_margin), (3, Rate::from_bps(4_000)));
    let signal = &settings.signal;
    assert_eq!(signal.basis, Basis::Ewma { half_life_s: 1_800, warmup_s: 900 });
    assert_eq!(signal.persistence_updates, 1);
    assert_eq!((execution.legs, execution.ack_deadline_ms), (Legs::Together, 1_500));
    assert_eq!(execution.completion_slippage, Rate::from_bps(15));
    assert_eq!(execution.max_unwind, Rate::from_bps(200));
    assert_eq!((execution.retry_attempts, execution.retry_delay_ms), (3, 200));
    assert_eq!((execution.receive_window_ms, execution.pending_cancel_ms), (500, 1_000));
}

#[test]
fn the_shipped_upkeep_is_the_table_of_safety() {
    let upkeep = taken(config::DEFAULTS).settings.upkeep;
    let share = |percent: i64| Rate::from_bps(percent * 100);
    let bands = [20, 50, 100].map(Rate::from_bps).to_vec();
    let query_at_ms = vec![200, 500, 1_000, 2_000];
    let mending = Mending { unwind_bands: bands, no_progress_halt_s: 10, query_at_ms, unknown_alarm_s: 5 };
    assert_eq!(upkeep.mending, mending);
    let margin =
        MarginSettings { alert_free: share(35), reduce_free: share(25), liquidation_distance: share(15) };
    assert_eq!(upkeep.margin, margin);
    // Balances come with the positions: more often than the 60 s of the table.
    assert_eq!(upkeep.reconcile, Reconcile { orders_s: 5, positions_s: 15, rules_s: 300 });
    let pauses = Pauses { losing_pairs_s: 3_600, order_errors_s: 300, daily_loss_share: share(1) };
    assert_eq!(upkeep.pauses, pauses);
    let throttle = &upkeep.throttle;
    assert_eq!((throttle.max_failed_entries, throttle.max_unwinds_per_hour), (3, 10));
    let around = Maintenance { entries_off_before_s: 900, entries_on_after_s: 60 };
    assert_eq!(upkeep.maintenance, around);
    assert_eq!(upkeep.keys, KeyExpiry { warn_h: 72, spare_h: 24 });
    assert_eq!(upkeep.database, DatabaseLag { alert_s: 60, no_entries_s: 900 });
    assert_eq!((upkeep.journal_free_min_mb, upkeep.memory_growth_max_mb), (1_024, 64));
    assert_eq!((upkeep.heartbeat_max_ms, upkeep.blocking_heartbeat_max_ms), (2_000, 30_000));
    assert_eq!(upkeep.stop_deadline_s, 20);
}

#[test]
fn the_demo_is_live_simulated_and_on_this_machine() {
    let config = config::load(Path::new("config/demo.toml")).ok().unwrap();
    assert_eq!(config.mode, TradingMode::Live);
    assert_eq!(config.settings.signal.basis, Basis::Raw);
    for venue in &config.venues {
        assert!(venue.env == "sim" && venue.rest_url.is_loopback() && venue.ws_url.is_loopback());
    }
    assert!(config.settings.pairs.iter().all(|pair| pair.entry_threshold == Rate::from_bps(30)));
}

#[test]
fn yaml_and_toml_are_the_same() {
    let toml = taken(MINE_TOML);
    let yaml = parse("my.yaml", MINE_YAML).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(toml.settings, yaml.settings);
    assert_eq!(toml.effective, yaml.effective);
    assert_eq!(toml.hash, yaml.hash);
    assert_eq!(yaml.threads.spread.core, Some(3));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    assert_eq!(
        refused("[risk]\nleverage = 3\nmax_hold = 24\n"),
        "my.toml:3:1: unknown key: got \"risk.max_hold\", wanted a key of [risk]; did you \
        mean \"max_hold_s\"?"
    );
    assert_eq!(
        refused("mod = \"paper\"\n"),
        "my.toml:1:1: unknown key: got \"mod\", wanted a key of the top level; did you mean \"mode\"?"
    );
    assert_eq!(
        refused(&format!("{PAIR}sise = 1\n")),
        "my.toml:8:1: unknown key: got \"pairs[0].sise\", wanted a key of [pairs[0]]; did you mean \"size\"?"
    );
    let yaml = parse("my.yml", "risk:\n  leverage: 3\n  max_hold: 24\n").err().unwrap();
    assert_eq!(
        yaml,
        "my.yml:3:3: unknown key: got \"risk.max_hold\", wanted a key of [risk]; did you mean \"max_hold_s\"?"
    );
}

#[test]
fn a_wrong_unit_is_refused() {
    assert_eq!(
        refused("[risk]\nslippage_bps = \"4bps\"\n"),
        "my.toml:2:16: risk.slippage_bps: got \"4bps\", wanted basis points from 0 to 1000, as a plain \
        decimal; \
         mend the value"
    );
    assert_eq!(
        refused("[risk]\nmax_hold_s = \"24h\"\n"),
        "my.toml:2:14: risk.max_hold_s: got a text, wanted a whole number from 10 to 2592000; mend the value"
    );
    assert_eq!(
        refused("[execution]\nretry_delay_ms = 0.2\n"),
        "my.toml:2:18: execution.retry_delay_ms: got 0.2, wanted a whole number from 10 to 10000; mend \
        the value"
    );
}

#[test]
fn hard_ceilings_cannot_be_lifted() {
    assert_eq!(
        refused("[risk]\nleverage = 20\n"),
        "my.toml:2:12: risk.leverage: got 20, wanted a whole number from 1 to 3; mend the value"
    );
    assert_eq!(
        refused("[risk]\nmax_order_notional_usd = 600\n"),
        "my.toml:2:26: risk.max_pair_notional_usd: got 500, wanted at least max_order_notional_usd = 600; \
         change one of the two"
    );
    for text in [
        "[execution]\nreceive_window_ms = 300000\n",
        "[risk]\nmax_depth_share = 1.5\n",
        "[risk]\ndaily_loss_usd = 0\n",
        "[stop]\ndeadline_s = 600\n",
        "[mending]\nunwind_bands_bps = [50, 20]\n",
        "[status]\nlisten = \"0.0.0.0:9464\"\n",
    ] {
        refused(text);
    }
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let said = refused("[risk]\nleverage = 3\nleverage = 2\n");
    assert!(said.starts_with("my.toml:3:1: not valid TOML: got duplicate key"), "{said}");
    let said = parse("my.yaml", "risk:\n  leverage: 3\n  leverage: 2\n").err().unwrap();
    assert!(said.starts_with("my.yaml:3:3: not valid YAML: got"), "{said}");
}

#[test]
fn plaintext_is_refused() {
    assert_eq!(
        refused("[venues.vest]\nrest_url = \"http://localhost/v2\"\n"),
        "my.toml:2:12: venues.vest.rest_url: got a plaintext http:// address, wanted a base like \
        https://host/path; \
         mend the value"
    );
    assert_eq!(
        refused("[venues.paradex]\nws_url = \"ws://localhost/v1\"\n"),
        "my.toml:2:10: venues.paradex.ws_url: got a plaintext ws:// address, wanted a base like \
        wss://host/path; \
         mend the value"
    );
}

#[test]
fn passwords_are_refused_and_not_repeated() {
    for text in [
        "[store]\nurl = \"postgres://bot:hunter2@db.example.com/bot4\"\n",
        "[store]\nurl = \"postgres://db.example.com/bot4?user=bot&password=hunter2\"\n",
        "[venues.vest]\nrest_url = \"https://bot:hunter2@host/v2\"\n",
        "[alerts]\nwebhook_url = \"http://hooks.example.com/hunter2\"\n",
    ] {
        let said = refused(text);
        assert!(!said.contains("hunter2"), "{said}");
    }
    let config = taken("[alerts]\nwebhook_url = \"https://hooks.example.com/hunter2\"\n");
    assert!(config.effective.contains("alerts.webhook_url = (set)") && !config.effective.contains("hunter2"));
}

#[test]
fn environments_are_not_mixed() {
    assert_eq!(
        refused("[venues.paradex]\nenv = \"testnet\"\n"),
        "my.toml:2:7: venues.paradex.env: got \"testnet\", wanted an environment that goes with \"prod\"; \
         set every venue to the same kind of environment"
    );
    assert_eq!(
        refused("[venues.vest]\nenv = \"sim\"\n"),
        "my.toml:2:7: venues.vest.rest_url: got host server-prod.hz.vestmarkets.com, \
         wanted a loopback host, as env = \"sim\"; change one of the two"
    );
    assert_eq!(
        refused("[venues.vest]\nenv = \"mainnet\"\n"),
        "my.toml:2:7: venues.vest.env: got \"mainnet\", wanted one of prod, dev, sim; mend the value"
    );
    taken("[venues.vest]\nenv = \"dev\"\n[venues.paradex]\nenv = \"testnet\"\n");
}

#[test]
fn a_pair_names_a_market_on_both_venues() {
    assert_eq!(
        refused(&PAIR.replace("paradex = \"BTC-USD-PERP\"\n", "")),
        "my.toml:1:1: pairs[0].paradex: got 1 of 2 markets, wanted the market's symbol on two venues; \
         name one market per venue"
    );
    assert_eq!(
        refused(&format!("{PAIR}{}", PAIR.replace("name = \"BTC\"", "name = \"BTC2\""))),
        "my.toml:10:8: pairs[1].vest: got \"BTC-PERP\" again, wanted one pair per market; remove a pair"
    );
    assert_eq!(
        refused("pairs = []\n"),
        "my.toml:1:9: pairs: got 0 pairs, wanted 1 to 16; add a [[pairs]] table"
    );
}

#[test]
fn retail_keeps_its_budget() {
    assert_eq!(
        refused("[venues.paradex]\nprofile = \"retail\"\n"),
        "my.toml:2:11: venues.paradex.orders_per_s: got 560, wanted at most 2 with profile = \"retail\"; \
         change one of the two"
    );
    taken("[venues.paradex]\nprofile = \"retail\"\norders_per_s = 2\norders_per_day = 950\n");
}

/// The real binary in an empty folder.
fn bot4(dir: &Path) -> Command {
    let mut command = Command::cargo_bin("bot4").unwrap();
    command.current_dir(dir).env_remove("CREDENTIALS_DIRECTORY");
    command
}

/// Exit code and stderr of a run with this configuration and these arguments.
fn run(config: &str, args: &[&str], env: Option<u32>) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.toml"), config).unwrap();
    if let Some(mode) = env {
        fs::write(dir.path().join(".env"), "VEST_API_KEY=c4n4ry\n").unwrap();
        fs::set_permissions(dir.path().join(".env"), Permissions::from_mode(mode)).unwrap();
    }
    let output = bot4(dir.path()).args(["run", "--config", "my.toml"]).args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_bad_configuration_ends_with_2_and_one_line() {
    let (code, said) = run("[risk]\nmax_hold = 24\n", &[], None);
    assert_eq!(code, 2);
    let wanted = "wanted a key of [risk]; did you mean \"max_hold_s\"?";
    assert_eq!(said, format!("bot4: my.toml:2:1: unknown key: got \"risk.max_hold\", {wanted}\n"));
    let output = bot4(Path::new("/")).args(["run", "--config", "absent.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "bot4: absent.toml: configuration file: got No such file or directory (os error 2), wanted a \
        readable text file \
         of at most 1 MiB; give its path with --config\n"
    );
}

#[test]
fn a_world_readable_env_is_refused() {
    let (code, said) = run("mode = \"live\"\n", &["--live"], Some(0o644));
    assert_eq!(
        (code, said.as_str()),
        (2, "bot4: .env: mode is 644, others can read it; run: chmod 600 .env\n")
    );
    let (code, said) = run("mode = \"live\"\n", &["--live"], Some(0o600));
    assert_eq!(code, 2);
    assert!(said.starts_with("bot4: .env: VEST_") && said.contains("is missing"), "{said}");
    assert!(!said.contains("c4n4ry"), "{said}");
}

#[test]
fn live_is_said_twice_or_not_at_all() {
    let (code, said) = run("mode = \"live\"\n", &[], Some(0o600));
    assert_eq!(code, 2);
    assert_eq!(
        said,
        "bot4: mode: got \"live\" without --live, wanted both or neither; add --live to send real orders\n"
    );
    assert_eq!(run("", &["--live"], Some(0o600)).0, 2);
}

#[test]
fn status_without_an_engine_says_so() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.toml"), "").unwrap();
    let output = bot4(dir.path()).args(["status", "--config", "my.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "bot4: var/bot4.sock: no engine listens there; start it, or give its configuration with --config\n"
    );
}

#[test]
fn help_has_examples() {
    for verb in ["run", "check", "status", "positions", "pnl", "migrate"] {
        let output = bot4(Path::new("/")).args([verb, "--help"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("Examples:\n  bot4 "), "{verb}: {text}");
    }
}
