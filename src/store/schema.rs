//! The tables, the same in both databases, and their version. Money is in units of 1e-8 (`_e8`), rates in units of
//! 1e-12 (`_e12`), times in nanoseconds since the epoch (`_ns`); zero or an empty text means "not yet". Each row's key
//! comes from the journal (its birth, and the entry's number or the order's id), so that writing twice writes once.

use super::sql::{Statement, Value};

/// Version of the schema that this release reads and writes.
pub const VERSION: i64 = 1;

/// Creates what is missing.
pub const TABLES: &str = "
CREATE TABLE IF NOT EXISTS schema_version (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    version BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS marker (
    journal BIGINT PRIMARY KEY,
    next_seq BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS positions (
    journal BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    pair TEXT NOT NULL,
    direction TEXT NOT NULL,
    long_exchange TEXT NOT NULL,
    short_exchange TEXT NOT NULL,
    long_qty_e8 BIGINT NOT NULL,
    short_qty_e8 BIGINT NOT NULL,
    long_price_e8 BIGINT NOT NULL,
    short_price_e8 BIGINT NOT NULL,
    entry_spread_e12 BIGINT NOT NULL,
    basis_e12 BIGINT NOT NULL,
    opened_ns BIGINT NOT NULL,
    status TEXT NOT NULL,
    close_reason TEXT NOT NULL,
    exit_spread_e12 BIGINT NOT NULL,
    pnl_usd_e8 BIGINT NOT NULL,
    closed_ns BIGINT NOT NULL,
    PRIMARY KEY (journal, seq)
);
CREATE TABLE IF NOT EXISTS orders (
    journal BIGINT NOT NULL,
    client_id TEXT NOT NULL,
    pair TEXT NOT NULL,
    exchange TEXT NOT NULL,
    exchange_id TEXT NOT NULL,
    side TEXT NOT NULL,
    purpose TEXT NOT NULL,
    qty_e8 BIGINT NOT NULL,
    limit_e8 BIGINT NOT NULL,
    expected_e8 BIGINT NOT NULL,
    state TEXT NOT NULL,
    filled_e8 BIGINT NOT NULL,
    reason TEXT NOT NULL,
    decided_ns BIGINT NOT NULL,
    changed_ns BIGINT NOT NULL,
    PRIMARY KEY (journal, client_id)
);
CREATE TABLE IF NOT EXISTS fills (
    journal BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    client_id TEXT NOT NULL,
    fill_id TEXT NOT NULL,
    qty_e8 BIGINT NOT NULL,
    price_e8 BIGINT NOT NULL,
    fee_usd_e8 BIGINT NOT NULL,
    funding_usd_e8 BIGINT NOT NULL,
    busted BIGINT NOT NULL,
    filled_ns BIGINT NOT NULL,
    PRIMARY KEY (journal, seq)
);
CREATE TABLE IF NOT EXISTS ledger (
    journal BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    pair TEXT NOT NULL,
    reason TEXT NOT NULL,
    entry_edge_e8 BIGINT NOT NULL,
    exit_cost_e8 BIGINT NOT NULL,
    slippage_e8 BIGINT NOT NULL,
    fees_e8 BIGINT NOT NULL,
    funding_e8 BIGINT NOT NULL,
    unwinds_e8 BIGINT NOT NULL,
    total_e8 BIGINT NOT NULL,
    booked_ns BIGINT NOT NULL,
    PRIMARY KEY (journal, seq)
);
CREATE INDEX IF NOT EXISTS positions_open ON positions (pair) WHERE status = 'open';
";

/// On a server with roles: row level security on everything, and for the role `bot4`, where it exists, exactly what
/// `run` needs. It cannot delete, and it cannot touch the schema.
pub const POSTGRES_RIGHTS: &str = "
DO $$
DECLARE name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['schema_version', 'marker', 'positions', 'orders', 'fills', 'ledger'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'bot4') THEN
            EXECUTE format('DROP POLICY IF EXISTS bot4_reads ON %I', name);
            EXECUTE format('CREATE POLICY bot4_reads ON %I FOR SELECT TO bot4 USING (true)', name);
            EXECUTE format('GRANT SELECT ON %I TO bot4', name);
            CONTINUE WHEN name = 'schema_version';
            EXECUTE format('DROP POLICY IF EXISTS bot4_adds ON %I', name);
            EXECUTE format('CREATE POLICY bot4_adds ON %I FOR INSERT TO bot4 WITH CHECK (true)', name);
            EXECUTE format('DROP POLICY IF EXISTS bot4_changes ON %I', name);
            EXECUTE format('CREATE POLICY bot4_changes ON %I FOR UPDATE TO bot4 USING (true)', name);
            EXECUTE format('GRANT INSERT, UPDATE ON %I TO bot4', name);
        END IF;
    END LOOP;
END
$$;
";

/// Writes the version that [`TABLES`] makes. A newer one is left alone.
pub fn set_version() -> Statement {
    Statement {
        sql: "INSERT INTO schema_version (only_row, version) VALUES (1, $1) ON CONFLICT (only_row)
              DO UPDATE SET version = excluded.version WHERE schema_version.version < excluded.version",
        params: vec![Value::Int(VERSION)],
    }
}

pub fn get_version() -> Statement {
    Statement { sql: "SELECT version FROM schema_version", params: Vec::new() }
}

/// Number of the first entry of `journal` that is not in the tables.
pub fn get_marker(journal: i64) -> Statement {
    Statement { sql: "SELECT next_seq FROM marker WHERE journal = $1", params: vec![Value::Int(journal)] }
}

/// Moves the marker, never back.
pub fn set_marker(journal: i64, next_seq: u64) -> Statement {
    Statement {
        sql: "INSERT INTO marker (journal, next_seq) VALUES ($1, $2) ON CONFLICT (journal)
              DO UPDATE SET next_seq = excluded.next_seq WHERE marker.next_seq < excluded.next_seq",
        params: vec![Value::Int(journal), Value::Int(next_seq as i64)],
    }
}
