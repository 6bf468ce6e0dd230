//! The socket under an SMTP conversation, with a strict rule: we speak only
//! when everything said to us has been heard.
//!
//! `lettre` drives the conversation through this stream. Standing below it we
//! see every byte of both sides in clear, and so can promise what its
//! connection cannot:
//! - **Replies never shift.** Bytes that wait to be read when we are about to
//!   write (a second reply, a farewell on an idle line, a reply smuggled in
//!   before TLS, a `250` ahead of the final dot) make the write fail before
//!   its first byte. One line is handed up at a time, so nothing hides in a
//!   buffer above us.
//! - **Whether the dot began to leave is known** ([`Tap::dot_started`]): an
//!   error before it is definite, after it is doubt.
//! - **Replies are bounded and printable.** Lines are cut, all but the first
//!   and the last of a reply of very many are dropped, foreign characters
//!   replaced, a bare `250` completed, before the parser sees them.
//! - `TCP_NODELAY` is on. With it off, a message costs 44 ms at relays that
//!   delay their acknowledgements.
//! - What the far side's machine does not acknowledge for a minute ends the
//!   line (`TCP_USER_TIMEOUT`). Otherwise a dot in the system's buffer could
//!   still be delivered a quarter of an hour after we are dead, when whoever
//!   took over has already settled the doubt. A relay that has the dot and
//!   thinks for ten minutes is not affected: its machine acknowledges.

use crate::channel::settings::UNACKNOWLEDGED_MAX;
use crate::crash_point::crash_point;
use crate::domain::smtp_reply::{REPLY_LINES_MAX, Reply, code_of, is_final};
use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest reply line kept, below the parser's own limit of 1,000.
const LINE_BYTES_MAX: usize = 900;
/// What ends a message. A stuffed body cannot contain it, and no command ends
/// with it.
pub(super) const FINAL_DOT: &str = "\r\n.\r\n";

/// What the wire noticed, for the session that owns the conversation above.
#[derive(Debug, Default)]
pub(super) struct Tap(Mutex<Noticed>);

#[derive(Debug, Default)]
struct Noticed {
    /// Raw lines of the reply being read, or last read.
    lines: Vec<String>,
    complete: bool,
    /// When a byte of the dot was handed to the system.
    dot_started_at: Option<Instant>,
    /// Until when it may be.
    dot_by: Option<Instant>,
    out_of_turn: bool,
}

impl Tap {
    /// Takes the last reply, if it was read to its end and makes sense. It
    /// can be taken only once, so that it cannot answer two questions.
    pub(super) fn take_reply(&self) -> Option<Reply> {
        let mut noticed = self.noticed();
        if !std::mem::take(&mut noticed.complete) {
            return None;
        }
        Reply::parse(&std::mem::take(&mut noticed.lines))
    }

    /// The code of a reply that has begun and not ended.
    pub(super) fn begun_code(&self) -> Option<u16> {
        let noticed = self.noticed();
        let first = noticed.lines.first().filter(|_| !noticed.complete);
        first.and_then(|line| code_of(line))
    }

    /// Whether a byte of the final dot of the present message was handed to
    /// the system. From then on silence is doubt.
    pub(super) fn dot_started(&self) -> bool {
        self.dot_started_at().is_some()
    }

    /// When that was.
    pub(super) fn dot_started_at(&self) -> Option<Instant> {
        self.noticed().dot_started_at
    }

    /// The far side spoke, or hung up, when it was our turn.
    pub(super) fn out_of_turn(&self) -> bool {
        self.noticed().out_of_turn
    }

    /// Forgets the dot and the reply of the message before. This one's dot
    /// leaves by the instant given, or not at all.
    pub(super) fn begin_message(&self, dot_by: Instant) {
        let mut noticed = self.noticed();
        noticed.dot_started_at = None;
        noticed.dot_by = Some(dot_by);
        noticed.lines.clear();
        noticed.complete = false;
    }

    /// Notes a line; false for one that nobody has to see. The library parses
    /// all it has at every line of a reply, so thousands of lines would keep a
    /// processor busy for minutes.
    fn heard(&self, line: &str) -> bool {
        let mut noticed = self.noticed();
        if noticed.complete {
            noticed.lines.clear();
        }
        noticed.complete = is_final(line);
        // The last line is always kept: it decides whether the reply is whole.
        let is_kept = noticed.lines.len() < REPLY_LINES_MAX || noticed.complete;
        if is_kept {
            noticed.lines.push(line.to_owned());
        }
        is_kept
    }

    fn noticed(&self) -> MutexGuard<'_, Noticed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// Read from the stream, not yet cut into lines.
    raw: Vec<u8>,
    raw_at: usize,
    /// The line that has begun and not ended.
    line: Vec<u8>,
    /// A whole line on its way up.
    up: Vec<u8>,
    up_at: usize,
    tap: Arc<Tap>,
}

impl Wire {
    /// # Errors
    /// The socket does not take the option, i.e. it is already dead.
    pub(super) fn over(tcp: TcpStream) -> io::Result<Wire> {
        tcp.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        Ok(Wire::of(Stream::Plain(tcp)))
    }

    fn of(stream: Stream) -> Wire {
        Wire {
            stream,
            raw: Vec::new(),
            raw_at: 0,
            line: Vec::new(),
            up: Vec::new(),
            up_at: 0,
            tap: Arc::default(),
        }
    }

    pub(super) fn tap(&self) -> Arc<Tap> {
        Arc::clone(&self.tap)
    }

    /// Starts TLS on this line.
    ///
    /// # Errors
    /// The handshake failed, or the far side has already said something that
    /// belongs to the time before it.
    pub(super) async fn encrypt(
        self,
        connector: &TlsConnector,
        name: ServerName<'static>,
    ) -> io::Result<Wire> {
        if self.holds_unread() {
            return Err(out_of_turn());
        }
        let Stream::Plain(tcp) = self.stream else {
            return Err(io::Error::other("the line is encrypted already"));
        };
        let tls = connector.connect(name, tcp).await?;
        Ok(Wire::of(Stream::Tls(Box::new(tls))))
    }

    /// Says the greeting again to whoever reads next: after `STARTTLS` the
    /// relay does not repeat it, but the conversation above begins with one.
    pub(super) fn with_greeting(mut self) -> Wire {
        self.up = b"220 ready\r\n".to_vec();
        self
    }

    /// Reads one reply, for the short dialogue before TLS.
    ///
    /// # Errors
    /// The line ended or broke, or what came is no reply.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        let mut chunk = [0_u8; LINE_BYTES_MAX + 2];
        for _ in 0..REPLY_LINES_MAX {
            if self.read(&mut chunk).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.tap.noticed().complete {
                break;
            }
        }
        self.tap
            .take_reply()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable reply"))
    }

    /// Sends a command and reads its reply.
    ///
    /// # Errors
    /// As [`Wire::reply`].
    pub(super) async fn ask(&mut self, command: &str) -> io::Result<Reply> {
        self.write_all(command.as_bytes()).await?;
        self.flush().await?;
        self.reply().await
    }

    fn holds_unread(&self) -> bool {
        self.raw_at < self.raw.len() || self.up_at < self.up.len() || !self.line.is_empty()
    }

    /// Cuts the next whole line out of what was read; false if there is none.
    fn frame(&mut self) -> bool {
        while let Some(&byte) = self.raw.get(self.raw_at) {
            self.raw_at += 1;
            match byte {
                b'\n' => {
                    let mut text = String::with_capacity(self.line.len() + 2);
                    text.extend(self.line.drain(..).map(char::from));
                    if text.len() == 3 {
                        text.push(' ');
                    }
                    if !self.tap.heard(&text) {
                        continue;
                    }
                    self.up.clear();
                    self.up_at = 0;
                    self.up.extend_from_slice(text.as_bytes());
                    self.up.extend_from_slice(b"\r\n");
                    return true;
                }
                b'\r' => {}
                _ if self.line.len() >= LINE_BYTES_MAX => {}
                b' '..=b'~' => self.line.push(byte),
                _ => self.line.push(b'?'),
            }
        }
        self.raw.clear();
        self.raw_at = 0;
        false
    }

    /// Reads what is there into `raw`; `Ok(0)` is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0_u8; 2048];
        let mut buf = ReadBuf::new(&mut chunk);
        ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, &mut buf),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, &mut buf),
        })?;
        self.raw.extend_from_slice(buf.filled());
        Poll::Ready(Ok(buf.filled().len()))
    }

    /// Fails if it is not our turn to speak.
    fn our_turn(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let quiet = !self.holds_unread()
            && match self.poll_fill(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(_)) => false,
                Poll::Ready(Err(error)) => {
                    self.tap.noticed().out_of_turn = true;
                    return Err(error);
                }
            };
        if quiet {
            return Ok(());
        }
        self.tap.noticed().out_of_turn = true;
        Err(out_of_turn())
    }
}

fn out_of_turn() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the relay spoke or hung up out of turn",
    )
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.up_at < self.up.len() {
                let n = buf.remaining().min(self.up.len() - self.up_at);
                let from = self.up_at;
                buf.put_slice(&self.up[from..from + n]);
                self.up_at += n;
                return Poll::Ready(Ok(()));
            }
            if self.frame() {
                continue;
            }
            // The end in the middle of a line is an end: half a reply is none.
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.our_turn(cx)?;
        // Where the dot is in this, if it is. Of a long message the system takes
        // a part at a time, and comes back here for the rest.
        let dot_at = (data.ends_with(FINAL_DOT.as_bytes())).then(|| data.len() - FINAL_DOT.len());
        // Asked here and not only by a timer: a process that was stopped goes
        // on where it was, with the timer and the socket ready at once.
        if dot_at.is_some()
            && self
                .tap
                .noticed()
                .dot_by
                .is_some_and(|by| by < Instant::now())
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = ready!(match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, data),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, data),
        })?;
        if dot_at.is_some_and(|at| written > at) {
            crash_point("dot-written");
            self.tap.noticed().dot_started_at = Some(Instant::now());
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(tcp) => tcp.peer_addr(),
            Stream::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
