//! Deliberate faults and the tests that catch them.
//!
//! `tests/faults.toml` has the list: edits of the sources that would lose,
//! double or falsify messages, each with the one test that must fail then. The
//! quick test here sees to it that every entry still names code and tests that
//! exist. The long one, started by `scripts/faults`, puts one fault after the
//! other into a copy of the tree, builds it, and runs the named test: with the
//! fault it has to fail, without it to pass. It prints a table.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde::Deserialize;
use tokio::time::Instant;

#[derive(Deserialize)]
struct Faults {
    fault: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    name: String,
    #[serde(rename = "in")]
    place: Place,
    caught_by: String,
    edit: Vec<Edit>,
}

/// Where a test is.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Place {
    /// Beside the code.
    Lib,
    /// In `tests/it`.
    It,
}

#[derive(Deserialize)]
struct Edit {
    file: PathBuf,
    find: String,
    put: String,
}

impl Edit {
    /// The text with the edit, if it fits there and nowhere else.
    fn of(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.put, 1)),
            n => Err(format!(
                "{} has {n} places like {:?}",
                self.file.display(),
                self.find
            )),
        }
    }

    fn make(&self, tree: &Path) -> Result<(), String> {
        let path = tree.join(&self.file);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        fs::write(&path, self.of(&text)?).map_err(|e| format!("{}: {e}", path.display()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn faults() -> Vec<Fault> {
    let text = fs::read_to_string(root().join("tests/faults.toml")).expect("the list of faults");
    let faults: Faults = toml::from_str(&text).expect("a list of faults");
    faults.fault
}

/// Every source file below a folder, as one text.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a file of sources").path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            all += &fs::read_to_string(&path).expect("a source file");
        }
    }
    all
}

#[test]
fn every_fault_fits_the_sources_and_names_a_test() {
    let faults = faults();
    let names: BTreeSet<&str> = faults.iter().map(|f| f.name.as_str()).collect();
    assert_eq!((faults.len(), names.len()), (41, 41));
    let beside_the_code = sources(&root().join("src"));
    let in_tests = sources(&root().join("tests/it"));
    let mut wrong = String::new();
    for fault in &faults {
        for edit in &fault.edit {
            let text = fs::read_to_string(root().join(&edit.file)).unwrap_or_default();
            if let Err(why) = edit.of(&text) {
                let _ = writeln!(wrong, "{}: {why}", fault.name);
            }
        }
        let test = fault.caught_by.rsplit("::").next().unwrap_or_default();
        let tests = match fault.place {
            Place::Lib => &beside_the_code,
            Place::It => &in_tests,
        };
        if !tests.contains(&format!("fn {test}(")) {
            let _ = writeln!(wrong, "{}: no test {}", fault.name, fault.caught_by);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// A copy of the tree whose sources can be spoilt.
struct Copy {
    tree: PathBuf,
    files: Vec<PathBuf>,
}

impl Copy {
    fn make() -> Copy {
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root())
            .output()
            .expect("git lists the files");
        let listed = String::from_utf8(listed.stdout).expect("file names in UTF-8");
        let files = listed.lines().map(PathBuf::from).collect();
        let copy = Copy {
            tree: root().join("target/faults"),
            files,
        };
        copy.restore();
        copy
    }

    /// Brings back what differs, and touches nothing else: the less changes,
    /// the less is built.
    fn restore(&self) {
        for file in &self.files {
            let Ok(right) = fs::read(root().join(file)) else {
                continue;
            };
            let here = self.tree.join(file);
            if fs::read(&here).is_ok_and(|found| found == right) {
                continue;
            }
            fs::create_dir_all(here.parent().expect("a folder")).expect("a folder");
            fs::write(&here, right).expect("copy a file");
        }
    }

    /// Cargo, ended with everything it started after so long.
    fn cargo(&self, fault: &Fault, limit: &str, rest: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", limit, env!("CARGO")]);
        command.args(["test", "--locked", "--quiet"]);
        match fault.place {
            Place::Lib => command.arg("--lib"),
            Place::It => command.args(["--test", "it"]),
        };
        command
            .args(rest)
            .current_dir(&self.tree)
            // Dependencies are built once, for this and for all other tests.
            .env("CARGO_TARGET_DIR", root().join("target"))
            .output()
            .expect("start cargo")
    }

    /// What a test says, or that it does not get so far.
    fn ask(&self, fault: &Fault) -> Result<Verdict, String> {
        let built = self.cargo(fault, BUILD_LIMIT, &["--no-run"]);
        if !built.status.success() {
            return Err(format!("does not build:\n{}", words(&built)));
        }
        let ran = self.cargo(fault, TEST_LIMIT, &["--", "--exact", &fault.caught_by]);
        let said = words(&ran);
        if said.contains("1 passed; 0 failed") {
            Ok(Verdict::Passed)
        } else if said.contains("0 passed; 1 failed") {
            Ok(Verdict::Failed)
        } else if [Some(124), Some(137)].contains(&ran.status.code()) {
            Ok(Verdict::Hung)
        } else {
            Err(format!("cannot be run:\n{said}"))
        }
    }
}

/// For timeout(1). A test takes seconds; a build of everything, minutes.
const TEST_LIMIT: &str = "120s";
const BUILD_LIMIT: &str = "30m";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// It came to no end: as good as failed, where it passes otherwise.
    Hung,
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
#[ignore = "builds the program for each; scripts/faults runs it"]
#[expect(
    clippy::disallowed_methods,
    reason = "which faults to try is the runner's business; what is measured takes minutes"
)]
fn every_fault_is_caught() {
    let only = std::env::var("BACKORDERD_FAULT").unwrap_or_default();
    let faults: Vec<Fault> = faults()
        .into_iter()
        .filter(|fault| only.split(',').any(|part| fault.name.contains(part)))
        .collect();
    assert!(!faults.is_empty(), "no fault is called {only:?}");
    let copy = Copy::make();
    let mut table = format!("{:<41} {:<17} {:>5}  test\n", "fault", "", "min");
    let mut wrong = Vec::new();
    // All of them without a fault first: that is one build for all.
    let sound: Vec<_> = faults.iter().map(|fault| copy.ask(fault)).collect();
    for (fault, sound) in faults.iter().zip(sound) {
        let begun = Instant::now();
        let verdict = match try_out(&copy, fault, sound) {
            Ok(Verdict::Failed) => "caught",
            Ok(Verdict::Hung) => "caught by hanging",
            Ok(Verdict::Passed) => {
                wrong.push(format!("{} is not caught", fault.name));
                "NOT CAUGHT"
            }
            Err(why) => {
                wrong.push(format!("{}: {why}", fault.name));
                "BROKEN"
            }
        };
        copy.restore();
        let took = begun.elapsed().as_secs_f64() / 60.0;
        let line = format!(
            "{:<41} {verdict:<17} {took:>5.1}  {}",
            fault.name, fault.caught_by
        );
        println!("{line}");
        table += &line;
        table.push('\n');
    }
    // Once more in one piece, whatever was said in between.
    println!("\n{table}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the named test says with the fault, if it passed without.
fn try_out(copy: &Copy, fault: &Fault, sound: Result<Verdict, String>) -> Result<Verdict, String> {
    match sound? {
        Verdict::Passed => {}
        other => return Err(format!("without any fault {} {other:?}", fault.caught_by)),
    }
    for edit in &fault.edit {
        edit.make(&copy.tree)?;
    }
    copy.ask(fault)
}
