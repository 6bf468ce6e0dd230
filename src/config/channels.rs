//! E-mail: who we are to recipients, and the relay that takes our mail.

use super::forms::{choice, complain, length, like, parsed, switch, table, text, whole};
use super::freemail::is_freemail;
use super::meant::{DnsSettings, SecretUse};
use super::problem::Place;
use super::raw::Entry;
use super::reader::{Complaint, Read, Reader, Section};
use super::secrets::Vault;
use super::units::{Wrong, length_text};
use crate::channel::settings::{
    EmailSettings, Login, Mailbox, Security, SenderIdentity, SmtpSettings, StepLimits,
};
use crate::domain::contact::EmailAddress;
use crate::domain::message::QUIET_PERIOD;
use crate::domain::shop::ShopProfile;
use crate::domain::time::Length;
use crate::domain::verp::BounceAddress;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What `[email]` says.
pub struct Email {
    pub sender: SenderIdentity,
    /// Also `None` when secrets were left out.
    pub relays: Option<EmailSettings>,
    pub dns: DnsSettings,
    /// Where the relay is named, if it is.
    pub host_place: Option<Place>,
}

/// `per_minute` is the pace of the whole program. How long relays are left
/// alone follows from `[retry]`, which is read elsewhere.
pub fn read(reader: &Reader, shop: &ShopProfile, vault: &Vault<'_>, per_minute: u32) -> Email {
    let section = reader.section("email");
    let host_place = section
        .entry("host")
        .map(|entry| entry.origin.value_place());
    let from = section.maybe("from", parsed(mailbox));
    let (bounces, bounce_address) = bounces(reader);
    let address = like(EmailAddress::parse, "\"name@shop.example\"");
    let unsubscribe_mailto = section.maybe("unsubscribe", address);
    let sessions = section.wanted("sessions", 1, whole(1..=64));
    let domains = section.maybe("domains", table(domain_paces));
    let limits = limits(&reader.section("email.limits"));
    if let Some(from) = &from {
        refuse_freemail(&section, "from", from.address.domain());
    }
    if let Some(place) = &host_place {
        section.need("from", place, "\"My Shop <orders@shop.example>\"");
        reader
            .section("shop")
            .need("reply_to", place, "\"help@shop.example\"");
    }
    let dns = DnsSettings {
        server: section.maybe("dns", parsed(dns_server)),
        dkim_selector: section.maybe("dkim_selector", parsed(selector)),
    };
    let named = |address: EmailAddress| Mailbox {
        name: Some(shop.name.clone()),
        address,
    };
    let from = from.map(|from| Mailbox {
        name: from.name.or_else(|| Some(shop.name.clone())),
        address: from.address,
    });
    let reply_to = shop.reply_to.clone().map(named);
    let sender = sender(from, reply_to, bounces, bounce_address, unsubscribe_mailto);
    let own_domain = sender.from.address.domain();
    let first = relay(&section, vault, own_domain, per_minute, limits);
    let described = reader.section("email.backup").named();
    let backups: Vec<SmtpSettings> = described
        .iter()
        .filter_map(|section| {
            if section.entry("host").is_none() {
                section.refuse_all(
                    "a relay without a host cannot take any mail",
                    "add host = \"smtp2.shop.example\"",
                );
            }
            relay(section, vault, own_domain, per_minute, limits)
        })
        .collect();
    if let (None, [backup, ..], [place, ..]) =
        (&host_place, backups.as_slice(), described.as_slice())
    {
        place.refuse_all(
            format!(
                "{} can stand in for a relay, but email.host names none",
                backup.host
            ),
            "add host = \"smtp.shop.example\" to [email]",
        );
    }
    let relays = first.map(|first| EmailSettings {
        relays: [vec![first], backups].concat(),
        sessions: sessions as usize,
        domains: domains.unwrap_or_default(),
        rest: Duration::from_secs(60),
        repair: Duration::from_secs(900),
    });
    Email {
        sender,
        relays: relays.filter(|_| vault.secrets == SecretUse::Load),
        dns,
        host_place,
    }
}

/// One relay, as `[email]` and each `[email.backup.NAME]` describe it.
fn relay(
    section: &Section<'_>,
    vault: &Vault<'_>,
    own_domain: &str,
    per_minute: u32,
    limits: StepLimits,
) -> Option<SmtpSettings> {
    let host = section.maybe("host", parsed(host_name));
    let security = section
        .maybe(
            "security",
            choice(&[
                ("starttls", Security::StartTls),
                ("tls", Security::Tls),
                ("plain", Security::Plain),
            ]),
        )
        .unwrap_or(Security::StartTls);
    let port = port(section, security);
    let auth = login(section, vault, host.is_some());
    let helo = section.maybe("helo", parsed(helo_name));
    let per_minute = section
        .maybe("per_minute", whole(1..=1_000_000))
        .unwrap_or(per_minute);
    if let (Some(host), Security::Plain) = (&host, security)
        && !is_loopback(host)
    {
        section.refuse(
            "security",
            "security = \"plain\" would send mail, and the login, in clear text over the network",
            "write \"starttls\" or \"tls\"; \"plain\" is for a relay on this machine (127.0.0.1)",
        );
    }
    Some(SmtpSettings {
        host: host?,
        port,
        security,
        auth,
        helo: helo.unwrap_or_else(|| own_domain.to_owned()),
        per_minute,
        limits,
    })
}

/// The address that takes a token with every mail, or the one for all mails.
fn bounces(reader: &Reader) -> (Option<BounceAddress>, Option<EmailAddress>) {
    let section = reader.section("email.bounces");
    let address = like(EmailAddress::parse, "\"bounces@shop.example\"");
    let address = section.maybe("address", address);
    let takes_plus = section.wanted("plus", true, switch);
    let Some(address) = address else {
        return (None, None);
    };
    refuse_freemail(&section, "address", address.domain());
    if !takes_plus {
        return (None, Some(address));
    }
    match BounceAddress::parse(&address.expose()) {
        Ok(bounces) => (Some(bounces), None),
        Err(problem) => {
            section.refuse(
                "address",
                format!("no token can be added to this address: {problem}"),
                "write a shorter, plain address, or plus = false for one without tokens",
            );
            (None, None)
        }
    }
}

/// `"gmail.com" = 60`
fn domain_paces(entries: &[(&str, &Entry)]) -> Read<Vec<(String, u32)>> {
    let mut complaints = Vec::new();
    let mut paces = Vec::new();
    for (name, entry) in entries {
        let at = |place: Place, wrong: Wrong| Complaint {
            at: Some(place),
            wrong,
        };
        let domain = idna::domain_to_ascii_strict(name)
            .ok()
            .filter(|domain| domain.contains('.'));
        let Some(domain) = domain else {
            let wrong = Wrong::new(
                format!("`{name}` is not a domain"),
                "write it like \"gmail.com\" = 60",
            );
            complaints.push(at(entry.origin.key_place(), wrong));
            continue;
        };
        match whole(1..=1_000_000)(entry) {
            Ok(per_minute) => paces.push((domain, per_minute)),
            Err(found) => complaints.extend(
                found
                    .into_iter()
                    .map(|found| at(entry.origin.value_place(), found.wrong)),
            ),
        }
    }
    if complaints.is_empty() {
        Ok(paces)
    } else {
        Err(complaints)
    }
}

fn dns_server(text: &str) -> Result<SocketAddr, Wrong> {
    let cure = "write an address, with a port unless it is 53: \"127.0.0.1\" or \"127.0.0.1:5353\"";
    text.parse()
        .or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)))
        .map_err(|_| Wrong::new(format!("`{text}` is not the address of a DNS server"), cure))
}

/// The first part of `selector._domainkey.shop.example` (RFC 6376, 3.1).
fn selector(text: &str) -> Result<String, Wrong> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.chars().all(sound) && !text.contains("_domainkey") {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            format!("`{text}` is not a DKIM selector"),
            "write only the part before ._domainkey, like \"s1\"",
        ))
    }
}

/// Where nothing is said, mail goes into a folder at most and shows a sender
/// that cannot exist.
fn sender(
    from: Option<Mailbox>,
    reply_to: Option<Mailbox>,
    bounces: Option<BounceAddress>,
    bounce_address: Option<EmailAddress>,
    unsubscribe_mailto: Option<EmailAddress>,
) -> SenderIdentity {
    let nobody = || Mailbox {
        name: None,
        address: super::meant::nobodys_address(),
    };
    let from = from.or_else(|| reply_to.clone()).unwrap_or_else(nobody);
    SenderIdentity {
        reply_to: reply_to.unwrap_or_else(|| from.clone()),
        from,
        bounces,
        bounce_address,
        unsubscribe_mailto,
    }
}

fn port(section: &Section<'_>, security: Security) -> u16 {
    let usual = match security {
        Security::StartTls => 587,
        Security::Tls => 465,
        Security::Plain => 25,
    };
    let port = section.maybe("port", whole(1..=65_535)).unwrap_or(usual);
    if port == 465 && security == Security::StartTls {
        section.refuse(
            "port",
            "port 465 speaks TLS from the first byte, security = \"starttls\" does not",
            "write security = \"tls\" with port 465, or port = 587",
        );
    }
    u16::try_from(port).unwrap_or(587)
}

fn login(section: &Section<'_>, vault: &Vault<'_>, used: bool) -> Option<Login> {
    let user = section.maybe("user", text);
    let password = vault.where_used(used).read(section, "password");
    for (key, other, example) in [
        ("password", "user", "{ file = \"secrets/smtp.password\" }"),
        ("user", "password", "\"backorderd\""),
    ] {
        if section.entry(other).is_some() {
            section.need(key, &section.place(other), example);
        }
    }
    Some(Login {
        user: user?,
        password: password?,
    })
}

fn limits(section: &Section<'_>) -> StepLimits {
    let step = |key: &str, longest: Length| -> Duration {
        section
            .wanted(key, Length::secs(1), length(Length::secs(1)..=longest))
            .to_std()
    };
    let minutes = |n| Length::mins(n);
    StepLimits {
        connect: step("connect", minutes(5)),
        greeting: step("greeting", minutes(10)),
        command: step("command", minutes(10)),
        data: step("data", minutes(10)),
        body: step("body", minutes(30)),
        dot: section
            .wanted("dot", Length::secs(1), wait_for_dot)
            .to_std(),
        quit: step("quit", minutes(1)),
        idle: step("idle", minutes(30)),
        age: step("age", minutes(24 * 60)),
        n_mails: section.wanted("mails", 1, whole(1..=100_000)),
    }
}

/// How long the answer to the final dot is waited for. Meanwhile nobody else
/// may send the same message.
fn wait_for_dot(entry: &Entry) -> Read<Length> {
    let longest = Length::secs(StepLimits::DOT_MAX.as_secs() as i64);
    let wait = length(Length::secs(1)..=Length::hours(1))(entry)?;
    if wait <= longest {
        return Ok(wait);
    }
    let (quiet, longest) = (length_text(QUIET_PERIOD), length_text(longest));
    complain(
        format!(
            "a message in doubt may be sent once more after {quiet}, while this one would still \
             wait for its answer"
        ),
        format!(
            "write \"{longest}\" or less; the rest of the {quiet} is for what comes before the \
             last byte, and for what the network still holds after it"
        ),
    )
}

fn host_name(text: &str) -> Result<String, Wrong> {
    let cure = "write the name alone, like \"smtp.shop.example\"; the port has its own setting";
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let sound = bare.parse::<IpAddr>().is_ok()
        || idna::domain_to_ascii_strict(text).is_ok_and(|name| !name.is_empty());
    if sound {
        Ok(bare.to_owned())
    } else {
        Err(Wrong::new("this is not the name of a host", cure))
    }
}

fn helo_name(text: &str) -> Result<String, Wrong> {
    let sound = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    if text.chars().all(sound) && (text.contains('.') || text.starts_with('[')) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            format!("`{text}` is not a full domain name"),
            "write it like \"mail.shop.example\" or \"[192.0.2.1]\"",
        ))
    }
}

/// Only this machine can hear what goes there.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads `Name <address>` or a bare address.
fn mailbox(text: &str) -> Result<Mailbox, Wrong> {
    let (name, address) = match text.strip_suffix('>').and_then(|t| t.rsplit_once('<')) {
        Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
        None => ("", text),
    };
    let address = EmailAddress::parse(address).map_err(|error| {
        Wrong::new(
            error.to_string(),
            "write it like \"My Shop <orders@shop.example>\"",
        )
    })?;
    Ok(Mailbox {
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        address,
    })
}

fn refuse_freemail(section: &Section<'_>, key: &str, domain: &str) {
    if is_freemail(domain) {
        section.refuse(
            key,
            format!("mail from {domain} sent by another server is refused or filed as spam"),
            "write an address at the shop's own domain; a freemail address may stand in shop.reply_to",
        );
    }
}

impl Section<'_> {
    /// Objects when `key` is left out although what stands at `because` needs
    /// it.
    pub fn need(&self, key: &str, because: &Place, example: &str) {
        if self.entry(key).is_some() {
            return;
        }
        let path = self.path_of(key);
        let section = path.rsplit_once('.').map_or("", |(section, _)| section);
        let cure = format!("add {key} = {example} to [{section}]");
        self.reader().refuse(
            because.clone(),
            format!("this needs {path}, which is not set"),
            cure,
        );
    }
}
