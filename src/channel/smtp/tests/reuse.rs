//! A line and its mails: when it is kept, when it is not, and that no answer
//! ever reaches the wrong mail.

use super::{
    SHORT, greeting, group, hasty, mail, mail_to, next_group, next_taken, pipelined, session,
    settings, short, taken,
};
use crate::channel::smtp::peer::{Act, Peer, hear, say};
use std::time::Duration;

#[tokio::test]
async fn a_refused_recipient_does_not_cost_the_connection() {
    let script = [
        pipelined(vec![say(
            "250 ok\n550 5.1.1 gone\n554 no valid recipients\n",
        )]),
        next_taken(),
        next_taken(),
    ];
    let peer = Peer::with(vec![script.concat()]).await;
    let mut session = session(hasty(peer.address));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(short(&session.send(&mail()).await));
    }
    assert_eq!(outcomes, ["refused hard at rcpt", "accepted", "accepted"]);
    assert_eq!(peer.finish().await.n_connections, 1);
}

#[tokio::test]
async fn a_mail_that_was_never_offered_does_not_make_us_forget_to_reset() {
    let script = [
        greeting("250-PIPELINING\n250-SIZE 50\n"),
        group(),
        vec![say("250 ok\n550 5.1.1 gone\n554 no valid recipients\n")],
        next_taken(),
    ];
    let peer = Peer::with(vec![script.concat()]).await;
    let mut session = session(hasty(peer.address));
    let large = mail_to("anna@mail.example", &b"x\r\n".repeat(50));
    let mut outcomes = Vec::new();
    for mail in [mail(), large, mail()] {
        outcomes.push(short(&session.send(&mail).await));
    }
    assert_eq!(
        outcomes,
        [
            "refused hard at rcpt",
            "refused content at mail",
            "accepted"
        ]
    );
    assert_eq!(peer.finish().await.n_connections, 1);
}

#[tokio::test]
async fn no_dot_is_written_for_a_refused_recipient_even_if_the_relay_asks_for_data() {
    let first = pipelined(vec![say("250 ok\n550 5.1.1 gone\n354 go on\n"), Act::Stall]);
    let peer = Peer::with(vec![first, pipelined(taken())]).await;
    let mut session = session(hasty(peer.address));
    assert_eq!(short(&session.send(&mail()).await), "refused hard at rcpt");
    assert_eq!(short(&session.send(&mail()).await), "accepted");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn an_idle_line_that_was_closed_is_replaced_without_a_word() {
    for farewell in [
        vec![],
        vec![say("421 idle too long\n")],
        vec![Act::Reset],
        vec![say("250 ok\n")],
    ] {
        let first = [pipelined(taken()), farewell.clone()].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut session = session(settings(peer.address));
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(
            short(&session.send(&mail()).await),
            "accepted",
            "{farewell:?}"
        );
        assert_eq!(peer.finish().await.n_connections, 2);
    }
}

#[tokio::test]
async fn a_line_that_closes_on_its_second_mail_is_replaced_once() {
    for answer in [
        "",
        "421 one mail is enough\n",
        "250 reset\n421 one mail is enough\n",
        "250 reset\n",
        "500 RSET not known\n250 ok\n250 ok\n354 go on\n",
    ] {
        let first = [pipelined(taken()), next_group(), vec![say(answer)]].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut session = session(settings(peer.address));
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(peer.finish().await.n_connections, 2);
    }
    let first = [pipelined(taken()), next_group()].concat();
    let peer = Peer::with(vec![first, pipelined(vec![])]).await;
    let mut session = session(settings(peer.address));
    assert_eq!(short(&session.send(&mail()).await), "accepted");
    assert_eq!(
        short(&session.send(&mail()).await),
        "deferred relay at mail"
    );
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn the_answer_to_a_cancelled_mail_is_never_taken_for_the_next_ones() {
    let late = [
        vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body, Act::Stall],
        vec![say("250 the first one\n")],
    ];
    let second = vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        say("554 5.7.1 refused\n"),
    ];
    let peer = Peer::with(vec![pipelined(late.concat()), pipelined(second)]).await;
    let mut session = session(settings(peer.address));
    let first = mail();
    let cancelled = tokio::time::timeout(SHORT, session.send(&first)).await;
    assert!(cancelled.is_err());
    assert_eq!(short(&session.send(&mail()).await), "refused policy at dot");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_late_answer_after_a_time_out_is_never_taken_for_the_next_ones() {
    let late = vec![say("250 ok\n250 ok\n"), Act::Stall, say("354 go on\n")];
    let second = vec![say("250 ok\n550 5.1.1 gone\n503 x\n")];
    let peer = Peer::with(vec![pipelined(late), pipelined(second)]).await;
    let mut session = session(hasty(peer.address));
    assert_eq!(
        short(&session.send(&mail()).await),
        "deferred relay at data"
    );
    assert_eq!(short(&session.send(&mail()).await), "refused hard at rcpt");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_line_whose_dot_was_not_answered_in_time_is_never_used_again() {
    // Its answer comes when somebody speaks again: all others would be one late.
    let late = vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        Act::Part("RSET\r\n".len()),
        say("250 the first one\n250 reset\n250 ok\n250 ok\n354 go on\n"),
        Act::Stall,
    ];
    let second = vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        say("554 5.7.1 refused\n"),
    ];
    let peer = Peer::with(vec![pipelined(late), pipelined(second)]).await;
    let mut session = session(hasty(peer.address));
    assert_eq!(short(&session.send(&mail()).await), "in doubt");
    assert_eq!(short(&session.send(&mail()).await), "refused policy at dot");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_line_is_recycled_after_its_share_of_mails() {
    let farewell = || vec![hear("QUIT"), say("221 bye\n")];
    let first = [pipelined(taken()), next_taken(), farewell()].concat();
    let peer = Peer::with(vec![first, pipelined(taken())]).await;
    let mut settings = settings(peer.address);
    settings.limits.n_mails = 2;
    let mut session = session(settings);
    for _ in 0..3 {
        assert_eq!(short(&session.send(&mail()).await), "accepted");
    }
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn an_idle_or_old_line_is_recycled() {
    let farewell = || vec![hear("QUIT"), say("221 bye\n")];
    for (idle, age) in [(Duration::ZERO, SHORT), (SHORT, Duration::ZERO)] {
        let first = [pipelined(taken()), farewell()].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut settings = settings(peer.address);
        settings.limits.idle = idle;
        settings.limits.age = age;
        let mut session = session(settings);
        for _ in 0..2 {
            assert_eq!(short(&session.send(&mail()).await), "accepted");
        }
        assert_eq!(peer.finish().await.n_connections, 2);
    }
}
