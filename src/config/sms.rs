//! Text messages: which gateway, and Twilio; a gateway of any other kind is in
//! [`super::sms_generic`].

use super::channels::is_loopback;
use super::forms::{choice, length, parsed, text, whole};
use super::meant::{SecretUse, SmsGatewaySettings};
use super::problem::Place;
use super::reader::Reader;
use super::secrets::Vault;
use super::sms_generic;
use super::units::Wrong;
use crate::channel::settings::{HttpLimits, TwilioSender, TwilioSettings};
use crate::domain::time::Length;

const TWILIO_URL: &str = "https://api.twilio.com";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    None,
    Folder,
    Twilio,
    Generic,
}

/// What `[sms]` says of the gateway.
pub struct Sms {
    pub gateway: Gateway,
    /// Where the gateway is named.
    pub gateway_place: Place,
    /// `None` without gateway, and when secrets were left out.
    pub settings: Option<SmsGatewaySettings>,
}

/// What all gateways share.
pub struct Shared {
    pub sessions: usize,
    pub per_minute: u32,
    pub limits: HttpLimits,
}

pub fn read(reader: &Reader, vault: &Vault<'_>) -> Sms {
    let section = reader.section("sms");
    let words = [
        ("none", Gateway::None),
        ("folder", Gateway::Folder),
        ("twilio", Gateway::Twilio),
        ("generic", Gateway::Generic),
    ];
    let gateway = section.wanted("gateway", Gateway::None, choice(&words));
    let place = section.place("gateway");
    let limit = |key| {
        let bounds = Length::secs(1)..=Length::mins(5);
        section
            .wanted(key, Length::secs(1), length(bounds))
            .to_std()
    };
    let shared = Shared {
        sessions: section.wanted("sessions", 1, whole(1..=64)) as usize,
        per_minute: section.wanted("per_minute", 1, whole(1..=100_000)),
        limits: HttpLimits {
            connect: limit("connect"),
            total: limit("total"),
        },
    };
    // Both are read whichever is chosen, so that mistakes show at once.
    let needed = |of: Gateway| (of == gateway).then_some(&place);
    let twilio = twilio(reader, vault, needed(Gateway::Twilio), &shared);
    let generic = sms_generic::read(reader, vault, needed(Gateway::Generic), shared);
    let loaded = vault.secrets == SecretUse::Load;
    let settings = match gateway {
        Gateway::None => None,
        Gateway::Folder => Some(SmsGatewaySettings::Folder),
        Gateway::Twilio => twilio.filter(|_| loaded).map(SmsGatewaySettings::Twilio),
        Gateway::Generic => generic
            .filter(|_| loaded)
            .map(Box::new)
            .map(SmsGatewaySettings::Generic),
    };
    Sms {
        gateway,
        gateway_place: place,
        settings,
    }
}

fn twilio(
    reader: &Reader,
    vault: &Vault<'_>,
    needed: Option<&Place>,
    shared: &Shared,
) -> Option<TwilioSettings> {
    let section = reader.section("sms.twilio");
    let account_sid = section.maybe("account_sid", parsed(account_sid));
    let user = section.maybe("user", text);
    let token = vault.where_used(needed.is_some()).read(&section, "token");
    let sender = section.maybe("from", |entry| text(entry).map(twilio_sender));
    let bounds = Length::secs(1)..=Length::hours(10);
    let validity = section.maybe("validity", length(bounds));
    let base_url = section.maybe("base_url", parsed(url));
    if let Some(place) = needed {
        section.need("account_sid", place, "\"AC...\"");
        section.need("token", place, "{ file = \"secrets/twilio.token\" }");
        section.need("from", place, "\"+442079460018\"");
    }
    let account_sid = account_sid?;
    Some(TwilioSettings {
        base_url: base_url.unwrap_or_else(|| TWILIO_URL.to_owned()),
        user: user.unwrap_or_else(|| account_sid.clone()),
        account_sid,
        token: token?,
        sender: sender?,
        validity: validity.map(Length::to_std),
        sessions: shared.sessions,
        per_minute: shared.per_minute,
        limits: shared.limits,
    })
}

fn account_sid(text: &str) -> Result<String, Wrong> {
    if is_sid(text, "AC") {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        "this is not the id of a Twilio account",
        "write the Account SID of the console: AC and 32 digits or letters from a to f",
    ))
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

fn twilio_sender(text: String) -> TwilioSender {
    if is_sid(&text, "MG") {
        TwilioSender::MessagingService(text)
    } else {
        TwilioSender::From(text)
    }
}

/// An `https` address without a login; `http` only to this machine.
pub fn url(text: &str) -> Result<String, Wrong> {
    let cure = "write it like \"https://api.gateway.example/v1/messages\"";
    let url = reqwest::Url::parse(text)
        .map_err(|_| Wrong::new("this is not the address of a web service", cure))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new(
            "a login must not stand in an address",
            "take it out and use the settings for the login",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if is_loopback(host) => Ok(text.to_owned()),
        "http" => Err(Wrong::new(
            "http would send texts and the login in clear text over the network",
            "write https://; http is for a gateway on this machine (127.0.0.1)",
        )),
        _ => Err(Wrong::new("this is not the address of a web service", cure)),
    }
}
