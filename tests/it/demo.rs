//! The demo: the story it tells, and the folder it leaves.
//!
//! The transcript is golden; every word of it behind SAID, QUIET, HELD and
//! LATER was looked up in the database by the demo itself, which fails when
//! that differs from its story. What lies in the folder is read here by
//! others: Python's `email` reads the mails, the shell runs the commands.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use super::support::mail::Mail;

fn play(home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_backorderd"))
        .args(["demo", "--out"])
        .arg(home)
        .output()
        .expect("run the demo")
}

fn transcript(played: &Output, home: &Path) -> String {
    let home = fs::canonicalize(home).expect("the demo's folder");
    String::from_utf8(played.stdout.clone())
        .expect("UTF-8")
        .replace(home.to_str().expect("UTF-8"), "DIR")
        .replace(env!("CARGO_BIN_EXE_backorderd"), "backorderd")
}

fn files(folder: &Path, ending: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    names
}

#[test]
fn the_demo_tells_its_story_and_leaves_what_it_shows() {
    let place = tempfile::tempdir().expect("a folder");
    let home = place.path().join("demo");
    let played = play(&home);
    let words = transcript(&played, &home);
    assert!(
        played.status.success(),
        "{words}\n{}",
        String::from_utf8_lossy(&played.stderr)
    );
    assert_eq!(String::from_utf8_lossy(&played.stderr), "");
    insta::assert_snapshot!("transcript", words);

    let (mails, texts) = (
        files(&home.join("outbox"), ".eml"),
        files(&home.join("outbox"), ".txt"),
    );
    let counted = format!(
        "{} messages: {} e-mails, {} texts.",
        mails.len() + texts.len(),
        mails.len(),
        texts.len()
    );
    assert!(words.contains(&counted), "{counted}");
    assert_eq!(files(&home.join("pages"), ".html").len(), mails.len());
    let index = fs::read_to_string(home.join("index.html")).expect("index.html");
    for page in files(&home.join("pages"), ".html") {
        assert!(index.contains(&format!("pages/{page}")), "{page}");
    }
    assert!(!index.contains("<script") && index.contains("Fern &amp; Kettle"));

    let mut ids = std::collections::BTreeSet::new();
    for name in &mails {
        let raw = fs::read(home.join("outbox").join(name)).expect("a mail");
        let mail = Mail::parse(&raw);
        assert_eq!(mail.defects, [""; 0], "{name}");
        let id = mail.header("Message-ID").expect("a Message-ID");
        assert!(ids.insert(id.to_owned()), "{name} has the id of another");
        let page = name.split('-').next().expect("a number");
        let html = fs::read_to_string(home.join("pages").join(format!("{page}.html")));
        let sent = mail.html.expect("an HTML part").replace("\r\n", "\n");
        assert_eq!(
            sent.trim_end(),
            html.expect("its page").trim_end(),
            "{name}"
        );
    }
}

#[test]
fn every_command_the_demo_prints_runs_as_printed_and_again() {
    let place = tempfile::tempdir().expect("a folder");
    let home = place.path().join("it's a demo");
    let played = play(&home);
    let words = String::from_utf8(played.stdout).expect("UTF-8");
    let commands: Vec<&str> = words
        .lines()
        .filter_map(|line| line.find(" --home ").map(|_| line))
        .filter_map(|line| line.split_once("  ").map(|(_, command)| command.trim()))
        .collect();
    assert_eq!(commands.len(), 3, "{words}");
    for command in commands.iter().chain(&commands) {
        let ran = Command::new("sh").args(["-c", command]).output();
        let ran = ran.expect("run a shell");
        let complaint = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{command}\n{complaint}");
        assert!(!ran.stdout.is_empty(), "{command} says nothing");
    }
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("letter.txt"), "mine").expect("a file");
    let played = play(place.path());
    assert_eq!(played.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&played.stderr);
    assert!(complaint.contains("is not empty"), "{complaint}");
    assert_eq!(files(place.path(), ""), ["letter.txt"]);
}
