//! Kannel.

use super::forms::{length, parsed, text};
use super::sms::{Around, url};
use crate::channel::settings::{HookSettings, KannelSettings};
use crate::domain::time::Length;

pub fn read(around: &Around<'_>) -> (Option<KannelSettings>, Option<HookSettings>) {
    let section = around.reader.section("sms.kannel");
    let vault = around.vault.where_used(around.needed.is_some());
    let address = section.maybe("url", parsed(url));
    let user = section.maybe("user", text);
    let password = vault.read(&section, "password");
    let from = section.maybe("from", text);
    let smsc = section.maybe("smsc", text);
    let bounds = Length::mins(1)..=Length::days(7);
    let validity = section.maybe("validity", length(bounds));
    let secret = vault.read(&section, "receipt_secret");
    let callback = section.maybe("callback", parsed(url));
    if let Some(place) = around.needed {
        section.need("url", place, "\"http://127.0.0.1:13013/cgi-bin/sendsms\"");
        section.need("user", place, "\"backorderd\"");
        section.need("password", place, "{ file = \"secrets/kannel.password\" }");
        if section.entry("receipt_secret").is_some() {
            let web = around.reader.section("web");
            let place = section.place("receipt_secret");
            web.need("listen", &place, "\"127.0.0.1:8025\"");
        }
    }
    // Kannel usually stands beside us, and so comes to our own door.
    let ours = around.web.map(|web| format!("http://{}", web.listen));
    let base = callback.or(ours).filter(|_| around.web.is_some());
    let receipts = base.zip(secret.clone()).map(|(base, secret)| {
        let base = base.trim_end_matches('/');
        (format!("{base}/sms/kannel/status"), secret)
    });
    let hook = receipts.as_ref().map(|(_, secret)| HookSettings::Kannel {
        secret: secret.clone(),
    });
    let settings = || {
        Some(KannelSettings {
            url: address?,
            user: user?,
            password: password?,
            from,
            smsc,
            validity: validity.map(Length::to_std),
            receipts,
            traffic: around.traffic,
        })
    };
    (settings(), hook)
}
