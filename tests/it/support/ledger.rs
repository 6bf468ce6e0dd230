//! An append-only file of what a peer took in: the witness of the crash tests.
//!
//! One JSON line per entry, on the disk before the peer answers. Whatever the
//! client does next, dies included, the entry stands. Held apart from the
//! database under test, and compared with it afterwards.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use serde_json::Value;

#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

impl Ledger {
    /// A ledger in `folder`; one that is there already is continued.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join("ledger.ndjson");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .expect("open the ledger");
        Self {
            path,
            file: Mutex::new(file),
        }
    }

    /// Durable when it returns. Entries of two sessions never mix.
    pub fn append(&self, entry: &Value) {
        let mut file = self.file.lock().unwrap();
        file.write_all(format!("{entry}\n").as_bytes())
            .expect("write the ledger");
        file.sync_data().expect("sync the ledger");
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> Vec<Value> {
        // Held against a half-written last line.
        let _writing = self.file.lock().unwrap();
        let text = std::fs::read_to_string(&self.path).expect("read the ledger");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a ledger line"))
            .collect()
    }
}

#[test]
fn an_entry_outlives_the_one_who_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    Ledger::open(folder.path()).append(&serde_json::json!({"n": 1}));
    let again = Ledger::open(folder.path());
    again.append(&serde_json::json!({"n": 2}));
    let n: Vec<_> = again
        .entries()
        .iter()
        .map(|entry| entry["n"].as_i64().unwrap())
        .collect();
    assert_eq!(n, [1, 2]);
}
