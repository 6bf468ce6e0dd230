//! Text messages: which gateway, and what all gateways share. Each gateway's
//! own settings are in a file of its name.

use super::channels::is_loopback;
use super::forms::{choice, length, whole};
use super::meant::{SecretUse, SmsGatewaySettings, WebSettings};
use super::problem::Place;
use super::reader::Reader;
use super::secrets::Vault;
use super::units::Wrong;
use super::{sms_generic, sms_kannel, sms_twilio, sms_vonage};
use crate::channel::settings::{HookSettings, HttpLimits, Traffic};
use crate::domain::time::Length;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gateway {
    None,
    Folder,
    Twilio,
    Vonage,
    Kannel,
    Generic,
}

impl Gateway {
    /// Whether texts leave the machine through it.
    pub fn is_real(self) -> bool {
        !matches!(self, Gateway::None | Gateway::Folder)
    }
}

/// What `[sms]` says of the gateway.
pub struct Sms {
    pub gateway: Gateway,
    /// Where the gateway is named.
    pub gateway_place: Place,
    /// `None` without gateway, and when secrets were left out.
    pub settings: Option<SmsGatewaySettings>,
    /// How the gateway's own requests are proved; `None` where it makes none.
    pub hook: Option<HookSettings>,
}

/// What each gateway's reader is given.
pub struct Around<'a> {
    pub reader: &'a Reader,
    pub vault: &'a Vault<'a>,
    pub traffic: Traffic,
    pub web: Option<&'a WebSettings>,
    /// Where the gateway was chosen, when it was this one.
    pub needed: Option<&'a Place>,
}

impl Around<'_> {
    /// The public address of this gateway's receipts.
    pub fn receipts(&self, name: &str) -> Option<String> {
        let public = self.web?.public_url.as_ref()?;
        Some(format!("{public}/sms/{name}/status"))
    }
}

pub fn read(reader: &Reader, vault: &Vault<'_>, web: Option<&WebSettings>) -> Sms {
    let section = reader.section("sms");
    let words = [
        ("none", Gateway::None),
        ("folder", Gateway::Folder),
        ("twilio", Gateway::Twilio),
        ("vonage", Gateway::Vonage),
        ("kannel", Gateway::Kannel),
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
    let traffic = Traffic {
        sessions: section.wanted("sessions", 1, whole(1..=64)) as usize,
        per_minute: section.wanted("per_minute", 1, whole(1..=100_000)),
        limits: HttpLimits {
            connect: limit("connect"),
            total: limit("total"),
        },
    };
    let around = |of: Gateway| Around {
        reader,
        vault,
        traffic,
        web,
        needed: (of == gateway).then_some(&place),
    };
    // All are read whichever is chosen, so that mistakes show at once.
    let (twilio, twilio_hook) = sms_twilio::read(&around(Gateway::Twilio));
    let (vonage, vonage_hook) = sms_vonage::read(&around(Gateway::Vonage));
    let (kannel, kannel_hook) = sms_kannel::read(&around(Gateway::Kannel));
    let (generic, generic_hook) = sms_generic::read(&around(Gateway::Generic));
    let (settings, hook) = match gateway {
        Gateway::None => (None, None),
        Gateway::Folder => (Some(SmsGatewaySettings::Folder), None),
        Gateway::Twilio => (twilio.map(SmsGatewaySettings::Twilio), twilio_hook),
        Gateway::Vonage => (vonage.map(SmsGatewaySettings::Vonage), vonage_hook),
        Gateway::Kannel => (kannel.map(SmsGatewaySettings::Kannel), kannel_hook),
        Gateway::Generic => {
            let boxed = generic.map(Box::new);
            (boxed.map(SmsGatewaySettings::Generic), generic_hook)
        }
    };
    let loaded = vault.secrets == SecretUse::Load || gateway == Gateway::Folder;
    Sms {
        gateway,
        gateway_place: place,
        settings: settings.filter(|_| loaded),
        hook: hook.filter(|_| loaded),
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
