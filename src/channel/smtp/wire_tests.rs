//! Pieces of any size: what was taken, what is known of the dot, time limits.

use super::*;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// A wire and the far end of it.
async fn pair() -> (Wire, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (Wire::over(near).unwrap(), far)
}

#[tokio::test]
async fn nothing_waits_for_an_acknowledgement() {
    let (wire, _far) = pair().await;
    let Stream::Plain(tcp) = &wire.stream else {
        panic!("plain");
    };
    assert!(tcp.nodelay().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dead_far_side_ends_the_line_within_a_minute() {
    let (wire, _far) = pair().await;
    let Stream::Plain(tcp) = &wire.stream else {
        panic!("plain");
    };
    let limit = socket2::SockRef::from(tcp).tcp_user_timeout().unwrap();
    assert_eq!(limit, Some(UNACKNOWLEDGED_MAX));
}

#[tokio::test]
async fn one_line_is_handed_up_at_a_time_bounded_and_printable() {
    let (mut wire, mut far) = pair().await;
    let long = format!("250-{}\r\n", "x".repeat(5_000));
    far.write_all(long.as_bytes()).await.unwrap();
    far.write_all(b"250\n354 sch\xc3\xb6n\x00\r\n")
        .await
        .unwrap();
    let mut buf = vec![0; 10_000];
    let mut lines = Vec::new();
    for _ in 0..3 {
        let n = wire.read(&mut buf).await.unwrap();
        lines.push(String::from_utf8(buf[..n].to_vec()).unwrap());
    }
    assert_eq!(lines[0].len(), LINE_BYTES_MAX + 2);
    assert_eq!(lines[1..], ["250 \r\n", "354 sch??n?\r\n"]);
    assert_eq!(wire.tap.take_reply().unwrap().code, 354);
    assert_eq!(wire.tap.take_reply(), None);
}

#[tokio::test]
async fn endless_replies_are_kept_in_part() {
    let (mut wire, mut far) = pair().await;
    let lines = "250-more\r\n".repeat(500) + "250 done\r\n";
    far.write_all(lines.as_bytes()).await.unwrap();
    drop(far);
    let mut all = String::new();
    wire.read_to_string(&mut all).await.unwrap();
    let reply = wire.tap.take_reply().unwrap();
    assert_eq!(reply.lines.len(), REPLY_LINES_MAX + 1);
    assert_eq!(reply.lines.last().unwrap(), "done");
}

#[tokio::test]
async fn we_do_not_speak_while_we_are_spoken_to() {
    let (mut wire, mut far) = pair().await;
    far.write_all(b"421 go\r\n").await.unwrap();
    wire.readable().await;
    assert!(wire.write_all(b"NOOP\r\n").await.is_err());
    assert!(wire.tap.out_of_turn());
}

#[tokio::test]
async fn the_dot_is_noticed_when_it_leaves_and_not_before() {
    let (mut wire, _far) = pair().await;
    wire.write_all(b"Subject: x\r\n\r\n..\r\n").await.unwrap();
    assert!(!wire.tap.dot_started());
    wire.write_all(FINAL_DOT.as_bytes()).await.unwrap();
    assert!(wire.tap.dot_started());
    wire.tap.begin_message(Instant::now() + UNACKNOWLEDGED_MAX);
    assert!(!wire.tap.dot_started());
    let whole = format!("Subject: x\r\n\r\nbye{FINAL_DOT}");
    wire.write_all(whole.as_bytes()).await.unwrap();
    assert!(wire.tap.dot_started());
}

/// The system takes what it has room for; the dot is what comes last.
#[tokio::test]
async fn of_a_long_message_the_dot_leaves_last() {
    let (mut wire, mut far) = pair().await;
    let whole = "x".repeat(64 * 1024 * 1024) + FINAL_DOT;
    let begun = timeout(Duration::from_millis(100), wire.write_all(whole.as_bytes()));
    assert!(begun.await.is_err(), "nobody reads");
    assert!(!wire.tap.dot_started());
    let sink = tokio::spawn(async move {
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.map(|_| heard.len())
    });
    wire.write_all(FINAL_DOT.as_bytes()).await.unwrap();
    assert!(wire.tap.dot_started());
    drop(wire);
    assert!(sink.await.unwrap().unwrap() < whole.len());
}

#[tokio::test]
async fn a_dot_that_is_too_late_does_not_leave() {
    let (mut wire, mut far) = pair().await;
    // The process was stopped between the last line and the dot.
    wire.tap.begin_message(Instant::now());
    wire.write_all(b"Subject: x\r\n\r\nbye").await.unwrap();
    assert!(wire.write_all(FINAL_DOT.as_bytes()).await.is_err());
    assert!(!wire.tap.dot_started());
    // Nor does a message that has it with it.
    let whole = format!("more{FINAL_DOT}");
    assert!(wire.write_all(whole.as_bytes()).await.is_err());
    assert!(!wire.tap.dot_started());
    drop(wire);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"Subject: x\r\n\r\nbye");
}

impl Wire {
    async fn readable(&self) {
        if let Stream::Plain(tcp) = &self.stream {
            tcp.readable().await.unwrap();
        }
    }
}
