//! A real Exim for the length of a test, through `scripts/exim-instance` (there
//! is written what it does with whose mail).

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use super::servers;
use super::servers::start_listening;

#[derive(Debug)]
pub struct Exim {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Exim {
    /// Relays to the mail server on `relay`; what comes back is handed to a
    /// command, or goes into a Maildir.
    pub fn start(relay: u16, bounces_to: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (child, port) = start_listening("exim", |port| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/exim-instance");
            let mut command = Command::new(script);
            command.arg(dir.path());
            command.arg(port.to_string()).arg(relay.to_string());
            command.env("BACKORDERD_TEST_SERVERS", servers::folder());
            command.envs(bounces_to.map(|named| ("BACKORDERD_TEST_BOUNCES", named)));
            // It lives as long as this pipe, however the test ends.
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            command
        });
        Self { child, port, dir }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Maildir bounces go into.
    pub fn bounces(&self) -> PathBuf {
        self.dir.path().join("mail/bounces")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/mainlog")).unwrap_or_default()
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
