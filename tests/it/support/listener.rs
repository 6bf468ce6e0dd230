//! A listener on loopback with one thread per connection, ended by dropping it.
//!
//! The common floor of our own peers. Plain blocking sockets: a peer is then a
//! loop that reads as the protocol is written down. It has no runtime, so a
//! test with one may hold and drop it anywhere.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;

#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    stopped: Arc<AtomicBool>,
    open: Arc<Mutex<HashMap<u64, TcpStream>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    /// Gives every connection, with its number from 0, to `session` on a
    /// thread of its own.
    pub fn serve(session: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind on loopback");
        let addr = listener.local_addr().expect("a bound address");
        let stopped = Arc::new(AtomicBool::new(false));
        let open = Arc::new(Mutex::new(HashMap::new()));
        let accepting = thread::spawn({
            let (stopped, open, session) = (stopped.clone(), open.clone(), Arc::new(session));
            move || {
                for (number, stream) in (0..).zip(listener.incoming()) {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    // A reply must not wait for the client's next packet.
                    let _ = stream.set_nodelay(true);
                    if let Ok(copy) = stream.try_clone() {
                        open.lock().unwrap().insert(number, copy);
                    }
                    let (open, session) = (open.clone(), session.clone());
                    thread::spawn(move || {
                        session(stream, number);
                        // The copy kept here would hold the line open.
                        cut(open.lock().unwrap().remove(&number));
                    });
                }
            }
        });
        Self {
            addr,
            stopped,
            open,
            accepting: Some(accepting),
        }
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Cuts every open connection, as a peer that dies does; new ones are taken.
    pub fn cut_all(&self) {
        self.open
            .lock()
            .unwrap()
            .drain()
            .for_each(|(_, stream)| cut(Some(stream)));
    }
}

fn cut(stream: Option<TcpStream>) {
    if let Some(stream) = stream {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // The loop wakes by a connection, sees the flag and goes.
        let _ = TcpStream::connect(self.addr);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.cut_all();
    }
}

#[test]
fn a_dropped_listener_cuts_its_connections_and_frees_its_port() {
    use std::io::Read;
    let listener = Listener::serve(|mut stream, _| {
        let _ = stream.read(&mut [0; 1]);
    });
    let addr = listener.addr;
    let mut client = TcpStream::connect(addr).unwrap();
    drop(listener);
    assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(addr).is_err());
}
