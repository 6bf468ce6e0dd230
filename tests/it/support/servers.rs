//! The unpacked servers: where they are, and Postfix's `smtp-sink`.
//!
//! `scripts/servers` puts them below `target/servers`; `BACKORDERD_TEST_SERVERS`
//! names another place. A server that is not there fails the test: a suite that
//! skips what it cannot run proves nothing.

use std::fs;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use super::patience::until;

/// How often a server may lose its port to another process before it gives up.
const N_PORTS_TRIED: usize = 5;

/// The folder of unpacked servers.
#[expect(
    clippy::disallowed_methods,
    reason = "the place of the servers is the runner's business"
)]
pub fn folder() -> PathBuf {
    std::env::var_os("BACKORDERD_TEST_SERVERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers"),
        |named| Path::new(env!("CARGO_MANIFEST_DIR")).join(named),
    )
}

/// The start script of an unpacked program.
///
/// # Panics
/// When it is not there, saying what to run.
pub fn program(name: &str) -> PathBuf {
    let path = folder().join("bin").join(name);
    assert!(
        path.is_file(),
        "no {} here: run scripts/servers first",
        path.display()
    );
    path
}

/// Starts a server that listens on the port it is given, and waits until it
/// answers. A port is free when it is chosen and may be taken when the server
/// comes to it; a server that ends at once is therefore started again on another.
pub fn start_listening(name: &str, mut start: impl FnMut(u16) -> Command) -> (Child, u16) {
    for _ in 0..N_PORTS_TRIED {
        let port = free_port();
        let mut child = start(port)
            .spawn()
            .unwrap_or_else(|e| panic!("start {name}: {e}"));
        let listens = until(name, || {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Some(true);
            }
            child
                .try_wait()
                .expect("ask for a child's end")
                .map(|_| false)
        });
        if listens {
            return (child, port);
        }
    }
    panic!("{name} ended at once, {N_PORTS_TRIED} times");
}

/// A port of loopback on which nobody listens, until somebody takes it.
pub fn free_port() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind on loopback");
    probe.local_addr().expect("a bound address").port()
}

/// Postfix's own test receiver: fast, takes everything, keeps each mail in a
/// file. What it can be told to do wrong is in its manual page (`-r`, `-f`,
/// `-q`, `-Q`, `-W`, …).
#[derive(Debug)]
pub struct SmtpSink {
    child: Child,
    port: u16,
    kept: TempDir,
}

/// One mail as `smtp-sink` kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMail {
    pub from: String,
    pub recipients: Vec<String>,
    /// As it was on the wire, line ends apart: `smtp-sink` keeps bare LF.
    pub raw: Vec<u8>,
}

impl SmtpSink {
    pub fn start(options: &[&str]) -> Self {
        let kept = tempfile::tempdir().expect("a temporary folder");
        let (child, port) =
            start_listening("smtp-sink", |port| Self::command(&kept, options, port));
        Self { child, port, kept }
    }

    /// On a port that somebody knows already: a relay that comes back.
    pub fn start_on(port: u16) -> Self {
        let kept = tempfile::tempdir().expect("a temporary folder");
        let child = Self::command(&kept, &[], port)
            .spawn()
            .unwrap_or_else(|e| panic!("start smtp-sink: {e}"));
        Self { child, port, kept }
    }

    fn command(kept: &TempDir, options: &[&str], port: u16) -> Command {
        let mut command = Command::new(program("smtp-sink"));
        // The end of the name is made unique by smtp-sink.
        command
            .arg("-d")
            .arg(kept.path().join("mail."))
            .args(options);
        command.arg(format!("127.0.0.1:{port}")).arg("100");
        command.stdin(Stdio::null());
        command
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The mails kept so far, in no order.
    pub fn mails(&self) -> Vec<KeptMail> {
        let files = fs::read_dir(self.kept.path()).expect("read the kept mails");
        files
            .map(|file| fs::read(file.expect("read the kept mails").path()).expect("read a mail"))
            .filter_map(|text| kept_mail(&text))
            .collect()
    }

    /// The mails, once there are `n` of them.
    pub fn wait_for(&self, n: usize) -> Vec<KeptMail> {
        until(&format!("{n} mails at smtp-sink"), || {
            let mails = self.mails();
            (mails.len() >= n).then_some(mails)
        })
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a file of `smtp-sink -d`: the envelope as `X-…-Args` lines, a
/// `Received` of its own, the mail, an empty line. `None` for one that is still
/// being written.
fn kept_mail(text: &[u8]) -> Option<KeptMail> {
    // Only the last line tells that it is whole.
    let text = text.strip_suffix(b"\n")?;
    let mut from = None;
    let mut recipients = Vec::new();
    let mut rest = text;
    while rest.starts_with(b"X-") {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let (name, value) = line.split_once(": ")?;
        // `<a@b.example> BODY=8BITMIME`
        let address = || Some(value.split_once('>')?.0.trim_start_matches('<').to_owned());
        match name {
            "X-Mail-Args" => from = Some(address()?),
            "X-Rcpt-Args" => recipients.push(address()?),
            "X-Client-Addr" | "X-Client-Proto" | "X-Helo-Args" => {}
            _ => break,
        }
        rest = &rest[end + 1..];
    }
    // Its own trace header: three lines, the last two indented.
    for _ in 0..3 {
        let end = rest.iter().position(|b| *b == b'\n')?;
        rest = &rest[end + 1..];
    }
    Some(KeptMail {
        from: from?,
        recipients,
        raw: rest.to_vec(),
    })
}

#[test]
fn smtp_sink_keeps_what_smtp_source_sends() {
    let sink = SmtpSink::start(&[]);
    let sent = Command::new(program("smtp-source"))
        .args([
            "-s",
            "2",
            "-m",
            "20",
            "-f",
            "shop@shop.example",
            "-t",
            "kim@accept.example",
        ])
        .args(["-M", "shop.example", "-S", "Your order"])
        .arg(format!("127.0.0.1:{}", sink.port()))
        .status()
        .expect("start smtp-source");
    assert!(sent.success());
    let mails = sink.wait_for(20);
    assert_eq!(mails.len(), 20);
    for mail in mails {
        assert_eq!(mail.from, "shop@shop.example");
        assert_eq!(mail.recipients, ["kim@accept.example"]);
        let raw = String::from_utf8(mail.raw).unwrap();
        assert!(raw.starts_with("From: <shop@shop.example>\n"), "{raw}");
        assert!(raw.contains("\nSubject: Your order\n"), "{raw}");
    }
}
