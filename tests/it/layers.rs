//! Holds the layer table: which part of the program may name which.
//!
//! Reads every file under `src`, takes out comments and literals, collects all
//! paths that begin with `crate::` and compares them with [`MAY_NAME`]. The
//! compiler cannot do this in one crate, and a review forgets. It looks at
//! names only: what two parts agree on without naming each other is not seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// What a use case is made of.
const PARTS: &[&str] = &[
    "domain",
    "clock",
    "crash_point",
    "store",
    "receipt",
    "template",
    "channel",
    "source",
    "telemetry",
];

/// What those who call the use cases may name besides their parts.
const USE_CASES: &[&str] = &["app", "config"];

/// What each part may name beside itself, in lists that add up. An entry of
/// two segments opens only that module. Parts absent here ([`ROOTS`] apart)
/// are not part of the design.
const MAY_NAME: &[(&str, &[&[&str]])] = &[
    ("domain", &[]),
    ("clock", &[&["domain"]]),
    // Compiles to nothing outside of tests that kill the program.
    ("crash_point", &[]),
    ("source", &[&["domain"]]),
    ("store", &[&["domain", "crash_point"]]),
    ("receipt", &[&["domain"]]),
    ("template", &[&["domain"]]),
    ("channel", &[&["domain", "crash_point"]]),
    // A relay's settings are parsed where all settings are, and mean something
    // only to the channel.
    ("config", &[&["domain", "channel::settings"]]),
    ("telemetry", &[&["domain"]]),
    ("app", &[PARTS]),
    ("web", &[PARTS, USE_CASES]),
    ("daemon", &[PARTS, USE_CASES]),
    ("cli", &[PARTS, USE_CASES, &["wiring", "daemon"]]),
    // The one place where concrete adapters meet.
    ("wiring", &[PARTS, USE_CASES, &["web", "daemon", "cli"]]),
];

/// The crate's own roots: the map and the entry, which name what they like.
const ROOTS: &[&str] = &["lib", "main"];

/// Words that have no business in the pure core: waiting, the outside world,
/// logging.
const NOT_IN_DOMAIN: &[&str] = &[
    "async",
    "await",
    "tokio",
    "sqlx",
    "rusqlite",
    "tracing",
    "lettre",
    "reqwest",
    "TcpStream",
];

#[test]
fn every_part_names_only_what_the_layer_table_allows() {
    let files = source_files();
    assert!(files.len() > 5, "src was not found where it should be");
    let broken: Vec<String> = files
        .iter()
        .flat_map(|file| {
            violations(&part_of(file), &read(file))
                .into_iter()
                .map(at(file))
        })
        .collect();
    assert!(
        broken.is_empty(),
        "the layer table is broken:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn the_domain_does_not_wait_reach_out_or_log() {
    let broken: Vec<String> = source_files()
        .iter()
        .filter(|file| part_of(file) == "domain")
        .flat_map(|file| impure_words(&read(file)).into_iter().map(at(file)))
        .collect();
    assert!(
        broken.is_empty(),
        "the domain is not pure:\n  {}",
        broken.join("\n  ")
    );
}

#[test]
fn a_planted_violation_is_caught() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("domain", "use crate::store::Store;", &["store::Store"]),
        ("domain", "use crate::domain::eta::Eta;", &[]),
        (
            "store",
            "fn f() -> crate::channel::Outcome { todo() }",
            &["channel::Outcome"],
        ),
        (
            "store",
            "use crate::{domain::ids::OrderId, app::sync};",
            &["app::sync"],
        ),
        ("config", "use crate::channel::settings::Relay;", &[]),
        (
            "config",
            "use crate::channel::{settings, smtp};",
            &["channel::smtp"],
        ),
        ("config", "use crate::channel;", &["channel"]),
        ("app", "use crate::wiring::build;", &["wiring::build"]),
        (
            "cli",
            "use crate::wiring::build; use crate::daemon::Daemon;",
            &[],
        ),
        ("web", "use crate::daemon::Daemon;", &["daemon::Daemon"]),
        ("domain", "use crate::*;", &["*"]),
        (
            "domain",
            "use super::super::store::Store;",
            &["super::super"],
        ),
        ("lib", "pub use crate::store::Store;", &[]),
        ("helpers", "", &["helpers is not in the layer table"]),
        // Words about other layers are not imports.
        (
            "domain",
            "/// See [`crate::store::Store`].\n// crate::app /* crate::web",
            &[],
        ),
        (
            "domain",
            "/* crate::app /* crate::web */ crate::cli */ struct A;",
            &[],
        ),
        (
            "domain",
            r##"const A: &str = "crate::app"; const B: &str = r#"" crate::web"#;"##,
            &[],
        ),
        (
            "domain",
            "const Q: char = '\"'; use crate::app::run; // \"",
            &["app::run"],
        ),
        (
            "domain",
            "fn f<'a>(x: &'a str) -> &'a crate::web::Page { x }",
            &["web::Page"],
        ),
        ("domain", "pub(crate) fn f() {}", &[]),
    ];
    for (part, text, expected) in cases {
        assert_eq!(&violations(part, text), expected, "in {part}: {text}");
    }
    assert_eq!(
        impure_words("async fn f() { tracing::info!(\"sqlx\") } // tokio"),
        ["async", "tracing"]
    );
}

/// Every path in `text` that `part` may not name, in order of appearance.
fn violations(part: &str, text: &str) -> Vec<String> {
    if ROOTS.contains(&part) {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == part) else {
        return vec![format!("{part} is not in the layer table")];
    };
    let is_allowed = |path: &str| {
        std::iter::once(&part)
            .chain(allowed.iter().copied().flatten())
            .any(|open| {
                path == *open
                    || path
                        .strip_prefix(open)
                        .is_some_and(|rest| rest.starts_with("::"))
            })
    };
    paths(&tokens(&code_only(text)))
        .into_iter()
        .filter(|path| !is_allowed(path))
        .collect()
}

fn impure_words(text: &str) -> Vec<String> {
    tokens(&code_only(text))
        .into_iter()
        .filter(|t| NOT_IN_DOMAIN.contains(&t.as_str()))
        .collect()
}

/// All paths after `crate::`, groups opened up, without the `crate::`. A climb
/// past the parent module could leave the part unseen and is reported as it is.
fn paths(tokens: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let after = &tokens[i + 1..];
        match token.as_str() {
            "crate" if starts_with(after, &["::"]) => {
                use_tree(&after[1..], "", &mut found);
            }
            "super" if starts_with(after, &["::", "super"]) => found.push("super::super".into()),
            _ => {}
        }
    }
    found
}

/// Reads one path or group at the start of `tokens`; returns what follows it.
fn use_tree<'a>(mut tokens: &'a [String], before: &str, found: &mut Vec<String>) -> &'a [String] {
    let mut path = before.to_owned();
    while let Some((token, rest)) = tokens.split_first() {
        if token == "{" {
            tokens = rest;
            while !tokens.is_empty() && !starts_with(tokens, &["}"]) {
                let left = use_tree(tokens, &path, found);
                // `as name`, a comma, or anything unreadable: step over it.
                tokens = if left.len() == tokens.len() {
                    &left[1..]
                } else {
                    left
                };
            }
            return tokens.get(1..).unwrap_or_default();
        }
        if token != "*" && !token.starts_with(is_word) {
            break;
        }
        path = if path.is_empty() {
            token.clone()
        } else {
            format!("{path}::{token}")
        };
        tokens = rest;
        if !starts_with(tokens, &["::"]) {
            break;
        }
        tokens = &tokens[1..];
    }
    if path != before {
        found.push(path);
    }
    tokens
}

fn starts_with(tokens: &[String], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token == word)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, `::` and single signs; blanks dropped.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

/// `text` with comments and the insides of literals made blank.
fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => literal(rest, '"'),
            '\'' if is_char_literal(rest) => literal(rest, '\''),
            'r' if !code.ends_with(is_word) || code.ends_with('b') => raw_string(rest),
            _ => 0,
        };
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

/// Length of the comment `rest` begins with; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (i, _) in rest.char_indices() {
        if rest[i..].starts_with("/*") {
            depth += 1;
        } else if rest[..i].ends_with("*/") && i >= 4 {
            depth -= 1;
            if depth == 0 {
                return i;
            }
        }
    }
    rest.len()
}

/// Length of the quoted literal `rest` begins with.
fn literal(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A quote that closes after one character or an escape; else a lifetime.
fn is_char_literal(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    matches!(
        (chars.next(), chars.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

/// Length of the raw string `rest` begins with, 0 if it is none.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let body = 1 + hashes + 1;
    rest[body..]
        .find(&end)
        .map_or(rest.len(), |i| body + i + end.len())
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files under `src`, sorted.
fn source_files() -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let mut folders = vec![source_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("read src") {
            let path = entry.expect("read src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.insert(path);
            }
        }
    }
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).expect("read a source file")
}

/// `store` for `src/store.rs` as for `src/store/sqlite/writer.rs`.
fn part_of(file: &Path) -> String {
    let inside = file.strip_prefix(source_root()).expect("a file under src");
    let first = inside.components().next().expect("a file name").as_os_str();
    first.to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn at(file: &Path) -> impl Fn(String) -> String {
    let shown = file
        .strip_prefix(source_root())
        .unwrap_or(file)
        .display()
        .to_string();
    move |what| format!("src/{shown} names {what}")
}
