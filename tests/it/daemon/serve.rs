//! The daemon's life as systemd and an operator see it.

use std::collections::BTreeSet;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use backorderd::domain::time::Length;
use backorderd::store::write::operate::NewHold;
use backorderd::wiring;

use crate::home::Home;
use crate::home::Running;
use crate::home::block_on;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::moment;
use crate::support::patience::until;
use std::time::Duration;

/// The socket systemd would hold, and what was said into it.
struct Manager {
    socket: UnixDatagram,
    heard: String,
}

impl Manager {
    fn listening(socket: UnixDatagram) -> Self {
        socket
            .set_nonblocking(true)
            .expect("a socket that does not block");
        let heard = String::new();
        Self { socket, heard }
    }

    fn hears(&mut self, words: &str) {
        until(&format!("{words} at the socket"), || {
            let mut buffer = [0; 4096];
            while let Ok(n) = self.socket.recv(&mut buffer) {
                self.heard += &String::from_utf8_lossy(&buffer[..n]);
                self.heard.push('\n');
            }
            self.heard.lines().any(|line| line == words).then_some(())
        });
    }
}

fn serve_under(home: &Home, socket: &str) -> Running {
    let mut command = home.command(&["serve"]);
    command.env("NOTIFY_SOCKET", socket);
    // Half of it passes between two signs of life.
    command.env("WATCHDOG_USEC", "400000");
    home.start_as(command)
}

fn relay() -> LedgerSmtp {
    LedgerSmtp::start(Manners::default())
}

#[test]
fn it_tells_systemd_that_it_is_ready_alive_and_stopping() {
    let relay = relay();
    let home = Home::live(relay.port(), "");
    let path = home.path().join("notify");
    let name = format!("backorderd-test-{}", std::process::id());
    let abstract_name = SocketAddr::from_abstract_name(&name).expect("a name");
    let sockets = [
        (
            path.to_str().expect("a path in UTF-8").to_owned(),
            UnixDatagram::bind(&path).expect("a socket in the folder"),
        ),
        (
            format!("@{name}"),
            UnixDatagram::bind_addr(&abstract_name).expect("an abstract socket"),
        ),
    ];
    for (name, socket) in sockets {
        let mut manager = Manager::listening(socket);
        let running = serve_under(&home, &name);
        manager.hears("READY=1");
        manager.hears("WATCHDOG=1");
        assert!(!manager.heard.contains("STOPPING"), "{}", manager.heard);
        assert_eq!(running.stop().code(), Some(0), "stopped under {name}");
        manager.hears("STOPPING=1");
    }
}

#[test]
fn an_import_beside_it_leads_to_mails_without_any_command() {
    let relay = relay();
    let home = Home::live(relay.port(), "");
    let running = home.serve();
    running.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(20)), teapots("1043", in_days(20))]);
    home.import(&[teapots("1042", in_days(31)), teapots("1043", in_days(20))]);
    home.wait_for_final(1);
    assert_eq!(running.stop().code(), Some(0));
    let accepted = relay.accepted();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].recipients, ["customer-1042@accept.example"]);
}

#[test]
fn a_run_by_hand_beside_it_watches_and_sends_nothing_itself() {
    let relay = relay();
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20)), teapots("1043", in_days(20))]);
    let running = home.serve();
    running.wait_for_words("ready");
    // Asleep, so that the run plans first.
    running.freeze(&home);
    home.import(&[teapots("1042", in_days(31)), teapots("1043", in_days(31))]);
    let mut by_hand = home.start(&["run", "--yes"]);
    until("the run's messages", || {
        (home.states().get("queued") == Some(&2)).then_some(())
    });
    assert_eq!(relay.accepted().len(), 0);
    running.signal("CONT");
    assert!(by_hand.wait().success(), "{}", by_hand.words());
    let words = by_hand.words();
    assert!(words.contains("2 sent."), "{words}");
    let by = format!("Sent by the daemon (process {}).", running.id());
    assert!(words.contains(&by), "{words}");
    let to: BTreeSet<_> = relay
        .accepted()
        .into_iter()
        .flat_map(|mail| mail.recipients)
        .collect();
    assert_eq!((to.len(), relay.accepted().len()), (2, 2));
}

#[test]
fn asked_to_stop_it_begins_no_further_message() {
    let slow = Manners {
        thinks: Duration::from_millis(700),
        ..Manners::default()
    };
    let relay = LedgerSmtp::start(slow);
    let mut home = Home::live(relay.port(), "");
    home.set("EMAIL__SESSIONS", "1");
    let orders: Vec<_> = (1042..1047).map(|n| n.to_string()).collect();
    let rows = |days| -> Vec<_> {
        let row = |number: &String| teapots(number, in_days(days));
        orders.iter().map(row).collect()
    };
    home.import(&rows(20));
    home.import(&rows(31));
    let running = home.serve();
    // One is with the relay, and another one ready behind it.
    until("the first message on its way", || {
        let states = home.states();
        (states.get("submitting") == Some(&1) && states.get("leased") >= Some(&1)).then_some(())
    });
    assert_eq!(running.stop().code(), Some(0));
    let states = home.states();
    assert_eq!(relay.accepted().len(), 1, "{states:?}");
    let expected = [("queued".to_owned(), 4), ("sent".to_owned(), 1)];
    assert_eq!(states, expected.into());
}

#[test]
fn a_file_named_hold_stops_it_at_once_and_without_it_sending_goes_on() {
    let slow = Manners {
        delay: Duration::from_millis(20),
        ..Manners::default()
    };
    let relay = LedgerSmtp::start(slow);
    let mut home = Home::live(relay.port(), "");
    home.set("EMAIL__SESSIONS", "2");
    let rows = |eta| orders_of_teapots(60, eta);
    home.import(&rows(in_days(20)));
    let running = home.serve();
    running.wait_for_words("ready");
    home.import(&rows(in_days(31)));
    until("the first mails", || {
        (relay.accepted().len() >= 8).then_some(())
    });
    let hold = home.path().join("hold");
    std::fs::write(&hold, "the printer is on fire\n").expect("write the hold file");
    let marked = home.number("SELECT count(*) FROM attempts");
    running.wait_for_words("the hold file is there");
    until("what was on its way to end", || {
        home.states()
            .keys()
            .all(|s| s == "sent" || s == "queued")
            .then_some(())
    });
    // Those whose intent was recorded before the file was there may end; one
    // per session may have been between its look at the file and its mark.
    let n_held = relay.accepted().len() as i64;
    assert!(
        n_held <= marked + 2,
        "{n_held} accepted, {marked} begun when held"
    );
    assert!(n_held < 60, "nothing was left to hold");
    std::fs::remove_file(&hold).expect("remove the hold file");
    home.wait_for_final(60);
    assert_eq!(relay.accepted().len(), 60);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn asked_to_stop_in_the_middle_it_leaves_no_message_half_way() {
    let slow = Manners {
        delay: Duration::from_millis(20),
        ..Manners::default()
    };
    let relay = LedgerSmtp::start(slow);
    let home = Home::live(relay.port(), "");
    let rows = |eta| orders_of_teapots(60, eta);
    home.import(&rows(in_days(20)));
    let running = home.serve();
    home.import(&rows(in_days(31)));
    until("the first mails", || {
        (relay.accepted().len() >= 8).then_some(())
    });
    assert_eq!(running.stop().code(), Some(0));
    let states = home.states();
    let n = |state: &str| states.get(state).copied().unwrap_or_default();
    assert_eq!(n("sent") + n("queued"), 60, "{states:?}");
    assert_eq!(n("sent"), relay.accepted().len() as i64);
    assert!(n("queued") > 0, "nothing was left to stop");
    // And the next one takes up the rest.
    let running = home.serve();
    home.wait_for_final(60);
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(relay.accepted().len(), 60);
}

#[test]
fn nothing_starts_once_the_hold_file_is_there_however_long_the_mark_took() {
    let relay = LedgerSmtp::start(Manners {
        // Long enough to begin to write meanwhile, on a busy machine too.
        thinks: Duration::from_secs(4),
        ..Manners::default()
    });
    let mut home = Home::live(relay.port(), "");
    home.set("EMAIL__SESSIONS", "1");
    home.import(&orders_of_teapots(3, in_days(20)));
    home.import(&orders_of_teapots(3, in_days(31)));
    let daemon = home.serve();
    until("one on its way and one claimed", || {
        let states = home.states();
        (states.contains_key("submitting") && states.contains_key("leased")).then_some(())
    });
    // Another process writes for long, and a person has had enough.
    let writing = home.write_on();
    until("the first to be accepted", || {
        (!relay.accepted().is_empty()).then_some(())
    });
    moment(Duration::from_secs(2));
    home.ok(&["hold", "--file", "--why", "stop"]);
    drop(writing);
    until("the others to wait", || {
        (home.states().get("queued") == Some(&2)).then_some(())
    });
    assert_eq!(relay.accepted().len(), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_hold_ends_in_time_also_while_much_is_sent() {
    let relay = LedgerSmtp::start(Manners {
        delay: Duration::from_millis(60),
        ..Manners::default()
    });
    let mut home = Home::live(relay.port(), "");
    home.set("EMAIL__SESSIONS", "1");
    home.import(&orders_of_teapots(60, in_days(20)));
    home.import(&orders_of_teapots(60, in_days(31)));
    let daemon = home.serve();
    until("the first mail", || {
        (!relay.accepted().is_empty()).then_some(())
    });
    let now = SystemClock.now();
    let hold = NewHold {
        scope: "sku",
        key: "OTHER".to_owned(),
        by: "mira".to_owned(),
        why: "for a second".to_owned(),
        until: Some(now.plus(Length::secs(1))),
    };
    block_on(async {
        let app = wiring::app(&home.config()).await.expect("a wired program");
        app.store.hold(hold, now).await.expect("a hold");
    });
    until("the end of the hold", || {
        (home.number("SELECT count(*) FROM holds") == 0).then_some(())
    });
    let n_mails = relay.accepted().len();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(n_mails < 60, "it ended only after all was sent");
}
