//! No secret leaves the engine: after a run with every kind of error, what it has written anywhere is searched for each
//! credential, token and listen key in every spelling. The search itself is shown to find what is planted.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bot4_sim::Options;
use bot4_sim::control::{Login, VenueName};
use bot4_sim::core::Socket;
use bot4_sim::core::fault::{Action, Class, Rule};
use common::Bench;
use common::bench::{PARADEX, VEST, patience};
use rustix::process::{Pid, Signal, kill_process};

/// Keys of `.env` that tell nobody anything: a date and a small number.
const PUBLIC: [&str; 2] = ["VEST_SIGNER_EXPIRY_MS", "VEST_ACCOUNT_GROUP"];

/// One secret and all its spellings.
struct Wanted {
    name: String,
    spellings: Vec<String>,
}

impl Wanted {
    fn new(name: &str, secret: &str) -> Self {
        let mut spellings = vec![secret.as_bytes().to_vec()];
        encode(secret.as_bytes(), &mut spellings);
        let digits = secret.strip_prefix("0x").unwrap_or(secret);
        let even = format!("{}{digits}", if digits.len() % 2 == 1 { "0" } else { "" });
        if let Ok(bytes) = hex::decode(&even) {
            let digits = digits.trim_start_matches('0');
            let words = [digits.to_lowercase(), digits.to_uppercase(), decimal(&bytes)];
            spellings.extend(words.map(String::into_bytes));
            encode(&bytes, &mut spellings);
            spellings.push(bytes);
        }
        let spellings = spellings.iter().map(|spelling| latin(spelling)).collect();
        Self { name: name.to_owned(), spellings }
    }

    fn stands_in(&self, text: &str) -> bool {
        self.spellings.iter().any(|spelling| text.contains(spelling))
    }
}

/// Hex in both cases, and base64 as it would stand anywhere inside a longer text.
fn encode(bytes: &[u8], spellings: &mut Vec<Vec<u8>>) {
    spellings.extend([hex::encode(bytes), hex::encode_upper(bytes)].map(String::into_bytes));
    for before in 0..3 {
        let shifted = [vec![0; before], bytes.to_vec()].concat();
        // The first and the last character depend on the neighbours.
        let skip = [0, 2, 3][before];
        for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            spellings.push(text.as_bytes()[skip..text.len() - 1].to_vec());
        }
    }
}

/// A big-endian number in decimal.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0_u32];
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(u32::to_string).collect()
}

/// Bytes as a text with one character each, without the zeros that the journal is laid out with at its end.
fn latin(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes[..end].iter().map(|&byte| char::from(byte)).collect()
}

/// Secrets of the `.env` and everything that the venues gave out.
fn wanted(bench: &Bench) -> Vec<Wanted> {
    let env = fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there");
    let lines = env.lines().filter_map(|line| line.split_once('='));
    let keys = lines.filter(|(key, _)| !PUBLIC.contains(key)).map(|(key, value)| Wanted::new(key, value));
    let issued = bench.control().issued();
    assert!(issued.len() >= 4, "tokens and listen keys were renewed: {}", issued.len());
    let logins = issued.iter().flat_map(|login| {
        let whole = Wanted::new("a token or listen key", login);
        [whole, Wanted::new("the beginning of one", beginning(login))]
    });
    keys.chain(logins).collect()
}

/// As much of a token as a message that is cut may still show.
fn beginning(token: &str) -> &str {
    &token[..token.len() * 2 / 3]
}

/// Every file below a directory with what it holds.
fn files(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).expect("the directory is there").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("it has a kind"));
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push((path.display().to_string(), latin(&fs::read(&path).expect("it can be read"))));
        }
    }
}

/// An engine whose outputs go to files.
struct Engine(Child);

impl Engine {
    fn start(bench: &Bench) -> Self {
        let file = |name: &str| fs::File::create(bench.dir.path().join(name)).expect("a file for the output");
        let mut command = bench.command("run");
        command.args(["--live", "--auto-resume"]).stdout(file("stdout")).stderr(file("stderr"));
        Self(command.spawn().expect("the binary starts"))
    }

    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), Signal::INT).expect("the engine is there");
        let end = Instant::now() + patience();
        loop {
            match self.0.try_wait().expect("it can be waited for") {
                Some(status) => return status.code(),
                None => assert!(Instant::now() < end, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn log(bench: &Bench) -> String {
    String::from_utf8_lossy(&fs::read(bench.dir.path().join("stdout")).unwrap_or_default()).into_owned()
}

/// Waits until the log holds this text so many times.
fn wait_for(bench: &Bench, text: &str, times: usize) {
    let end = Instant::now() + patience();
    while log(bench).matches(text).count() < times {
        assert!(Instant::now() < end, "{text:?} did not come {times} times:\n{}", log(bench));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a verb says, on both outputs.
fn said(mut command: Command) -> String {
    let Output { stdout, stderr, .. } = command.stderr(Stdio::piped()).output().expect("the binary starts");
    latin(&[stdout, stderr].concat())
}

fn trade(bench: &Bench, nth: usize) {
    bench.gap_bps(60);
    wait_for(bench, "\"ENTRY_EXECUTED\"", nth);
    bench.gap_bps(-20);
    wait_for(bench, "\"EXIT_EXECUTED\"", nth);
    bench.gap_bps(0);
}

/// Refusals that quote our own credentials back, lapsed logins, lost answers, garbage, lost connections.
fn run_into_errors(bench: &Bench, api_key: &str, signing_key: &str, subkey: &str) {
    let reject = |text: &str| Action::Reject { code: "1001".to_owned(), message: format!("bad key {text}") };
    let quotes = [(VenueName::Vest, api_key), (VenueName::Paradex, subkey)];
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
        for text in [api_key, signing_key, "{"] {
            bench.control().raw(venue, market, text.as_bytes().to_vec()).expect("the market exists");
        }
    }
    wait_for(bench, "BAD_FRAME", 3);
    bench.control().expire(Login::Jwt);
    bench.control().expire(Login::ListenKey);
    bench.control().disconnect(VenueName::Paradex, Socket::All, None);
    bench.control().disconnect(VenueName::Vest, Socket::Orders, None);
    wait_for(bench, "\"RECONCILED\"", 4);
}

#[test]
fn no_secret_is_written_anywhere() {
    let bench = Bench::with(Options::default(), "[log]\nlevel = \"trace\"");
    let env = fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there");
    let value = |key: &str| {
        let found = env.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.expect("the key is there").to_owned()
    };
    let engine = Engine::start(&bench);
    wait_for(&bench, "\"STARTED\"", 1);
    trade(&bench, 1);
    run_into_errors(&bench, &value("VEST_API_KEY"), &value("VEST_SIGNING_KEY"), &value("PARADEX_SUBKEY"));
    trade(&bench, 2);
    let mut status = bench.command("status");
    status.arg("--json");
    let status = said(status);
    assert!(status.contains("\"mode\""), "the engine tells its status");
    assert_eq!(engine.stop(), Some(0), "{}", log(&bench));
    bench.assert_home();

    let mut places = vec![("status".to_owned(), status)];
    for verb in ["positions", "pnl"] {
        places.push((verb.to_owned(), said(bench.command(verb))));
    }
    files(bench.dir.path(), &mut places);
    for part in ["stdout", "stderr", "journal", "bot4.db"] {
        assert!(places.iter().any(|(name, _)| name.contains(part)), "{part} was looked at");
    }
    assert!(log(&bench).contains("[REDACTED]"), "a venue quoted a key, and it was caught");
    for secret in wanted(&bench) {
        for (name, text) in &places {
            assert!(!secret.stands_in(text), "{} stands in {name}", secret.name);
        }
    }
}

#[test]
fn a_refused_start_names_no_secret() {
    let bench = Bench::new();
    let env = fs::read_to_string(&bench.sim.endpoints.env_file).expect("it is there");
    let mut keys = env.lines().filter_map(|line| line.split_once('='));
    let (_, key) = keys.find(|(name, _)| *name == "VEST_SIGNING_KEY").expect("the key is there");
    for bad in [env.replace(key, &format!("{key}zz")), env.replace(key, &format!("{key} {key}"))] {
        fs::write(&bench.sim.endpoints.env_file, bad).expect("it is ours");
        let mut command = bench.command("run");
        command.arg("--live");
        let text = said(command);
        assert!(!text.is_empty(), "it says why it does not start");
        assert!(!Wanted::new("the signing key", key).stands_in(&text), "{text}");
    }
}

#[test]
fn the_search_finds_every_spelling_that_is_planted() {
    let (key, token) = ("0x00c0ffee00deadbeef42", "eyJ.test-token.with_signs");
    for secret in [key, token] {
        let wanted = Wanted::new("planted", secret);
        assert!(!wanted.stands_in("nothing to see here"));
        let mut plants: Vec<Vec<u8>> =
            vec![secret.into(), hex::encode(secret).into(), hex::encode_upper(secret).into()];
        for prefix in ["", "a", "ab"] {
            plants.push(STANDARD_NO_PAD.encode(format!("{prefix}{secret} and more")).into());
            plants.push(URL_SAFE_NO_PAD.encode(format!("{prefix}{secret} and more")).into());
        }
        if let Ok(bytes) = hex::decode(secret.trim_start_matches("0x")) {
            plants.extend([bytes.clone(), hex::encode(&bytes).into(), hex::encode_upper(&bytes).into()]);
            plants.extend([STANDARD_NO_PAD.encode(&bytes).into(), decimal(&bytes).into()]);
        }
        for plant in plants {
            let dir = tempfile::tempdir().expect("a directory");
            let mut file = fs::File::create(dir.path().join("log")).expect("a file");
            file.write_all(&[b"before ", plant.as_slice(), b" after"].concat()).expect("it can be written");
            let mut found = Vec::new();
            files(dir.path(), &mut found);
            assert!(wanted.stands_in(&found[0].1), "{}", String::from_utf8_lossy(&plant));
        }
    }
    assert_eq!(decimal(&u64::MAX.to_be_bytes()), u64::MAX.to_string());
}
