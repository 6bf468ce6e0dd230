//! Vonage.

use super::forms::{choice, length, parsed, text};
use super::sms::{Around, url};
use crate::channel::settings::{HookSettings, MacAlgorithm, VonageSettings, VonageSigning};
use crate::domain::time::Length;

const VONAGE_URL: &str = "https://rest.nexmo.com";

pub fn read(around: &Around<'_>) -> (Option<VonageSettings>, Option<HookSettings>) {
    let section = around.reader.section("sms.vonage");
    let vault = around.vault.where_used(around.needed.is_some());
    let api_key = section.maybe("api_key", text);
    let api_secret = vault.read(&section, "api_secret");
    let from = section.maybe("from", text);
    let bounds = Length::secs(20)..=Length::days(7);
    let validity = section.maybe("validity", length(bounds));
    let base_url = section.maybe("base_url", parsed(url));
    let secret = vault.read(&section, "signature_secret");
    let words = [
        ("md5hash", VonageSigning::Md5Hash),
        ("md5", VonageSigning::Mac(MacAlgorithm::Md5)),
        ("sha1", VonageSigning::Mac(MacAlgorithm::Sha1)),
        ("sha256", VonageSigning::Mac(MacAlgorithm::Sha256)),
        ("sha512", VonageSigning::Mac(MacAlgorithm::Sha512)),
    ];
    let signing = section.maybe("signature", choice(&words));
    if let Some(place) = around.needed {
        section.need("api_key", place, "\"0a1b2c3d\"");
        section.need("api_secret", place, "{ file = \"secrets/vonage.secret\" }");
        section.need("from", place, "\"FernKettle\"");
        if section.entry("signature_secret").is_some() {
            let place = section.place("signature_secret");
            let web = around.reader.section("web");
            web.need("listen", &place, "\"127.0.0.1:8025\"");
            web.need("public_url", &place, "\"https://shop.example/backorderd\"");
        }
    }
    let receipts = around.receipts("vonage").filter(|_| secret.is_some());
    let settings = || {
        Some(VonageSettings {
            base_url: base_url.unwrap_or_else(|| VONAGE_URL.to_owned()),
            api_key: api_key?,
            api_secret: api_secret?,
            from: from?,
            validity: validity.map(Length::to_std),
            receipts,
            traffic: around.traffic,
        })
    };
    let hook = secret
        .filter(|_| around.web.is_some())
        .map(|secret| HookSettings::Vonage {
            secret,
            signing: signing.unwrap_or(VonageSigning::Mac(MacAlgorithm::Sha256)),
        });
    (settings(), hook)
}
