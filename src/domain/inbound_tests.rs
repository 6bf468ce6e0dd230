//! Every word of the tables, and the clash.

use super::*;
use proptest::prelude::*;

const STOPS: Wish = Wish::Stop { cancels: false };
const CANCELS: Wish = Wish::Stop { cancels: true };

fn order(verb: OrderVerb, number: Option<&str>) -> Wish {
    Wish::Order {
        verb,
        number: number.map(str::to_owned),
    }
}

#[test]
fn wishes_are_found_in_the_words() {
    use OrderVerb::{Cancel, Keep, Refund, Status};
    for (text, expected) in [
        ("STOP", STOPS),
        (" Stop. ", STOPS),
        ("\"stop\"", STOPS),
        ("stop \u{1f6d1}", STOPS),
        ("ＳＴＯＰ", STOPS),
        ("stopall", STOPS),
        ("Stop  all", STOPS),
        ("unsubscribe", STOPS),
        ("END", STOPS),
        ("quit", STOPS),
        ("Revoke", STOPS),
        ("opt out", STOPS),
        ("Opt-Out!", STOPS),
        ("optout", STOPS),
        ("arret", STOPS),
        ("Arrêt", STOPS),
        ("arre\u{302}t", STOPS),
        ("STOPP", STOPS),
        ("remove", STOPS),
        ("cancel", CANCELS),
        ("Cancel.", CANCELS),
        ("start", Wish::Start),
        ("Unstop", Wish::Start),
        ("help", Wish::Help),
        ("INFO?", Wish::Help),
        ("cancel order", order(Cancel, None)),
        ("Cancel order 1042", order(Cancel, Some("#1042"))),
        ("cancel 1042", order(Cancel, Some("#1042"))),
        (
            "please cancel my order #1042!",
            order(Cancel, Some("#1042")),
        ),
        ("refund 1042", order(Refund, Some("#1042"))),
        ("KEEP 1042", order(Keep, Some("#1042"))),
        ("status order?", order(Status, None)),
        ("what is the status of b-7", order(Status, Some("B-7"))),
        // A number nobody knows is no order of theirs.
        ("cancel 9999", CANCELS),
        ("stop 1042", STOPS),
        ("stop please", STOPS),
        ("please stop texting me", STOPS),
        ("pls, STOP!", STOPS),
        ("end this", STOPS),
        ("hi, cancel these", CANCELS),
        ("I said no more texts", STOPS),
        ("Don’t text me again", STOPS),
        ("Leave me alone!!", STOPS),
        ("sorry, wrong number", STOPS),
        ("the end date works", Wish::Other),
        ("where is my parcel", Wish::Other),
        ("the order is fine, thank you", Wish::Other),
        ("I will start on Monday", Wish::Other),
        ("does this help", Wish::Other),
        ("yes", Wish::Other),
        ("stopping by tomorrow", Wish::Other),
        ("", Wish::Other),
        ("\u{1f44d}", Wish::Other),
    ] {
        assert_eq!(read(text, &["#1042", "B-7", "#"]), expected, "{text}");
    }
}

#[test]
fn what_follows_is_what_the_rules_say() {
    let known = Sender {
        n_open_orders: 1,
        ..Sender::default()
    };
    let stopped = Sender {
        is_stopped: true,
        ..known
    };
    let answered = Sender {
        is_answered: true,
        ..known
    };
    let nothing = Response::default();
    let stop = Response {
        stops: true,
        ..nothing
    };
    let with = |response: Response, answer| Response {
        answer: Some(answer),
        ..response
    };
    let clash = Response {
        holds_orders: true,
        task: Some(Task::PossibleCancellation),
        ..stop
    };
    let start = Response {
        starts: true,
        ..nothing
    };
    let task = |task| Response {
        task: Some(task),
        ..nothing
    };
    let wish = order(OrderVerb::Cancel, Some("1042"));
    for (case, wish, sender, expected) in [
        ("K1", &STOPS, known, with(stop, AnswerKind::Stopped)),
        ("K2", &STOPS, stopped, stop),
        (
            "K3",
            &CANCELS,
            known,
            with(clash, AnswerKind::StoppedNotCancelled),
        ),
        ("K3 again", &CANCELS, stopped, clash),
        (
            "CANCEL without an order",
            &CANCELS,
            Sender::default(),
            with(stop, AnswerKind::Stopped),
        ),
        (
            "K4",
            &wish,
            known,
            with(task(Task::OrderWish), AnswerKind::Noted),
        ),
        ("K4, texts stopped", &wish, stopped, task(Task::OrderWish)),
        ("K6", &Wish::Other, known, task(Task::Read)),
        (
            "K8",
            &Wish::Start,
            stopped,
            with(start, AnswerKind::Started),
        ),
        ("START for nothing", &Wish::Start, known, start),
        ("K9", &Wish::Help, known, with(nothing, AnswerKind::Help)),
        (
            "K9, texts stopped",
            &Wish::Help,
            stopped,
            with(nothing, AnswerKind::Help),
        ),
        ("the gateway confirmed", &STOPS, answered, stop),
        (
            "the gateway restarted",
            &Wish::Start,
            Sender {
                is_stopped: true,
                ..answered
            },
            start,
        ),
        ("the gateway helped", &Wish::Help, answered, nothing),
        (
            "it cannot know of the order",
            &CANCELS,
            answered,
            with(clash, AnswerKind::StoppedNotCancelled),
        ),
    ] {
        assert_eq!(respond(wish, &sender), expected, "{case}");
    }
}

#[test]
fn answers_are_not_repeated_without_end() {
    let after = |since, today| Sender {
        since_same: Some(since),
        answers_today: today,
        ..Sender::default()
    };
    let helped = |since, today| respond(&Wish::Help, &after(since, today)).answer.is_some();
    assert!(!helped(Length::mins(59), 1));
    assert!(helped(Length::mins(60), 1));
    assert!(!helped(Length::hours(2), ANSWERS_A_DAY_MAX));
    let wish = order(OrderVerb::Keep, None);
    let noted = |since| respond(&wish, &after(since, 1)).answer.is_some();
    assert!(!noted(Length::hours(23)));
    assert!(noted(Length::hours(24)));
    // Stopping itself has no limit, only its confirmation.
    let many = after(Length::ZERO, 99);
    assert_eq!(
        respond(&STOPS, &many),
        Response {
            stops: true,
            ..Response::default()
        }
    );
}

proptest! {
    #[test]
    fn a_lone_stop_word_stops_however_it_is_dressed(word in prop::sample::select(STOP.to_vec()), before in "[ \"'.!*]{0,3}", after in "[ \"'.!?*😀]{0,3}", upper: bool) {
        let word = if upper { word.to_uppercase() } else { word.to_owned() };
        let dressed = format!("{before}{word}{after}");
        let is_stop = matches!(read(&dressed, &["1042"]), Wish::Stop { .. });
        prop_assert!(is_stop, "{}", dressed);
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,80}", number in "\\PC{0,6}") {
        let _ = read(&text, &[&number]);
    }
}
