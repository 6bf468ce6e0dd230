//! One order through its changes: everything is said, nothing twice.

use serde_json::json;

use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::mail::Mail;

fn mails(relay: &LedgerSmtp) -> Vec<Mail> {
    let raw: Vec<_> = relay.accepted().iter().map(|a| relay.mail(a)).collect();
    Mail::parse_all(&raw)
}

fn kinds(home: &Home) -> Vec<String> {
    home.rows::<(String,)>("SELECT kind FROM messages WHERE state = 'sent' ORDER BY no")
        .into_iter()
        .map(|(kind,)| kind)
        .collect()
}

#[test]
fn a_date_that_goes_to_and_fro_is_told_each_time_and_in_one_thread() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let (a, b) = (in_days(20), in_days(31));
    home.import(&[teapots("1042", a), teapots("1043", a)]);
    for (eta, n) in [(b, 1), (a, 2), (b, 3)] {
        home.import(&[teapots("1042", eta)]);
        home.ok(&["run", "--yes"]);
        assert_eq!(relay.accepted().len(), n);
        // Nothing new: nothing to say.
        home.import(&[teapots("1042", eta)]);
        home.ok(&["run", "--yes"]);
        assert_eq!(relay.accepted().len(), n);
    }
    assert_eq!(kinds(&home), ["delay", "sooner", "delay"]);
    // The other order has a thread of its own.
    home.import(&[teapots("1043", b)]);
    home.ok(&["run", "--yes"]);

    let mails = mails(&relay);
    let id = |n: usize| mails[n].header("Message-ID").expect("a Message-ID");
    assert_eq!(mails[0].header("In-Reply-To"), None);
    for n in [1, 2] {
        assert_eq!(mails[n].header("In-Reply-To"), Some(id(n - 1)));
        let earlier: Vec<&str> = (0..n).map(id).collect();
        let references = mails[n].header("References").expect("References");
        let references: Vec<&str> = references.split_whitespace().collect();
        assert_eq!(references, earlier);
    }
    assert_eq!(mails[3].header("In-Reply-To"), None);
    assert_eq!(mails[3].header("References"), None);
    for (n, day) in [(0, b), (1, a), (2, b)] {
        let text = mails[n].text.as_deref().expect("a text");
        let day = day.format("%-d %B").to_string();
        assert!(text.contains(&day), "no {day} in: {text}");
    }
}

#[test]
fn a_split_order_hears_of_each_parcel_once_and_what_is_still_to_come() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let eta = in_days(20);
    let pot = teapots("1042", eta);
    let kettle = but(
        teapots("1042", eta),
        json!({"line_id": "1042-2", "sku": "KT-1", "product_name": "Copper kettle", "quantity": 3}),
    );
    home.import(&[pot.clone(), kettle.clone()]);
    let shipped = but(
        pot,
        json!({"status": "shipped", "quantity_shipped": 2, "tracking_number": "FK123456785GB"}),
    );
    for _ in 0..2 {
        home.import(&[shipped.clone(), kettle.clone()]);
        home.ok(&["run", "--yes"]);
        assert_eq!(relay.accepted().len(), 1);
    }
    let partly = but(kettle.clone(), json!({"quantity_shipped": 1}));
    let all = but(kettle, json!({"quantity_shipped": 3, "status": "shipped"}));
    for (row, n) in [(&partly, 2), (&all, 3), (&all, 3)] {
        home.import(&[shipped.clone(), row.clone()]);
        home.ok(&["run", "--yes"]);
        assert_eq!(relay.accepted().len(), n);
    }
    assert_eq!(kinds(&home), ["shipped", "shipped", "shipped"]);
    let mails = mails(&relay);
    let day = eta.format("%-d %B").to_string();
    let text = |n: usize| mails[n].text.as_deref().expect("a text");
    for words in ["Enamel teapot", "FK123456785GB", "Copper kettle", &day] {
        assert!(text(0).contains(words), "no `{words}` in: {}", text(0));
    }
    // What has been said is not said again, what waits is.
    assert!(!text(1).contains("Enamel teapot"), "{}", text(1));
    for words in ["Copper kettle", &day] {
        assert!(text(1).contains(words), "no `{words}` in: {}", text(1));
    }
    assert!(text(2).contains("Copper kettle"), "{}", text(2));
    assert!(
        !text(2).contains(&day),
        "nothing waits any more: {}",
        text(2)
    );
}
