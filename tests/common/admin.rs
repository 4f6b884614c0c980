//! What an administrator does beside the engine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use bot4::types::Secret;

use super::Bench;

/// Runs the verb `migrate` with an administrator's URL, as `docs/postgres.md` says; returns what it printed.
pub fn migrate(bench: &Bench, url: &Secret) -> String {
    let env = bench.dir.path().join("admin.env");
    fs::write(&env, format!("DATABASE_URL={}\n", url.expose())).unwrap();
    fs::set_permissions(&env, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bot4"));
    command.arg("migrate").arg("--config").arg(&bench.config).arg("--env-file").arg(&env);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
