//! A real Kannel for the length of a test: `bearerbox` and `smsbox`, unpacked
//! by `scripts/servers`, with two ways to phones.
//!
//! - `fake` is Kannel's own fake SMSC: a line of text to and from whoever
//!   connects. [`Phone`] does. Kannel itself reports what it handed over there
//!   as delivered.
//! - `operator` is its HTTP SMSC, towards an address the test names; there the
//!   test says what became of a text ([`Kannel::reports`]).
//!
//! Neither listens anywhere but on loopback. What `smsbox` accepted is kept in
//! a spool folder, so that Kannel can be killed and started again.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use super::patience::until;
use super::servers::free_port;
use super::servers::program;

/// How often it may lose one of its ports to another process.
const N_STARTS_MAX: usize = 5;

pub const USER: &str = "backorderd";
pub const PASSWORD: &str = "correct horse";

#[derive(Debug, Clone, Copy)]
struct Ports {
    admin: u16,
    boxes: u16,
    fake: u16,
    operator: u16,
    sendsms: u16,
}

#[derive(Debug)]
pub struct Kannel {
    dir: TempDir,
    ports: Ports,
    running: Vec<Child>,
}

impl Kannel {
    /// Hands inbound texts to `inbound` and texts for `operator` to that
    /// address.
    pub fn start(inbound: &str, operator: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("spool")).expect("a folder for texts");
        let mut kannel = Self {
            dir,
            ports: Ports::free(),
            running: Vec::new(),
        };
        for _ in 0..N_STARTS_MAX {
            kannel.configure(inbound, operator);
            if kannel.comes_up() {
                return kannel;
            }
            kannel.kill();
            kannel.ports = Ports::free();
        }
        panic!(
            "Kannel ended at once, {N_STARTS_MAX} times: {}",
            kannel.log()
        );
    }

    fn configure(&self, inbound: &str, operator: &str) {
        let dir = self.dir.path().display();
        let Ports {
            admin,
            boxes,
            fake,
            operator: reports,
            sendsms,
        } = self.ports;
        let text = format!(
            r#"
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = none
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
store-type = spool
store-location = {dir}/spool
dlr-storage = internal
log-file = {dir}/bearerbox.log
log-level = 1

group = smsc
smsc = fake
smsc-id = fake
allowed-smsc-id = fake
our-host = 127.0.0.1
port = {fake}
connect-allow-ip = 127.0.0.1

group = smsc
smsc = http
smsc-id = operator
allowed-smsc-id = operator
system-type = kannel
our-host = 127.0.0.1
port = {reports}
connect-allow-ip = 127.0.0.1
smsc-username = kannel
smsc-password = kannel
send-url = "{operator}/send"
dlr-url = "http://127.0.0.1:{reports}/sms"

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1
log-file = {dir}/smsbox.log
log-level = 1

group = sendsms-user
username = {USER}
password = "{PASSWORD}"
max-messages = 4
concatenation = true
user-deny-ip = "*.*.*.*"
user-allow-ip = 127.0.0.1

group = sms-service
keyword = default
catch-all = true
max-messages = 0
get-url = "{inbound}"
"#
        );
        fs::write(self.dir.path().join("kannel.conf"), text).expect("write its configuration");
    }

    /// Both boxes answer; false if one of them gave up.
    fn comes_up(&mut self) -> bool {
        for (name, port) in [
            ("bearerbox", self.ports.admin),
            ("smsbox", self.ports.sendsms),
        ] {
            let mut child = Command::new(program(name))
                .args(["-v", "4"])
                .arg(self.dir.path().join("kannel.conf"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("start {name}: {e}"));
            let answers = until(name, || {
                if child.try_wait().expect("ask for a child's end").is_some() {
                    return Some(false);
                }
                TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                    .is_ok()
                    .then_some(true)
            });
            self.running.push(child);
            if !answers {
                return false;
            }
        }
        true
    }

    /// `kill -9` for both boxes.
    pub fn kill(&mut self) {
        // First who answers requests, so that none is left hanging.
        for mut child in self.running.drain(..).rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts again where it was killed.
    pub fn start_again(&mut self) {
        assert!(self.comes_up(), "Kannel does not come back: {}", self.log());
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/cgi-bin/sendsms", self.ports.sendsms)
    }

    /// Somebody at the far side of the fake SMSC.
    pub fn phone(&self) -> Phone {
        let at = (Ipv4Addr::LOCALHOST, self.ports.fake);
        Phone::at(until("the fake SMSC", || TcpStream::connect(at).ok()))
    }

    /// The operator reports of a text it was sent (the query of its request),
    /// in the bits of Kannel's `dlr-mask`. Its answer.
    pub fn reports(&self, request: &str, mask: u8) -> String {
        let id = decoded(request);
        let id = String::from_utf8_lossy(&id).into_owned();
        let (_, id) = id.split_once("dlr-mid=").expect("an id to report with");
        let id = id.split('&').next().unwrap_or_default();
        let path = format!(
            "/sms?username=kannel&password=kannel&from=60611&to=%2B447400123456&text=x\
             &dlr-mask={mask}&dlr-mid={id}"
        );
        get(self.ports.operator, &path)
    }

    /// What both boxes have written down so far.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("bearerbox.log") + &read("smsbox.log")
    }
}

impl Drop for Kannel {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Ports {
    fn free() -> Self {
        Self {
            admin: free_port(),
            boxes: free_port(),
            fake: free_port(),
            operator: free_port(),
            sendsms: free_port(),
        }
    }
}

/// One HTTP request by GET, and all that came back.
pub fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )
    .expect("ask");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// One short message as the operator would carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub from: String,
    pub to: String,
    /// `text`, `ucs-2`, or `data` where it is part of a longer one.
    pub kind: String,
    /// The user data header (3GPP TS 23.040, 9.2.3.24), of parts.
    pub header: Vec<u8>,
    pub bytes: Vec<u8>,
}

/// Connected to the fake SMSC as its one client, until it is dropped.
#[derive(Debug)]
pub struct Phone {
    stream: TcpStream,
    heard: Arc<Mutex<Vec<Segment>>>,
}

impl Phone {
    fn at(stream: TcpStream) -> Self {
        let heard: Arc<Mutex<Vec<Segment>>> = Arc::default();
        let reading = BufReader::new(stream.try_clone().expect("the same line"));
        let shared = heard.clone();
        thread::spawn(move || {
            for line in reading.lines().map_while(Result::ok) {
                shared.lock().unwrap().push(segment(&line));
            }
        });
        Self { stream, heard }
    }

    pub fn segments(&self) -> Vec<Segment> {
        self.heard.lock().unwrap().clone()
    }

    pub fn wait_for(&self, n: usize) -> Vec<Segment> {
        until(&format!("{n} segments at the phone"), || {
            let heard = self.segments();
            (heard.len() >= n).then_some(heard)
        })
    }

    /// Sends a text.
    pub fn says(&mut self, from: &str, words: &str) {
        writeln!(self.stream, "{from} 60611 text {words}").expect("a line to the fake SMSC");
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// `FROM TO text WORDS`, `FROM TO ucs-2 %XX…`, `FROM TO udh %XX… data %XX…`.
fn segment(line: &str) -> Segment {
    let mut words = line.splitn(4, ' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (from, to, kind, rest) = (next(), next(), next(), next());
    let (kind, header, bytes) = match kind.as_str() {
        "text" => (kind, Vec::new(), rest.into_bytes()),
        "udh" => {
            let (header, data) = rest.split_once(" data ").expect("a part's own words");
            ("data".to_owned(), decoded(header), decoded(data))
        }
        _ => (kind, Vec::new(), decoded(&rest)),
    };
    Segment {
        from,
        to,
        kind,
        header,
        bytes,
    }
}

/// What stands in an address, as bytes.
pub fn decoded(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let pair = text.get(at + 1..at + 3);
        let byte = pair.and_then(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        match (text[at], byte) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (other, _) => {
                out.push(other);
                at += 1;
            }
        }
    }
    out
}

#[test]
fn lines_of_the_fake_smsc_are_read() {
    let one = segment("FernKettle +447400123456 text Two {pots} + 5%");
    assert_eq!(
        (one.from.as_str(), one.kind.as_str()),
        ("FernKettle", "text")
    );
    assert_eq!(one.bytes, b"Two {pots} + 5%");
    let part = segment("60611 +447400123456 udh %05%00%03%07%02%01 data %03%9A+x");
    assert_eq!(part.header, [5, 0, 3, 7, 2, 1]);
    assert_eq!(part.bytes, [3, 0x9a, b' ', b'x']);
}
