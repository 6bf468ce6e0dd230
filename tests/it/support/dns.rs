//! A DNS server with a few text records, on loopback, over UDP.
//!
//! It knows what the tests ask about and says "no such name" about the rest.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

/// Longest question and answer of plain DNS (RFC 1035, 2.3.4).
const PACKET_BYTES_MAX: usize = 512;

#[derive(Debug)]
pub struct Dns {
    at: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Serves these `(name, text)` records; a name may come several times.
    pub fn serve(records: &[(&str, &str)]) -> Self {
        let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, text) in records {
            let of_name = texts.entry((*name).to_owned()).or_default();
            of_name.push((*text).to_owned());
        }
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a port of loopback");
        let at = socket.local_addr().expect("a bound address");
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = stopping.clone();
        let thread = thread::spawn(move || {
            let mut packet = [0; PACKET_BYTES_MAX];
            while let Ok((n, from)) = socket.recv_from(&mut packet) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                if let Some(answer) = answer(&packet[..n], &texts) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Self {
            at,
            stopping,
            thread: Some(thread),
        }
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", 0)) {
            let _ = socket.send_to(&[0], self.at);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to one question (RFC 1035, 4.1).
fn answer(query: &[u8], texts: &BTreeMap<String, Vec<String>>) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = query.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
    let question = query.get(12..at + 4)?;
    let found = texts.get(&labels.join("."));
    let n = u16::try_from(found.map_or(0, Vec::len)).ok()?;
    let mut out = query.get(..2)?.to_vec();
    // An answer, recursion asked for and had; 3 for "no such name".
    out.extend([0x81, if found.is_some() { 0x80 } else { 0x83 }]);
    for count in [1, n, 0, 0] {
        out.extend(count.to_be_bytes());
    }
    out.extend(question);
    for text in found.into_iter().flatten() {
        // The name of the question, TXT, IN, a minute.
        out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        let parts: Vec<&[u8]> = text.as_bytes().chunks(255).collect();
        let length = text.len() + parts.len();
        out.extend(u16::try_from(length).ok()?.to_be_bytes());
        for part in parts {
            out.push(u8::try_from(part.len()).ok()?);
            out.extend(part);
        }
    }
    Some(out)
}
