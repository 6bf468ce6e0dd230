//! What the shop's rows, the relays' answers and the workers' wishes look like
//! in the cases.

use backorderd::domain::contact::{Contact, EmailAddress, Locale};
use backorderd::domain::eta::Eta;
use backorderd::domain::ids::WorkerId;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::notice_key::Mode;
use backorderd::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::{Row, RowStatus};
use backorderd::domain::time::{Instant, Length};
use backorderd::store::types::{Claimed, Mark};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::mirror::ContactHashes;
use chrono::{NaiveDate, NaiveDateTime};
use uuid::Uuid;

/// Monday afternoon in London: when the shop's orders are first seen.
pub const MONDAY: &str = "2026-02-16 14:30";

/// When whoever claimed or marked at [`MONDAY`] and was not heard of since is
/// dead, wherever others may be alive.
pub const GIVEN_UP: &str = "2026-02-16 14:50";

/// `2026-02-26 10:02`, in UTC (which London keeps until the end of March).
pub fn at(text: &str) -> Instant {
    let civil = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a time");
    Instant(civil.and_utc().timestamp_millis())
}

pub fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

/// `2026-03-06`, or `?`.
pub fn eta(text: &str) -> Eta {
    if text == "?" {
        return Eta::Unknown;
    }
    Eta::day(day(text))
}

pub fn worker(n: u128) -> WorkerId {
    WorkerId(Uuid::from_u128(n))
}

/// Two teapots of an order of that Monday, expected on 6 March. Every order
/// has a customer of its own.
pub fn teapots(line: &str, order: &str) -> Row {
    Row {
        at_line: 2,
        customer_name: Some(format!("Customer {order}")),
        email: Some(EmailAddress::parse(&address(order)).expect("an address")),
        locale: Some(Locale::parse("en").expect("a locale")),
        sku: Some("TP".to_owned()),
        product_name: Some("Enamel teapot".to_owned()),
        ordered: Quantity::pieces(2),
        price_minor: Some(2950),
        currency: Some("GBP".to_owned()),
        supplier: Some("Potter".to_owned()),
        ordered_on: Some(day("2026-02-16")),
        eta: Some(eta("2026-03-06")),
        ..Row::bare(line, order, RowStatus::Waiting)
    }
}

pub fn address(order: &str) -> String {
    format!("c{order}@mail.example")
}

/// The hash of the address of an order's customer.
pub fn email_hash(order: &str) -> String {
    hash_of(&format!("mailto:{}", address(order)))
}

/// Stands for the keyed hash of an address.
pub fn hash_of(address: &str) -> String {
    format!("hash of {address}")
}

pub fn hashes(contact: &Contact) -> ContactHashes {
    let email = contact.email.as_ref().map(|e| hash_of(&e.canonical()));
    let phone = contact.phone.as_ref().map(|p| hash_of(&p.canonical()));
    ContactHashes {
        contact: email.clone().or(phone.clone()).unwrap_or_default(),
        email,
        phone,
    }
}

pub fn accepted() -> Outcome {
    let evidence = Evidence::new(Phase::Done, "2.0.0 Ok: queued as 4ABC").with_code(250);
    Outcome::Accepted {
        evidence: evidence.with_reference(Some("4ABC".to_owned())),
    }
}
pub fn deferred(why: Deferral) -> Outcome {
    Outcome::Deferred {
        why,
        wait: None,
        evidence: Evidence::new(Phase::Rcpt, "4.2.2 later").with_code(450),
    }
}
pub fn refused() -> Outcome {
    let evidence = Evidence::new(Phase::Rcpt, "5.1.1 unknown user").with_code(550);
    Outcome::Refused {
        class: Refusal::Hard,
        evidence: evidence.with_enhanced(Some("5.1.1".to_owned())),
    }
}
pub fn doubt() -> Outcome {
    Outcome::InDoubt {
        evidence: Evidence::new(Phase::Dot, "no answer"),
    }
}

/// What a worker asks for: everything that is due.
pub fn ask(by: WorkerId, mode: Mode, now: Instant) -> Claim {
    Claim {
        by,
        mode,
        now,
        lease_until: now.plus(Length::secs(60)),
        limit: 64,
        run: None,
        channels: ChannelName::ALL.to_vec(),
        able: ChannelName::ALL.to_vec(),
    }
}

pub fn mark_of(message: &Claimed) -> Mark {
    Mark {
        no: message.no,
        epoch: message.epoch,
        relay: "relay.example".to_owned(),
        message_id_header: Some(format!("<{}@shop.example>", message.uid)),
        template_version: "t1".to_owned(),
        content_hash: "c1".to_owned(),
    }
}
