//! E-mail: who we are to recipients, and the relay that takes our mail.

use super::forms::{choice, length, like, parsed, text, whole};
use super::meant::SecretUse;
use super::problem::Place;
use super::reader::{Reader, Section};
use super::secrets::Vault;
use super::units::Wrong;
use crate::channel::settings::{
    Login, Mailbox, Security, SenderIdentity, SmtpSettings, StepLimits,
};
use crate::domain::contact::EmailAddress;
use crate::domain::shop::ShopProfile;
use crate::domain::time::Length;
use std::net::IpAddr;
use std::time::Duration;

/// Domains where anybody gets an address. Their owners publish that nobody
/// else may send for them (DMARC), so such a sender never arrives.
const FREEMAIL: [&str; 38] = [
    "126.com",
    "163.com",
    "aol.com",
    "att.net",
    "bigpond.com",
    "bluewin.ch",
    "btinternet.com",
    "comcast.net",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.fr",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "live.com",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "orange.fr",
    "outlook.com",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "t-online.de",
    "web.de",
    "zoho.com",
];
/// The same with many national domains.
const FREEMAIL_FAMILIES: [&str; 4] = ["yahoo.", "ymail.", "yandex.", "outlook."];

/// What `[email]` says.
pub struct Email {
    pub sender: SenderIdentity,
    /// Also `None` when secrets were left out.
    pub relay: Option<SmtpSettings>,
    /// Where the relay is named, if it is.
    pub host_place: Option<Place>,
}

/// `per_minute` is the pace of the whole program.
pub fn read(reader: &Reader, shop: &ShopProfile, vault: &Vault<'_>, per_minute: u32) -> Email {
    let section = reader.section("email");
    let host = section.maybe("host", parsed(host_name));
    let host_place = section
        .entry("host")
        .map(|entry| entry.origin.value_place());
    let security = section.wanted(
        "security",
        Security::Tls,
        choice(&[
            ("starttls", Security::StartTls),
            ("tls", Security::Tls),
            ("plain", Security::Plain),
        ]),
    );
    let port = port(&section, security);
    let auth = login(&section, vault, host.is_some());
    let from = section.maybe("from", parsed(mailbox));
    let helo = section.maybe("helo", parsed(helo_name));
    let address = || like(EmailAddress::parse, "\"name@shop.example\"");
    let bounce_address = section.maybe("bounce", address());
    let unsubscribe_mailto = section.maybe("unsubscribe", address());
    let sessions = section.wanted("sessions", 1, whole(1..=64));
    let per_minute = section
        .maybe("per_minute", whole(1..=1_000_000))
        .unwrap_or(per_minute);
    let limits = limits(&reader.section("email.limits"));
    if let Some(from) = &from {
        refuse_freemail(&section, from);
    }
    if let (Some(host), Security::Plain) = (&host, security)
        && !is_loopback(host)
    {
        section.refuse(
            "security",
            "security = \"plain\" would send mail, and the login, in clear text over the network",
            "write \"starttls\" or \"tls\"; \"plain\" is for a relay on this machine (127.0.0.1)",
        );
    }
    if let Some(place) = &host_place {
        section.need("from", place, "\"My Shop <orders@shop.example>\"");
        reader
            .section("shop")
            .need("reply_to", place, "\"help@shop.example\"");
    }
    let named = |address: EmailAddress| Mailbox {
        name: Some(shop.name.clone()),
        address,
    };
    let from = from.map(|from| Mailbox {
        name: from.name.or_else(|| Some(shop.name.clone())),
        address: from.address,
    });
    let sender = sender(
        from,
        shop.reply_to.clone().map(named),
        bounce_address,
        unsubscribe_mailto,
    );
    let relay = host.map(|host| SmtpSettings {
        host,
        port,
        security,
        auth,
        helo: helo.unwrap_or_else(|| sender.from.address.domain().to_owned()),
        sessions: sessions as usize,
        per_minute,
        limits,
    });
    Email {
        sender,
        relay: relay.filter(|_| vault.secrets == SecretUse::Load),
        host_place,
    }
}

/// Where nothing is said, mail goes into a folder at most and shows a sender
/// that cannot exist.
fn sender(
    from: Option<Mailbox>,
    reply_to: Option<Mailbox>,
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
        dot: step("dot", minutes(30)),
        quit: step("quit", minutes(1)),
        idle: step("idle", minutes(30)),
        age: step("age", minutes(24 * 60)),
        n_mails: section.wanted("mails", 1, whole(1..=100_000)),
    }
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

fn refuse_freemail(section: &Section<'_>, from: &Mailbox) {
    let domain = from.address.domain();
    let anybodys = FREEMAIL.contains(&domain)
        || FREEMAIL_FAMILIES
            .iter()
            .any(|family| domain.starts_with(family));
    if anybodys {
        section.refuse(
            "from",
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
