//! No secret leaves the engine: after a run with every kind of error, what it has written anywhere, and what the kernel
//! shows of it, is searched for each credential, token and listen key in every spelling. The search itself is shown to
//! find what is planted.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bot4_sim::Options;
use bot4_sim::control::{Login, VenueName};
use bot4_sim::core::Socket;
use bot4_sim::core::fault::{Action, Class, Rule};
use common::bench::{PARADEX, VEST};
use common::canary::{Canaries, decimal, files};
use common::logged::Logged;
use common::postgres::Server;
use common::{Bench, admin};
use rustix::process::Signal;

/// Keys of `.env` that tell nobody anything: a date and a small number.
const PUBLIC: [&str; 2] = ["VEST_SIGNER_EXPIRY_MS", "VEST_ACCOUNT_GROUP"];
/// In the database's URL, and nowhere else.
const PASSWORD: &str = "Kq7vZr2/xW9+pLm4tBn8cY";

/// What was looked at: a place and its bytes.
type Places = Vec<(String, Vec<u8>)>;

fn env(bench: &Bench) -> String {
    fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there")
}

fn value(bench: &Bench, key: &str) -> String {
    let env = env(bench);
    let found = env.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.expect("the key is there").to_owned()
}

/// Secrets of the `.env` and everything that the venues gave out.
fn canaries(bench: &Bench) -> Canaries {
    let mut canaries = Canaries::default();
    let env = env(bench);
    for (key, value) in env.lines().filter_map(|line| line.split_once('=')) {
        if !PUBLIC.contains(&key) && key != "DATABASE_URL" {
            canaries.add(key, value);
        }
    }
    canaries.add("the database's password", PASSWORD);
    for login in bench.control().issued() {
        canaries.add("a token or listen key", &login);
    }
    canaries
}

/// As much of a token as a message that is cut may still show.
fn beginning(token: &str) -> &str {
    &token[..token.len() * 2 / 3]
}

/// What a verb says, on both outputs.
fn said(command: &mut Command) -> Vec<u8> {
    let Output { stdout, stderr, .. } = command.stderr(Stdio::piped()).output().expect("the binary starts");
    [stdout, stderr].concat()
}

/// Refusals that quote our own credentials back, lapsed logins, lost answers, garbage, lost connections.
fn run_into_errors(bench: &Bench, engine: &Logged<'_>) {
    let [api_key, signing_key, subkey] =
        ["VEST_API_KEY", "VEST_SIGNING_KEY", "PARADEX_SUBKEY"].map(|key| value(bench, key));
    let reject = |text: &str| Action::Reject { code: "1001".to_owned(), message: format!("bad key {text}") };
    let quotes = [(VenueName::Vest, &api_key), (VenueName::Paradex, &subkey)];
    for (venue, secret) in quotes {
        bench.control().fault(venue, Rule::once(Class::Query, reject(secret)));
        bench.control().fault(venue, Rule::once(Class::Order, reject(secret)));
        bench.control().fault(venue, Rule { skip: 1, ..Rule::once(Class::Order, Action::DropAck) });
    }
    // And the tokens of this run, whole and cut off, as a venue's own error page might.
    let issued = bench.control().issued();
    for (nth, token) in issued.iter().flat_map(|token| [token.as_str(), beginning(token)]).enumerate() {
        for (venue, _) in quotes {
            let skip = nth as u32 + 1;
            bench.control().fault(venue, Rule { skip, ..Rule::once(Class::Query, reject(token)) });
        }
    }
    for (venue, market) in [(VenueName::Vest, VEST), (VenueName::Paradex, PARADEX)] {
        for text in [api_key.as_str(), &signing_key, "{"] {
            bench.control().raw(venue, market, text.as_bytes().to_vec()).expect("the market exists");
        }
    }
    engine.wait_for("BAD_FRAME", 3);
    bench.control().expire(Login::Jwt);
    bench.control().expire(Login::ListenKey);
    bench.control().disconnect(VenueName::Paradex, Socket::All, None);
    bench.control().disconnect(VenueName::Vest, Socket::Orders, None);
    engine.wait_for("\"RECONCILED\"", 4);
}

/// What the kernel and the control socket tell of a running engine.
fn looked_at(engine: &Logged<'_>) -> Places {
    let mut places: Places = ["environ", "cmdline", "maps", "status", "comm"]
        .map(|name| (format!("/proc/<pid>/{name}"), engine.proc(name)))
        .into();
    assert!(!engine.proc("cmdline").is_empty(), "the kernel shows the command line");
    for line in [
        r#"{"verb":"status"}"#,
        r#"{"verb":"resume"}"#,
        r#"{"verb":{"adopt":{"pair":"NONE"}}}"#,
        r#"{"verb":"show","keys":true}"#,
        "GET /keys HTTP/1.1",
    ] {
        let reply = engine.ask(line);
        assert!(reply.starts_with(r#"{"done":"#) || reply.starts_with(r#"{"refused":"#), "{reply}");
        places.push((format!("the control socket's reply to {line}"), reply.into_bytes()));
    }
    places
}

#[test]
fn no_secret_is_written_anywhere() {
    let bench = Bench::with(Options::default(), "[log]\nlevel = \"trace\"");
    let mut engine = Logged::start(&bench);
    engine.wait_for("\"STARTED\"", 1);
    engine.trade(1);
    run_into_errors(&bench, &engine);
    engine.trade(2);
    let mut places = looked_at(&engine);
    for verb in ["status", "positions", "pnl", "check", "flatten"] {
        places.push((format!("bot4 {verb}"), said(&mut bench.command(verb))));
    }
    assert_eq!(engine.stop(), Some(0), "{}", engine.log());
    bench.assert_home();

    files(bench.dir.path(), &mut places);
    for part in ["stdout", "stderr", "journal/flatten", "bot4.db", "environ"] {
        assert!(places.iter().any(|(name, _)| name.contains(part)), "{part} was looked at");
    }
    assert!(engine.log().contains("[REDACTED]"), "a venue quoted a key, and it was caught");
    assert!(bench.control().issued().len() >= 4, "tokens and listen keys were renewed");
    let canaries = canaries(&bench);
    for (name, bytes) in &places {
        canaries.assert_absent(name, bytes);
    }
}

#[test]
fn no_secret_reaches_postgres_or_a_core_file() {
    let server = Server::start();
    server.psql(&format!("CREATE ROLE bot4 LOGIN PASSWORD '{PASSWORD}'"));
    let extra = format!("[store]\nca_file = '{}'\n[log]\nlevel = \"trace\"", server.ca().display());
    let bench = Bench::with(Options::default(), &extra);
    admin::migrate(&bench, &server.url("postgres", server.port()));
    let coded: String = PASSWORD.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = server.url(&format!("bot4:{coded}"), server.port());
    let mut env_file =
        OpenOptions::new().append(true).open(&bench.sim.endpoints.env_file).expect("it is ours");
    writeln!(env_file, "DATABASE_URL={}", url.expose()).expect("it can be written");

    // The limit that a shell would have lifted is back at nothing before there is a key.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; cd \"$1\"; shift; exec \"$@\"", "sh"]).arg(bench.dir.path());
    let run = bench.command("run");
    command.arg(run.get_program()).args(run.get_args()).args(["--live", "--auto-resume"]);
    let mut engine = Logged::spawn(&bench, command);
    engine.wait_for("\"STARTED\"", 1);
    engine.trade(1);
    engine.wait_for("POSITION_SAVED", 1);
    let mut places = looked_at(&engine);
    places.push(("sessions".to_owned(), server.psql("SELECT * FROM pg_stat_activity").into_bytes()));
    let limits = String::from_utf8(engine.proc("limits")).expect("text");
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(cores.split_whitespace().rev().take(3).collect::<Vec<_>>(), ["bytes", "0", "0"]);
    engine.signal(Signal::ABORT);
    let status = engine.join();
    assert!(!std::os::unix::process::ExitStatusExt::core_dumped(&status), "{status}");

    let list = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let tables = server.psql(list);
    assert!(tables.lines().count() >= 5, "{tables}");
    for table in tables.lines() {
        places.push((format!("table {table}"), server.psql(&format!("SELECT * FROM {table}")).into_bytes()));
    }
    assert!(places.iter().any(|(name, rows)| name == "table fills" && !rows.is_empty()));
    files(bench.dir.path(), &mut places);
    let kept = fs::remove_file(bench.dir.path().join("admin.env"));
    assert!(kept.is_ok(), "the administrator's file is the test's own");
    assert!(
        !places.iter().any(|(name, _)| name.rsplit('/').next().is_some_and(|file| file.starts_with("core")))
    );
    let canaries = canaries(&bench);
    for (name, bytes) in &places {
        canaries.assert_absent(name, bytes);
    }
}

#[test]
fn a_refused_start_names_no_secret() {
    let bench = Bench::new();
    let (env, key) = (env(&bench), value(&bench, "VEST_SIGNING_KEY"));
    let mut canaries = Canaries::default();
    canaries.add("the signing key", &key);
    for bad in [env.replace(&key, &format!("{key}zz")), env.replace(&key, &format!("{key} {key}"))] {
        fs::write(&bench.sim.endpoints.env_file, bad).expect("it is ours");
        let text = said(bench.command("run").arg("--live"));
        assert!(!text.is_empty(), "it says why it does not start");
        canaries.assert_absent("what it says", &text);
    }
}

/// Twelve spellings of a secret, as a program might give them by accident.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let reversed: Vec<u8> = secret.iter().rev().copied().collect();
    let percent: String = secret.iter().map(|byte| format!("%{byte:02x}")).collect();
    let mut all = vec![secret.to_vec(), reversed.clone()];
    let texts = [
        hex::encode(secret),
        format!("0x{}", hex::encode(secret)),
        hex::encode_upper(secret),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        STANDARD.encode([b"a", secret, b" and more"].concat()),
        URL_SAFE_NO_PAD.encode([b"ab", secret, b"!"].concat()),
        decimal(secret),
        percent.clone(),
        percent.to_uppercase(),
        format!("{secret:?}"),
        hex::encode(reversed),
    ];
    all.extend(texts.map(String::into_bytes));
    all
}

#[test]
fn the_search_finds_every_spelling_that_is_planted() {
    let (key, token) = ("0x00c0ffee00deadbeef42fe17", "eyJ.test-token/with+signs\"and quotes");
    let bytes = hex::decode(&key[2..]).expect("hexadecimal");
    for (secret, value) in [(key, bytes.as_slice()), (token, token.as_bytes())] {
        let mut canaries = Canaries::default();
        canaries.add("planted", secret);
        assert_eq!(canaries.find(b"nothing to see here, and 1234567890 of it"), None);
        let mut plants = [spellings(secret.as_bytes()), spellings(value)].concat();
        // Any eight bytes of it are too many.
        for stretch in value.windows(8) {
            plants.extend(spellings(stretch).into_iter().filter(|spelling| spelling.len() >= 8));
        }
        plants.push(serde_json::to_vec(secret).expect("text"));
        for plant in plants {
            let found = canaries.find(&[b"before ", plant.as_slice(), b" after"].concat());
            assert!(found.is_some_and(|(name, _)| name == "planted"), "{}", plant.escape_ascii());
        }
        for stretch in value.windows(7) {
            let text = [b"<", stretch, b">"].concat();
            assert_eq!(canaries.find(&text), None, "{} is not yet a secret", text.escape_ascii());
        }
    }
    assert_eq!(decimal(&u64::MAX.to_be_bytes()), u64::MAX.to_string());
}
