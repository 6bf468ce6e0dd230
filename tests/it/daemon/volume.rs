//! Many customers at once: each hears it once, and hears it right.

use std::collections::BTreeMap;

use backorderd::app::addresses::AddressKey;

use crate::home::Home;
use crate::home::SHOP_DOMAIN;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::mail::Mail;
use crate::support::servers::SmtpSink;

const N: usize = 300;

#[test]
fn three_hundred_customers_hear_of_a_new_date_once_each() {
    let sink = SmtpSink::start(&[]);
    let mut home = Home::live(sink.port(), "");
    home.set("EMAIL__SESSIONS", "8");
    let orders: Vec<String> = (0..N).map(|n| (2000 + n).to_string()).collect();
    let (told, moved) = (in_days(20), in_days(31));
    let rows = |eta| -> Vec<_> { orders.iter().map(|order| teapots(order, eta)).collect() };

    home.import(&rows(told));
    let printed = home.ok(&["run", "--yes"]);
    assert!(printed.contains("Nothing to send."), "{printed}");
    home.import(&rows(moved));
    let printed = home.ok(&["run", "--yes"]);
    assert!(printed.contains(&format!("{N} sent.")), "{printed}");
    let printed = home.ok(&["run", "--yes"]);
    assert!(printed.contains("Nothing to send."), "{printed}");

    let key = AddressKey::read(&home.address_key())
        .expect("a readable key")
        .expect("a key beside the database")
        .verp_key();
    let kept = sink.wait_for(N);
    assert_eq!(kept.len(), N);
    let raw: Vec<Vec<u8>> = kept.iter().map(|mail| mail.raw.clone()).collect();
    let mut by_recipient: BTreeMap<&str, Mail> = BTreeMap::new();
    for (kept, mail) in kept.iter().zip(Mail::parse_all(&raw)) {
        // A bounce to this sender, and one that only quotes the Message-ID,
        // say which mail they are about, and nobody else can make them.
        let (local, domain) = kept.from.split_once('@').expect("a sender");
        assert!(local.starts_with("bounces+") && domain == SHOP_DOMAIN);
        let named = key.find(&kept.from).expect("a token in the sender");
        assert_eq!(
            key.find(mail.header("Message-ID").unwrap_or_default()),
            Some(named)
        );
        assert_eq!(kept.recipients.len(), 1);
        by_recipient.insert(&kept.recipients[0], mail);
    }
    assert_eq!(by_recipient.len(), N, "somebody was written to twice");
    let ids: BTreeMap<String, String> = home
        .rows::<(String, String)>(
            "SELECT p.recipient, a.message_id_header FROM attempts a \
             JOIN message_private p ON p.message_no = a.message_no",
        )
        .into_iter()
        .collect();
    let date = moved.format("%-d %B").to_string();
    for order in &orders {
        let to = format!("customer-{order}@accept.example");
        let mail = &by_recipient[to.as_str()];
        let header = |name| mail.header(name).unwrap_or_default();
        assert_eq!(mail.defects, [""; 0]);
        assert!(header("Subject").contains(order), "{}", header("Subject"));
        assert_eq!(header("To"), format!("Kim Okafor-{order} <{to}>"));
        assert_eq!(
            header("From"),
            format!("Fern & Kettle <orders@{SHOP_DOMAIN}>")
        );
        assert!(header("Reply-To").contains(&format!("help@{SHOP_DOMAIN}")));
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        let id = header("Message-ID");
        assert_eq!(Some(id), ids.get(&to).map(String::as_str));
        assert!(id.ends_with(&format!(".fern@{SHOP_DOMAIN}>")), "{id}");
        for body in [&mail.text, &mail.html] {
            let body = body.as_deref().expect("a body");
            for words in [order.as_str(), "Enamel teapot", &date] {
                assert!(body.contains(words), "no `{words}` in: {body}");
            }
        }
    }
}
