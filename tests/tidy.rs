//! The rules of the house as a plain test over the source text, so that they outlive whoever wrote them: who may import
//! whom, where a venue may be named, how long a line, a function and a file may be, and words that stand nowhere.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Stages in the order in which data flows; a file imports its own and earlier ones. What is not listed (`config`,
/// `topology`, `main`) sees all.
const STAGES: [&str; 11] = [
    "types",
    "sys",
    "venue",
    "book",
    "spread",
    "position",
    "journal",
    "order",
    "keeper",
    "store",
    "telemetry",
];
/// Stages whose files are pure but for their `thread.rs` (or what lies in `thread/`).
const PURE_STAGES: [&str; 5] = ["book", "spread", "position", "order", "keeper"];
/// Parts of `sys` that wire code may know: the seams, not the machine.
const SEAMS: [&str; 3] = ["sys::link", "sys::rest", "sys::pages"];
const VENUES: [&str; 2] = ["vest", "paradex"];

/// Code is held to this by rustfmt; a comment may run a little further.
const LINE_MAX: usize = 110;
const COMMENT_MAX: usize = 120;
const FILE_MAX: usize = 500;
const FUNCTION_MAX: usize = 80;

/// What only one file may hold.
const ONE_PLACE: [(&str, &[&str]); 10] = [
    ("Mutex", &["src/sys/socket.rs"]),
    ("RwLock", &[]),
    ("Instant::now", &["src/sys/clock.rs"]),
    ("SystemTime::now", &["src/sys/clock.rs"]),
    ("thread::spawn", &[]),
    ("Builder::new()", &["src/sys/thread.rs"]),
    ("println!", &[]),
    ("eprintln!", &["src/main.rs"]),
    // The log; what verbs print, through a writer that `cli::main` hands down.
    ("stdout()", &["src/store/output.rs", "src/cli/mod.rs"]),
    ("stderr()", &["src/cli/mod.rs", "src/cli/prompt.rs", "src/sys/process.rs"]),
];

/// One source file.
struct Source {
    path: String,
    text: String,
    /// Its lines outside tests without comments, numbered from 1.
    code: Vec<(usize, String)>,
}

impl Source {
    fn read(path: &Path) -> Self {
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        Self::new(name, fs::read_to_string(path).unwrap())
    }

    fn new(path: String, text: String) -> Self {
        let code = code_lines(&text);
        Self { path, text, code }
    }

    /// Folder or file under `src/`, e.g. `order` for `src/order/gate.rs`.
    fn stage(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?;
        rest.split('/').next().map(|first| first.trim_end_matches(".rs"))
    }

    fn complain<'a>(
        &'a self,
        what: &'a str,
        hit: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = String> + 'a {
        let lines = self.code.iter().filter(move |(_, line)| hit(line));
        lines.map(move |(n, line)| format!("{}:{n}: {what}: {}", self.path, line.trim()))
    }
}

#[test]
fn nobody_imports_a_later_stage() {
    check(sources(&["src"]), |source| {
        let Some(own) = source.stage().and_then(|stage| STAGES.iter().position(|&name| name == stage)) else {
            return Vec::new();
        };
        let later = |line: &str| imports(line).iter().any(|path| stage_index(path).is_some_and(|n| n > own));
        source.complain("imports a later stage", later).collect()
    });
}

#[test]
fn pure_files_touch_neither_the_machine_nor_a_venue() {
    check(sources(&["src"]), |source| {
        let pure =
            source.stage().is_some_and(|stage| PURE_STAGES.contains(&stage)) && !is_shell(&source.path);
        let impure = |path: &String| path.starts_with("sys") || path.starts_with("venue");
        let hit = |line: &str| pure && imports(line).iter().any(impure);
        source.complain("a pure file imports sys or venue", hit).collect()
    });
}

#[test]
fn wire_code_knows_only_the_seams_of_the_machine() {
    check(sources(&["src/venue"]), |source| {
        let machine =
            |path: &String| path.starts_with("sys") && !SEAMS.iter().any(|seam| path.starts_with(seam));
        source.complain("wire code reaches into sys", |line| imports(line).iter().any(machine)).collect()
    });
}

#[test]
fn a_venue_is_named_only_in_its_own_folder_and_in_the_registry() {
    check(sources(&["src"]), |source| {
        let named = |line: &str| VENUES.iter().any(|venue| names(line, venue));
        let at_home = |venue: &str| source.path.starts_with(&format!("src/venue/{venue}/"));
        let foreign = |line: &str| VENUES.iter().any(|venue| names(line, venue) && !at_home(venue));
        match source.path.as_str() {
            "src/venue/mod.rs" => Vec::new(),
            path if path.starts_with("src/venue/") => {
                source.complain("names another venue", foreign).collect()
            }
            _ => source.complain("names a venue", named).collect(),
        }
    });
}

#[test]
fn locks_clocks_threads_and_printing_have_one_place_each() {
    check(sources(&["src"]), |source| {
        let strays = ONE_PLACE.iter().filter(|(_, homes)| !homes.contains(&source.path.as_str()));
        strays.flat_map(|(word, _)| source.complain("belongs elsewhere", |line| holds(line, word))).collect()
    });
}

#[test]
fn unsafe_stands_only_in_sys_and_says_why() {
    check(sources(&["src", "sim/src"]), |source| {
        let in_sys = source.path.starts_with("src/sys/");
        let lines: Vec<&str> = source.text.lines().collect();
        let explained = |n: usize| lines[n.saturating_sub(8)..n].iter().any(|line| line.contains("SAFETY:"));
        let bad = source.code.iter().filter(|(n, line)| {
            let used = holds(line, "unsafe") && !line.contains("unsafe_");
            used && !(in_sys && explained(*n))
        });
        bad.map(|(n, line)| format!("{}:{n}: unsafe: {}", source.path, line.trim())).collect()
    });
}

#[test]
fn nothing_outside_tests_unwraps() {
    check(sources(&["src", "sim/src"]), |source| {
        source.complain("unwraps", |line| line.contains(".unwrap()") || line.contains(".expect(")).collect()
    });
}

#[test]
fn every_file_says_what_it_owns() {
    check(sources(&["src", "sim/src", "tests", "benches"]), |source| {
        let silent = !source.text.starts_with("//!");
        silent.then(|| format!("{}: does not open with //!", source.path)).into_iter().collect()
    });
}

#[test]
fn lines_functions_and_files_are_short() {
    check(sources(&["src", "sim/src", "tests", "benches"]), |source| {
        let mut bad = Vec::new();
        let count = source.text.lines().count();
        if count > FILE_MAX {
            bad.push(format!("{}: {count} lines, at most {FILE_MAX}", source.path));
        }
        for (n, line) in (1..).zip(source.text.lines()) {
            let max = if line.trim_start().starts_with("//") { COMMENT_MAX } else { LINE_MAX };
            if line.chars().count() > max {
                bad.push(format!("{}:{n}: wider than {max}", source.path));
            }
        }
        for (n, length) in functions(&source.text) {
            if length > FUNCTION_MAX {
                bad.push(format!(
                    "{}:{n}: a function of {length} lines, at most {FUNCTION_MAX}",
                    source.path
                ));
            }
        }
        bad
    });
}

#[test]
fn words_that_stand_nowhere() {
    // Split, so that this list does not find itself.
    let unfinished =
        [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"], ["#[ign", "ore"]].map(|word| word.concat());
    let places = [["/ro", "ot/"], ["/ho", "me/"], ["/wo", "rk/"], ["/sha", "red/"]].map(|path| path.concat());
    let vague = [["hel", "per"], ["ut", "ils"]].map(|word| word.concat());
    check(texts(), |source| {
        let mut bad = Vec::new();
        for (n, line) in (1..).zip(source.text.lines()) {
            let found = unfinished.iter().chain(&places).any(|word| line.contains(word.as_str()))
                || vague.iter().any(|word| line.to_lowercase().contains(word.as_str()));
            if found {
                bad.push(format!("{}:{n}: {}", source.path, line.trim()));
            }
        }
        bad
    });
}

/// Batches and amendments have answers of several parts (SAFETY O20, O21): no such request can be made.
#[test]
fn what_is_not_used_is_not_there() {
    let unused = ["create_batch", "orders/batch", "order.modify", "PUT /orders"];
    let sources: Vec<Source> = texts().into_iter().filter(|source| source.path.starts_with("src/")).collect();
    check(sources, |source| {
        let found = unused.iter().filter(|word| source.text.contains(**word));
        found.map(|word| format!("{}: {word}", source.path)).collect()
    });
}

/// Nothing from a repository or another registry, and each with its checksum (SAFETY L20).
#[test]
fn every_dependency_comes_from_the_public_registry() {
    let lock = include_str!("../Cargo.lock");
    let packages: Vec<&str> = lock.split("[[package]]").skip(1).collect();
    assert!(packages.len() > 100, "{} packages", packages.len());
    for package in packages {
        let name = package.lines().find(|line| line.starts_with("name = ")).unwrap();
        let source = package.lines().find(|line| line.starts_with("source = "));
        let ours = ["name = \"bot4\"", "name = \"bot4-sim\""].contains(&name);
        let public =
            source.is_some_and(|line| line.contains("registry+https://github.com/rust-lang/crates.io-index"));
        assert!(ours || (public && package.contains("checksum = ")), "{package}");
    }
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert_eq!(imports("use crate::sys::link::{Link};"), ["sys::link::"]);
    assert_eq!(imports("use crate::{order, sys::link};"), ["order", "sys::link"]);
    assert_eq!(
        imports("fn f(x: crate::venue::Venue) -> crate::types::Qty {"),
        ["venue::Venue", "types::Qty"]
    );
    assert!(names("let x = VestFeed::new();", "vest") && names("\"PARADEX_SUBKEY\"", "paradex"));
    assert!(!names("let invested = harvest();", "vest"));
    assert!(holds("let m: Mutex<u8>", "Mutex") && !holds("eprintln!(x)", "println!"));
    let text = "fn a() {\n    b();\n}\n\n    pub fn c() {\n        d();\n        e();\n    }\n";
    assert_eq!(functions(text), [(1, 3), (5, 4)]);
    assert!(functions("    fn a(\n        b: u8,\n    ) -> u8;\n    fn c() -> u8;\n}\n").is_empty());
    let tested = "a(); // x.unwrap()\n#[cfg(test)]\nmod tests {\n    b.unwrap();\n}\nc();\n";
    assert_eq!(code_lines(tested), [(1, "a(); ".to_owned()), (6, "c();".to_owned())]);
    assert_eq!(test_files("#[cfg(test)]\npub mod play;\n#[cfg(test)]\nmod tests {\n}\n"), ["play"]);
    assert!(code_lines("//! x\n#![cfg(test)]\nb.unwrap();\n").is_empty());
    assert!(
        is_shell("src/order/thread.rs")
            && is_shell("src/order/thread/poll.rs")
            && !is_shell("src/order/gate.rs")
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn check(sources: Vec<Source>, rule: impl Fn(&Source) -> Vec<String>) {
    assert!(!sources.is_empty(), "nothing to look at");
    let mut report = String::new();
    for complaint in sources.iter().flat_map(rule) {
        writeln!(report, "{complaint}").unwrap();
    }
    assert!(report.is_empty(), "\n{report}");
}

/// Rust sources under these folders; a folder that is not there holds none.
fn sources(folders: &[&str]) -> Vec<Source> {
    let all = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let rust = all.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let mut sources: Vec<Source> = rust.map(|path| Source::read(&path)).collect();
    let tests: Vec<String> = sources.iter().flat_map(test_paths).collect();
    for source in &mut sources {
        let inside =
            |test: &String| source.path.strip_prefix(test).is_some_and(|rest| rest.starts_with(['.', '/']));
        if tests.iter().any(inside) {
            source.code.clear();
        }
    }
    sources
}

/// Paths, without their end, of the files that only a test build holds and that this one declares.
fn test_paths(source: &Source) -> Vec<String> {
    let path = source.path.trim_end_matches(".rs");
    let parent = path.strip_suffix("/mod").or(path.strip_suffix("/lib")).unwrap_or(path);
    test_files(&source.text).into_iter().map(|name| format!("{parent}/{name}")).collect()
}

/// Everything that a person reads and that is ours.
fn texts() -> Vec<Source> {
    let folders = [
        "src",
        "sim",
        "tests",
        "benches",
        "scripts",
        "config",
        ".ci",
        "docs",
        "perf",
        "systemd",
        "README.md",
    ];
    let inside = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let ends = ["rs", "toml", "sh", "md", "run", "txt", "tsv", "service"];
    let ours = inside.filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.rsplit('.').next().is_some_and(|end| ends.contains(&end))
    });
    ours.map(|path| Source::read(&path)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.is_file() {
        return vec![folder.to_owned()];
    }
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Lines outside test modules, without comments. A file that is all test has none.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    if text.lines().any(|line| line == "#![cfg(test)]") {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let (mut code, mut testing) = (Vec::new(), false);
    for (at, line) in lines.iter().enumerate() {
        testing |= test_module(&lines, at).is_some_and(|module| module.ends_with('{'));
        if !testing {
            code.push((at + 1, without_comment(line)));
        }
        testing &= *line != "}";
    }
    code.retain(|(_, line)| !line.trim().is_empty());
    code
}

/// The module that a `#[cfg(test)]` in this line guards.
fn test_module<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let guarded = lines.get(at).is_some_and(|line| *line == "#[cfg(test)]");
    let item = guarded.then(|| lines[at + 1..].iter().find(|line| !line.starts_with("#[")))??;
    let module = item.split_whitespace().find(|word| !word.starts_with("pub")) == Some("mod");
    module.then_some(*item)
}

/// Names of the files that only a test build holds: `mod x;` after `#[cfg(test)]`.
fn test_files(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let items = (0..lines.len()).filter_map(|at| test_module(&lines, at));
    let named = items.filter_map(|item| item.strip_suffix(';')?.split_whitespace().last());
    named.map(str::to_owned).collect()
}

/// The line up to `//`, which inside a URL is none.
fn without_comment(line: &str) -> String {
    let mut end = 0;
    while let Some(at) = line[end..].find("//").map(|at| at + end) {
        if at == 0 || line.as_bytes()[at - 1] != b':' {
            return line[..at].to_owned();
        }
        end = at + 2;
    }
    line.to_owned()
}

/// Paths after `crate::`, the members of a list one by one.
fn imports(line: &str) -> Vec<String> {
    let paths = line.match_indices("crate::").map(|(at, word)| &line[at + word.len()..]);
    paths.flat_map(split_list).collect()
}

fn split_list(path: &str) -> Vec<String> {
    let members = path.strip_prefix('{').map_or_else(|| vec![path], |list| list.split(',').collect());
    let name = |member: &str| {
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        member.trim().chars().take_while(|&c| part(c)).collect::<String>()
    };
    members.into_iter().map(name).filter(|name| !name.is_empty()).collect()
}

fn stage_index(path: &str) -> Option<usize> {
    let first = path.split("::").next()?;
    STAGES.iter().position(|&stage| stage == first)
}

fn is_shell(path: &str) -> bool {
    path.ends_with("/thread.rs") || path.contains("/thread/") || path.ends_with("/signer.rs")
}

/// A word of the line begins with the venue's name.
fn names(line: &str, venue: &str) -> bool {
    line.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| word.starts_with(venue))
}

/// The line holds the word, not as the end of a longer one.
fn holds(line: &str, word: &str) -> bool {
    let inside = |at: usize| line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !inside(at))
}

/// First line and length of each function that has a body, by rustfmt's indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| is_function(line));
    let measured = starts.filter_map(|(at, line)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends =
            |line: &&str| line.strip_prefix(indent).is_some_and(|rest| rest == "}" || is_promise(rest));
        let end = lines[at..].iter().position(ends)?;
        (!is_promise(lines[at + end].trim_start())).then_some((at + 1, end + 1))
    });
    measured.collect()
}

/// The last line of a signature without a body.
fn is_promise(line: &str) -> bool {
    line.starts_with(')') && line.ends_with(';')
}

fn is_function(line: &str) -> bool {
    let words = line.split_whitespace();
    let mut after =
        words.skip_while(|word| word.starts_with("pub") || matches!(*word, "const" | "async" | "unsafe"));
    after.next() == Some("fn") && !line.trim_end().ends_with([';', '}'])
}
