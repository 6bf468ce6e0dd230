//! A real Postfix for the length of a test, through `scripts/postfix-instance`
//! (there is written how it answers whom).

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use super::patience::until;
use super::servers;
use super::servers::free_port;
use super::servers::start_listening;

#[derive(Debug)]
pub struct Postfix {
    child: Child,
    port: u16,
    doors: Option<Doors>,
    dir: TempDir,
}

/// Ports behind TLS and a login.
#[derive(Debug, Clone, Copy)]
pub struct Doors {
    pub starttls: u16,
    pub tls: u16,
}

/// The one login that opens them.
pub const USER: &str = "backorderd";
pub const PASSWORD: &str = "correct horse";

impl Postfix {
    pub fn start() -> Self {
        Self::start_with(None, None)
    }

    /// With [`Doors`] besides. Its certificate is for `localhost`, signed by
    /// the authority of [`authority`].
    pub fn with_doors() -> Self {
        let doors = Doors {
            starttls: free_port(),
            tls: free_port(),
        };
        Self::start_with(Some(doors), None)
    }

    /// Hands what comes back to a command.
    pub fn handing_over_to(command: &str) -> Self {
        Self::start_with(None, Some(command))
    }

    pub fn doors(&self) -> Doors {
        self.doors.expect("a Postfix with doors")
    }

    fn start_with(doors: Option<Doors>, bounces_to: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (child, port) = start_listening("postfix", |port| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postfix-instance");
            let mut command = Command::new(script);
            command.arg("run").arg(dir.path()).arg(port.to_string());
            if let Some(doors) = doors {
                command.args([doors.starttls.to_string(), doors.tls.to_string()]);
                command.args([tls_file("relay.pem"), tls_file("relay.key")]);
            }
            command.env("BACKORDERD_TEST_SERVERS", servers::folder());
            command.envs(bounces_to.map(|named| ("BACKORDERD_TEST_BOUNCES", named)));
            // It lives as long as this pipe, however the test ends.
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            command
        });
        Self {
            child,
            port,
            doors,
            dir,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Maildir bounces go into.
    pub fn bounces(&self) -> PathBuf {
        self.dir.path().join("mail/bounces")
    }

    /// Mails delivered so far, in no order. A 250 comes before the delivery.
    pub fn arrived(&self) -> Vec<Vec<u8>> {
        let delivered: PathBuf = self.dir.path().join("mail/accepted/new");
        let Ok(files) = fs::read_dir(delivered) else {
            return Vec::new();
        };
        files
            .map(|file| fs::read(file.expect("read the Maildir").path()).expect("read a mail"))
            .collect()
    }

    /// The mails, once `n` have been delivered.
    pub fn wait_for(&self, n: usize) -> Vec<Vec<u8>> {
        until(&format!("{n} mails at Postfix"), || {
            let mails = self.arrived();
            (mails.len() >= n).then_some(mails)
        })
    }

    /// Its log so far: what a relay's operator would see of us.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log/mail.log")).unwrap_or_default()
    }
}

fn tls_file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    folder.join(name)
}

/// Whom to trust to trust it, as `SSL_CERT_FILE` has it.
pub fn authority() -> PathBuf {
    tls_file("ca.pem")
}

impl Drop for Postfix {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn postfix_accepts_defers_and_refuses_by_domain() {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::io::Write;
    use std::net::TcpStream;

    let postfix = Postfix::start();
    let mut stream = TcpStream::connect(("127.0.0.1", postfix.port())).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut ask = |line: &str| {
        write!(stream, "{line}\r\n").unwrap();
        replies.next().unwrap().unwrap()
    };
    // The banner comes first, so each answer here is the one before.
    ask("HELO shop.example");
    ask("MAIL FROM:<shop@shop.example>");
    ask("RCPT TO:<kim@later.example>");
    let later = ask("RCPT TO:<kim@refuse.example>");
    let refused = ask("RCPT TO:<kim@elsewhere.example>");
    let elsewhere = ask("RCPT TO:<kim@accept.example>");
    let accepted = ask("DATA");
    ask("From: shop@shop.example\r\nSubject: Good news\r\n\r\nIt ships.\r\n.");
    assert!(later.starts_with("450 4.3.2 "), "{later}");
    assert!(refused.starts_with("550 5.1.1 "), "{refused}");
    assert!(elsewhere.starts_with("554 5.7.1 "), "{elsewhere}");
    assert!(accepted.starts_with("250 2.1.5 "), "{accepted}");

    let mails = postfix.wait_for(1);
    let mail = String::from_utf8(mails[0].clone()).unwrap();
    assert!(
        mail.contains("Delivered-To: kim@accept.example\n"),
        "{mail}"
    );
    assert!(mail.ends_with("\n\nIt ships.\n"), "{mail}");
    until("the delivery in the log", || {
        postfix.log().contains("status=sent").then_some(())
    });
}
