//! What the world is told about the sender's domain: SPF (RFC 7208), DMARC
//! (RFC 7489) and the DKIM key (RFC 6376), and whether they fit together.
//!
//! Large providers refuse mail whose domain publishes none of them. None of it
//! fails the check: a relay may sign for us in ways that cannot be seen from
//! here, and a shop in its sandbox need not have any. Whether the relay itself
//! is among the senders that SPF allows is not worked out: only the relay knows
//! from which address it sends.

use super::dns::{Dns, Texts};
use super::{Found, Item};
use crate::config::Config;
use std::net::IpAddr;

const SPF: &str = "SPF";
const DMARC: &str = "DMARC";
const DKIM: &str = "DKIM";
const DOMAIN: &str = "domain";

/// Looks everything up and says what is there and what to add.
pub async fn look(config: &Config, offline: bool, found: &mut Found) -> std::io::Result<()> {
    let from = config.sender.from.address.domain();
    let envelope = config.sender.envelope_domain();
    if offline {
        let says = format!("{from}: not looked up (--offline)");
        return found.add(Item::ok(DOMAIN, says));
    }
    let no_answer = || {
        Item::warn(
            DOMAIN,
            format!("{from}: no DNS server answers, so SPF, DKIM and DMARC are not known"),
        )
        .cure("run this where names can be looked up, or name a server with email.dns")
    };
    let Some(dns) = Dns::of(&config.dns) else {
        return found.add(no_answer());
    };
    let of_envelope = dns.texts(envelope).await;
    if of_envelope == Texts::NoAnswer {
        return found.add(no_answer());
    }
    let relay = config.email.as_ref().and_then(|email| email.relays.first());
    let host = relay.map_or("smtp.shop.example", |relay| relay.host.as_str());
    found.add(spf(envelope, &of_envelope, host))?;
    let (at, of_policy) = policy(&dns, from).await;
    found.add(dmarc(from, &at, &of_policy))?;
    if let Some(item) = alignment(from, envelope, &of_policy) {
        found.add(item)?;
    }
    match &config.dns.dkim_selector {
        None => found.add(
            Item::ok(DKIM, "not looked up: the name of the key is not known")
                .cure("write it as email.dkim_selector; your mail provider tells it"),
        ),
        Some(selector) => {
            let name = format!("{selector}._domainkey.{from}");
            let texts = dns.texts(&name).await;
            found.add(dkim(&name, &texts))
        }
    }
}

/// The DMARC record of a domain stands at it or at a domain above.
async fn policy(dns: &Dns, from: &str) -> (String, Texts) {
    let own = dns.texts(&format!("_dmarc.{from}")).await;
    let mut domain = from;
    while let Some((_, above)) = domain
        .split_once('.')
        .filter(|(_, above)| above.contains('.'))
    {
        let known = own.of_version("v=DMARC1");
        if known.is_none_or(|records| !records.is_empty()) {
            break;
        }
        let texts = dns.texts(&format!("_dmarc.{above}")).await;
        if texts.of_version("v=DMARC1").is_some_and(|r| !r.is_empty()) {
            return (above.to_owned(), texts);
        }
        domain = above;
    }
    (from.to_owned(), own)
}

fn spf(domain: &str, texts: &Texts, relay: &str) -> Item {
    let Some(records) = texts.of_version("v=spf1") else {
        return Item::warn(SPF, format!("{domain}: no answer"));
    };
    match records[..] {
        [] => Item::warn(SPF, format!("{domain} does not say who may send for it")).cure(format!(
            "add what your mail provider names, or if the relay sends by itself: \
             {domain}. TXT \"v=spf1 {} ~all\"",
            mechanism(relay)
        )),
        [record] => {
            let is_open = record
                .split_ascii_whitespace()
                .any(|term| term.eq_ignore_ascii_case("+all") || term.eq_ignore_ascii_case("all"));
            if is_open {
                Item::warn(
                    SPF,
                    format!("{domain} lets everybody send for it: {record}"),
                )
                .cure("end the record with ~all or -all")
            } else {
                Item::ok(SPF, format!("{domain}: {record}"))
            }
        }
        _ => Item::warn(
            SPF,
            format!(
                "{domain} has {} SPF records, and with more than one none counts",
                records.len()
            ),
        )
        .cure("put them into one record"),
    }
}

/// How SPF names a relay (RFC 7208, 5).
fn mechanism(relay: &str) -> String {
    match relay.parse::<IpAddr>() {
        _ if crate::config::is_loopback(relay) => "ip4:ADDRESS-OF-THIS-MACHINE".to_owned(),
        Ok(IpAddr::V4(ip)) => format!("ip4:{ip}"),
        Ok(IpAddr::V6(ip)) => format!("ip6:{ip}"),
        Err(_) => format!("a:{relay}"),
    }
}

fn dmarc(from: &str, at: &str, texts: &Texts) -> Item {
    let Some(records) = texts.of_version("v=DMARC1") else {
        return Item::warn(DMARC, format!("_dmarc.{at}: no answer"));
    };
    match records[..] {
        [] => Item::warn(
            DMARC,
            format!("{from} has no policy; large providers refuse bulk mail without one"),
        )
        .cure(format!(
            "add: _dmarc.{from}. TXT \"v=DMARC1; p=none; rua=mailto:dmarc@{from}\""
        )),
        [record] if tag(record, "p").is_none() => {
            Item::warn(DMARC, format!("_dmarc.{at} names no policy: {record}"))
                .cure("add p=none; to the record")
        }
        [record] => Item::ok(DMARC, format!("_dmarc.{at}: {record}")),
        _ => Item::warn(
            DMARC,
            format!("_dmarc.{at} has {} records, so none counts", records.len()),
        )
        .cure("leave one"),
    }
}

fn dkim(name: &str, texts: &Texts) -> Item {
    let Texts::Found(records) = texts else {
        return Item::warn(DKIM, format!("{name}: no answer"));
    };
    // The version tag may be left out (RFC 6376, 3.6.1); the key may not.
    match records.iter().find_map(|record| tag(record, "p")) {
        None => Item::warn(DKIM, format!("there is no key at {name}"))
            .cure("add the TXT record your mail provider shows, or mend email.dkim_selector"),
        Some("") => Item::warn(DKIM, format!("the key at {name} was revoked"))
            .cure("add the TXT record of the new key and name it in email.dkim_selector"),
        Some(_) => Item::ok(DKIM, format!("there is a key at {name}")),
    }
}

/// SPF vouches for the envelope's domain, DMARC asks about the one in `From`.
/// `None` if they are the same.
fn alignment(from: &str, envelope: &str, policy: &Texts) -> Option<Item> {
    if from == envelope {
        return None;
    }
    let records = policy.of_version("v=DMARC1").unwrap_or_default();
    let is_strict = records
        .first()
        .and_then(|record| tag(record, "aspf"))
        .is_some_and(|mode| mode.eq_ignore_ascii_case("s"));
    let both = format!("mail is from {from}, bounces go to {envelope}");
    if is_related(from, envelope) && !is_strict {
        return Some(Item::ok(DOMAIN, format!("{both}: they belong together")));
    }
    let why = if is_strict {
        "the policy wants them to be the same (aspf=s)"
    } else {
        "they do not belong together"
    };
    let says = format!("{both}: {why}, so SPF does not speak for the sender and only DKIM can");
    Some(
        Item::warn(DOMAIN, says).cure(format!("set email.bounces.address to an address at {from}")),
    )
}

/// Whether two domains share an owner, as far as names tell: DMARC asks a list
/// of public suffixes; here the usual second levels stand for it.
fn is_related(a: &str, b: &str) -> bool {
    let labels = |domain: &str| -> Vec<String> { domain.rsplit('.').map(str::to_owned).collect() };
    let (a, b) = (labels(a), labels(b));
    let n_shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let second = a.get(1).map_or("", String::as_str);
    let is_public = matches!(
        second,
        "ac" | "co" | "com" | "edu" | "gov" | "gv" | "ltd" | "ne" | "net" | "or" | "org"
    );
    n_shared > if is_public { 2 } else { 1 }
}

/// The value of `name=` in a list of tags.
fn tag<'a>(record: &'a str, name: &str) -> Option<&'a str> {
    record.split(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::Status;

    fn found(texts: &[&str]) -> Texts {
        Texts::Found(texts.iter().map(|t| (*t).to_owned()).collect())
    }
    fn short(item: &Item) -> (Status, String) {
        (item.status, item.cure.clone().unwrap_or_default())
    }

    #[test]
    fn spf_is_there_once_and_not_open_to_everybody() {
        let look = |texts: &[&str]| short(&spf("shop.example", &found(texts), "relay.example"));
        let add = "shop.example. TXT \"v=spf1 a:relay.example ~all\"";
        for (texts, status, cure) in [
            (vec![], Status::Warn, add),
            (
                vec!["google-site-verification=x", "v=spf10 x"],
                Status::Warn,
                add,
            ),
            (
                vec!["other", "v=spf1 include:p.example -all"],
                Status::Ok,
                "",
            ),
            (vec!["V=SPF1 mx ~all"], Status::Ok, ""),
            (vec!["v=spf1"], Status::Ok, ""),
            (vec!["v=spf1 +all"], Status::Warn, "~all"),
            (vec!["v=spf1 mx all"], Status::Warn, "~all"),
            (
                vec!["v=spf1 mx -all", "v=spf1 a -all"],
                Status::Warn,
                "one record",
            ),
        ] {
            let (said, help) = look(&texts);
            assert_eq!(said, status, "{texts:?}");
            assert!(help.contains(cure), "{texts:?} {help}");
        }
    }

    #[test]
    fn spf_names_a_relay_by_what_is_known_of_it() {
        for (relay, named) in [
            ("smtp.relay.example", "a:smtp.relay.example"),
            ("192.0.2.7", "ip4:192.0.2.7"),
            ("2001:db8::7", "ip6:2001:db8::7"),
            ("127.0.0.1", "ip4:ADDRESS-OF-THIS-MACHINE"),
            ("localhost", "ip4:ADDRESS-OF-THIS-MACHINE"),
        ] {
            assert_eq!(mechanism(relay), named);
        }
    }

    #[test]
    fn a_policy_and_a_key_are_there_or_it_says_what_to_add() {
        let look = |texts: &[&str]| short(&dmarc("shop.example", "shop.example", &found(texts)));
        let add = "_dmarc.shop.example. TXT \"v=DMARC1; p=none; rua=mailto:dmarc@shop.example\"";
        assert_eq!(look(&["v=DMARC1; p=reject"]).0, Status::Ok);
        assert!(look(&[]).1.contains(add));
        assert_eq!(look(&["v=DMARC1; rua=mailto:x@y.example"]).0, Status::Warn);
        assert_eq!(
            look(&["v=DMARC1; p=none", "v=DMARC1; p=none"]).0,
            Status::Warn
        );
        let key = |texts: &[&str]| dkim("s1._domainkey.shop.example", &found(texts)).status;
        assert_eq!(key(&["v=DKIM1; k=rsa; p=MIIB"]), Status::Ok);
        assert_eq!(key(&["p=MIIB"]), Status::Ok);
        assert_eq!(key(&["v=DKIM1; p="]), Status::Warn);
        assert_eq!(key(&[]), Status::Warn);
        assert_eq!(dkim("x", &Texts::NoAnswer).status, Status::Warn);
    }

    #[test]
    fn domains_belong_together_by_their_owner() {
        for (a, b, related) in [
            ("shop.example", "bounces.shop.example", true),
            ("mail.shop.example", "news.shop.example", true),
            ("shop.co.uk", "mail.shop.co.uk", true),
            ("shop.co.uk", "other.co.uk", false),
            ("shop.example", "other.example", false),
            ("shop.example", "shop.test", false),
        ] {
            assert_eq!(is_related(a, b), related, "{a} {b}");
            assert_eq!(is_related(b, a), related, "{b} {a}");
        }
        let aligned = |envelope, policy: &[&str]| {
            alignment("shop.example", envelope, &found(policy)).map(|item| item.status)
        };
        assert_eq!(aligned("shop.example", &[]), None);
        assert_eq!(aligned("b.shop.example", &[]), Some(Status::Ok));
        assert_eq!(
            aligned("b.shop.example", &["v=DMARC1; p=none; aspf=s"]),
            Some(Status::Warn)
        );
        assert_eq!(aligned("provider.example", &[]), Some(Status::Warn));
    }
}
