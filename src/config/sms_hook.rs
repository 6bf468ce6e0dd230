//! What a gateway of any kind tells us: how its requests are proved, and where
//! in them stands what.

use super::forms::{choice, parsed, table, text};
use super::raw::Entry;
use super::reader::{Read, Section};
use super::secrets::Vault;
use super::sms::Around;
use super::sms_generic::header_name;
use super::units::Wrong;
use crate::channel::settings::{
    GenericHookSettings, HookProof, HookSignature, InboundFields, MacAlgorithm, MacEncoding,
    ReceiptFields,
};
use crate::domain::sms_status::SmsStatus;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Header,
    Query,
    Signature,
}

pub fn read(around: &Around<'_>) -> Option<GenericHookSettings> {
    let vault = around.vault.where_used(around.needed.is_some());
    let proof = around.reader.section("sms.generic.proof");
    let receipts = around.reader.section("sms.generic.receipts");
    let inbound = around.reader.section("sms.generic.inbound");
    let settings = GenericHookSettings {
        receipts: receipt_fields(&receipts),
        inbound: inbound_fields(&inbound),
        proof: read_proof(&proof, &vault)?,
    };
    if around.needed.is_some() {
        let web = around.reader.section("web");
        web.need("listen", &proof.place("by"), "\"127.0.0.1:8025\"");
    }
    around.web.map(|_| settings)
}

fn read_proof(section: &Section<'_>, vault: &Vault<'_>) -> Option<HookProof> {
    let words = [
        ("header", Proof::Header),
        ("query", Proof::Query),
        ("signature", Proof::Signature),
    ];
    let by = section.maybe("by", choice(&words));
    let name = section.maybe("name", parsed(header_name));
    let secret = vault.read(section, "secret");
    let algorithms = [
        ("md5", MacAlgorithm::Md5),
        ("sha1", MacAlgorithm::Sha1),
        ("sha256", MacAlgorithm::Sha256),
        ("sha512", MacAlgorithm::Sha512),
    ];
    let algorithm = section.maybe("algorithm", choice(&algorithms));
    let encodings = [("hex", MacEncoding::Hex), ("base64", MacEncoding::Base64)];
    let encoding = section.maybe("encoding", choice(&encodings));
    let prefix = section.maybe("prefix", text);
    let time_header = section.maybe("time_header", parsed(header_name));
    let by = by?;
    let place = section.place("by");
    section.need("name", &place, "\"X-Signature\"");
    section.need("secret", &place, "{ file = \"secrets/textgate.hook\" }");
    if by != Proof::Signature {
        for key in ["algorithm", "encoding", "prefix", "time_header"] {
            if section.entry(key).is_some() {
                section.refuse(
                    key,
                    format!("{} is for by = \"signature\"", section.path_of(key)),
                    "take it out, or change sms.generic.proof.by",
                );
            }
        }
    }
    let (name, secret) = (name?, secret?);
    Some(match by {
        Proof::Header => HookProof::Header { name, secret },
        Proof::Query => HookProof::Query { name, secret },
        Proof::Signature => HookProof::Signature(HookSignature {
            header: name,
            secret,
            algorithm: algorithm.unwrap_or(MacAlgorithm::Sha256),
            encoding: encoding.unwrap_or(MacEncoding::Hex),
            prefix: prefix.unwrap_or_default(),
            time_header,
        }),
    })
}

fn receipt_fields(section: &Section<'_>) -> Option<ReceiptFields> {
    let id = section.maybe("id", text);
    let reference = section.maybe("ref", text);
    let status = section.maybe("status", text);
    let error = section.maybe("error", text);
    let words = section.maybe("words", table(status_words));
    let list = |key| {
        section
            .maybe(key, super::forms::list(text))
            .unwrap_or_default()
    };
    let (hard, opted_out) = (list("hard"), list("opted_out"));
    if let Some(place) = section.entry("status").map(|_| section.place("status")) {
        section.need("id", &place, "\"/id\"");
        section.need(
            "words",
            &place,
            "{ DELIVRD = \"delivered\", UNDELIV = \"undelivered\" }",
        );
    }
    Some(ReceiptFields {
        id: id?,
        reference,
        status: status?,
        error,
        words: words?,
        hard,
        opted_out,
    })
}

fn inbound_fields(section: &Section<'_>) -> Option<InboundFields> {
    let id = section.maybe("id", text);
    let from = section.maybe("from", text);
    let to = section.maybe("to", text);
    let words = section.maybe("text", text);
    if let Some(place) = section.entry("from").map(|_| section.place("from")) {
        section.need("text", &place, "\"/text\"");
    }
    Some(InboundFields {
        id,
        from: from?,
        to,
        text: words?,
    })
}

fn status_words(entries: &[(&str, &Entry)]) -> Read<Vec<(String, SmsStatus)>> {
    let word = |(word, entry): &(&str, &Entry)| {
        let meant = text(entry)?;
        let known = SmsStatus::ALL
            .into_iter()
            .find(|status| status.as_str() == meant);
        match known {
            Some(status) => Ok(((*word).to_owned(), status)),
            None => {
                let all = SmsStatus::ALL.map(SmsStatus::as_str).join(", ");
                let what = format!("`{meant}` is not the state of a text");
                Err(vec![Wrong::new(what, format!("write one of {all}")).into()])
            }
        }
    };
    entries.iter().map(word).collect()
}
