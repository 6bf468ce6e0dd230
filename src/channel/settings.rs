//! What each channel has to know, already checked: plain values that mean
//! what they say. Where they are read from is not decided here.
//!
//! Secrets are [`SecretString`]s, so that `Debug` of any of these prints
//! none.

use crate::domain::contact::EmailAddress;
use crate::domain::ids::MessageUid;
use crate::domain::message::QUIET_PERIOD;
use crate::domain::sms_status::SmsStatus;
use crate::domain::verp::{BounceAddress, VerpKey};
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// A display name and an address, as in `From`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: EmailAddress,
}

/// Who we are to the recipients of e-mail, whatever road it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderIdentity {
    pub from: Mailbox,
    /// Somebody reads what arrives here: every notice can be answered.
    pub reply_to: Mailbox,
    /// Takes `local+TOKEN@domain`: every mail has an envelope sender of its
    /// own, so that each bounce says by itself which mail it is about.
    pub bounces: Option<BounceAddress>,
    /// One envelope sender for all, for mailboxes that know no `+`.
    pub bounce_address: Option<EmailAddress>,
    pub unsubscribe_mailto: Option<EmailAddress>,
}

impl SenderIdentity {
    /// Where bounces of one mail go: the same on every attempt, because
    /// greylisting (RFC 6647) waits for the same sender again. The address in
    /// `from` where nothing else is set.
    pub fn envelope_sender(&self, key: &VerpKey, uid: MessageUid) -> EmailAddress {
        let own = self
            .bounces
            .as_ref()
            .and_then(|bounces| EmailAddress::parse(&bounces.sender(key, uid)).ok());
        own.or_else(|| self.bounce_address.clone())
            .unwrap_or_else(|| self.from.address.clone())
    }

    /// The domain that SPF (RFC 7208) is asked about for our mail.
    pub fn envelope_domain(&self) -> &str {
        match (&self.bounces, &self.bounce_address) {
            (Some(bounces), _) => bounces.domain(),
            (None, Some(address)) => address.domain(),
            (None, None) => self.from.address.domain(),
        }
    }
}

/// How the line to the relay is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Clear text; only ever to this machine's own loopback.
    Plain,
    /// Clear until `STARTTLS`, which must be offered.
    StartTls,
    /// TLS from the first byte (port 465). The safest of the three.
    Tls,
}

#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

/// The ways of a mail out of the house.
#[derive(Clone, Debug)]
pub struct EmailSettings {
    /// Tried in this order; at least one.
    pub relays: Vec<SmtpSettings>,
    /// Connections at the same time, 1 or more.
    pub sessions: usize,
    /// Mails a minute to recipients of a domain (lower case, A-labels). Only
    /// the domains that are named are held back.
    pub domains: Vec<(String, u32)>,
    /// How long a relay that does not answer is left alone.
    pub rest: Duration,
    /// How long a relay is left alone that a person has to repair.
    pub repair: Duration,
}

impl EmailSettings {
    /// One relay, one connection.
    pub fn through(relay: SmtpSettings) -> EmailSettings {
        EmailSettings {
            relays: vec![relay],
            sessions: 1,
            domains: Vec::new(),
            rest: Duration::from_secs(60),
            repair: Duration::from_secs(900),
        }
    }
}

/// A mail relay, and who we are to it.
#[derive(Clone, Debug)]
pub struct SmtpSettings {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub auth: Option<Login>,
    /// Our name in `EHLO`: a full domain name, or an address literal.
    pub helo: String,
    /// Mails a minute, 1 or more.
    pub per_minute: u32,
    pub limits: StepLimits,
}

impl SmtpSettings {
    /// `smtp.shop.example:465`: what the relay is called in records and logs.
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// How long each step of an SMTP conversation may take, and how long a
/// connection lives. RFC 5321 (4.5.3.2) asks for minutes where a modern relay
/// needs seconds; only the wait after the final dot must never be shortened,
/// because giving up there turns an accepted mail into one in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLimits {
    /// Name look-up, TCP, and again for the TLS handshake.
    pub connect: Duration,
    /// From the connection to the answer to `EHLO`.
    pub greeting: Duration,
    /// Each answer to `AUTH`, `MAIL`, `RCPT`, `RSET`.
    pub command: Duration,
    /// The answer to `DATA`.
    pub data: Duration,
    /// Writing the whole message.
    pub body: Duration,
    /// The answer to the final dot, counted from the dot; at most
    /// [`StepLimits::DOT_MAX`].
    pub dot: Duration,
    /// The farewell.
    pub quit: Duration,
    /// A connection unused for longer is not used again.
    pub idle: Duration,
    /// A connection older than this is not used again.
    pub age: Duration,
    /// Mails over one connection; relays often close after a hundred.
    pub n_mails: u32,
}

/// What the network may still deliver after a line was given up: for so long
/// nobody acknowledges, and then the system ends it (`TCP_USER_TIMEOUT`).
pub const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

impl StepLimits {
    /// The longest wait for the answer to a final dot that leaves two minutes
    /// for what comes before it.
    pub const DOT_MAX: Duration = Duration::from_secs(12 * 60);

    /// All the time a message has from the beginning of its sending to its
    /// final dot, over all its steps and relays.
    ///
    /// Somebody else may take this message for in doubt as soon as it is marked,
    /// and may send it again when the quiet period is over. By then whatever
    /// was begun here has to have ended: this time, the wait for the answer,
    /// and what the network still holds together are that period.
    pub fn before_dot(&self) -> Duration {
        let quiet = QUIET_PERIOD.to_std();
        quiet.saturating_sub(self.dot + UNACKNOWLEDGED_MAX)
    }
}

impl Default for StepLimits {
    fn default() -> StepLimits {
        StepLimits {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(60),
            command: Duration::from_secs(60),
            data: Duration::from_secs(120),
            body: Duration::from_secs(180),
            dot: Duration::from_secs(600),
            quit: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            age: Duration::from_secs(600),
            n_mails: 100,
        }
    }
}

/// Twilio's messaging API.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// `https://api.twilio.com`; plain HTTP only to loopback.
    pub base_url: String,
    pub account_sid: String,
    /// User of the basic authentication: the account, or the id of a key.
    pub user: String,
    pub token: SecretString,
    pub sender: TwilioSender,
    /// How long Twilio may try to deliver; kept to 1 s ..= 10 h.
    pub validity: Option<Duration>,
    /// Where it reports what became of a text; nobody asks without.
    pub receipts: Option<String>,
    pub traffic: Traffic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TwilioSender {
    /// A number in E.164, a short code, or an alphanumeric sender.
    From(String),
    MessagingService(String),
}

/// Vonage's SMS API (`rest.nexmo.com/sms/json`).
#[derive(Clone, Debug)]
pub struct VonageSettings {
    /// `https://rest.nexmo.com`; plain HTTP only to loopback.
    pub base_url: String,
    pub api_key: String,
    pub api_secret: SecretString,
    /// A number in digits, or up to eleven letters and digits.
    pub from: String,
    /// How long Vonage may try to deliver; kept to 20 s ..= 7 days.
    pub validity: Option<Duration>,
    /// As with Twilio.
    pub receipts: Option<String>,
    pub traffic: Traffic,
}

/// A Kannel `smsbox`: the shop's own gateway.
#[derive(Clone, Debug)]
pub struct KannelSettings {
    /// `http://127.0.0.1:13013/cgi-bin/sendsms`; plain HTTP only to loopback.
    pub url: String,
    pub user: String,
    pub password: SecretString,
    /// The group's own where there is none.
    pub from: Option<String>,
    /// The connection to use, where the group has several.
    pub smsc: Option<String>,
    /// How long the operator may try to deliver, in whole minutes.
    pub validity: Option<Duration>,
    /// As with Twilio, with the secret its receipts are marked with: Kannel
    /// does not sign, so each receipt's address carries a proof of its own.
    pub receipts: Option<(String, SecretString)>,
    pub traffic: Traffic,
}

/// Any gateway that takes one HTTP request per text.
#[derive(Clone, Debug)]
pub struct GenericSmsSettings {
    /// Name for people, in checks and errors.
    pub name: String,
    pub method: HttpMethod,
    /// No placeholders; plain HTTP only to loopback.
    pub url: String,
    /// Fixed headers, without secrets.
    pub headers: Vec<(String, String)>,
    pub auth: HttpAuth,
    pub body: BodyTemplate,
    /// `{{from}}` in the body.
    pub from: String,
    pub success: Success,
    /// Where the gateway's id stands in a JSON answer, as `/messages/0/id`.
    pub id_pointer: Option<String>,
    /// Statuses that certainly mean "not taken, try later".
    pub retry_statuses: Vec<u16>,
    /// Answers that mean the number will never work.
    pub hard: Option<AnswerMatch>,
    /// Answers that mean the recipient opted out.
    pub opted_out: Option<AnswerMatch>,
    /// Header that carries our message's identity, for gateways that drop
    /// repeats.
    pub idempotency_header: Option<String>,
    /// `{{callback}}` in the body: where it reports what became of a text.
    pub receipts: Option<String>,
    pub traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMethod {
    Get,
    Post,
    Put,
}

#[derive(Clone, Debug)]
pub enum HttpAuth {
    None,
    Basic(Login),
    Bearer(SecretString),
    Header {
        name: String,
        value: SecretString,
    },
    /// Fields beside the template's, for gateways that want `username` and
    /// `password` or a key among them.
    Fields(Vec<(String, SecretString)>),
}

/// The request's content with placeholders inside its strings: `{{to}}`
/// (E.164), `{{to_digits}}` (the same without `+`), `{{from}}`, `{{text}}`,
/// `{{ref}}`, `{{callback}}`, `{{encoding}}` (`gsm7` or `ucs2`). Values are
/// put in as values: a quotation mark in a text cannot end a JSON string.
#[derive(Clone, Debug)]
pub enum BodyTemplate {
    Json(serde_json::Value),
    /// Fields in order; with GET they become the query.
    Form(Vec<(String, String)>),
}

#[derive(Clone, Debug)]
pub struct Success {
    /// Statuses of success; 200, 201 and 202 if empty.
    pub statuses: Vec<u16>,
    /// What the answer must also say.
    pub matching: Option<AnswerMatch>,
}

/// A question to an answer of a gateway.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerMatch {
    /// The JSON value at this pointer equals one of these.
    Json {
        pointer: String,
        any_of: Vec<serde_json::Value>,
    },
    /// One of these stands somewhere in the body, in any case.
    Text(Vec<String>),
}

/// What all gateways have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Requests at the same time, 1 or more.
    pub sessions: usize,
    pub per_minute: u32,
    pub limits: HttpLimits,
}

/// What a gateway's requests to us are proved with.
#[derive(Clone, Debug)]
pub enum HookSettings {
    /// The account's own token, also where an API key sends.
    Twilio {
        token: SecretString,
    },
    Vonage {
        secret: SecretString,
        signing: VonageSigning,
    },
    /// Goes into the addresses Kannel is given.
    Kannel {
        secret: SecretString,
    },
    Generic(Box<GenericHookSettings>),
}

/// How the account signs the SMS API's webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VonageSigning {
    Md5Hash,
    Mac(MacAlgorithm),
}

/// What a keyed hash is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAlgorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

/// How a keyed hash is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacEncoding {
    /// Either case.
    Hex,
    Base64,
}

/// How any other gateway's requests to us are proved and read.
#[derive(Clone, Debug)]
pub struct GenericHookSettings {
    pub proof: HookProof,
    pub receipts: Option<ReceiptFields>,
    pub inbound: Option<InboundFields>,
}

#[derive(Clone, Debug)]
pub enum HookProof {
    /// A shared secret in a header.
    Header { name: String, secret: SecretString },
    /// A shared secret in the query, for gateways that can do no better.
    Query { name: String, secret: SecretString },
    /// A keyed hash of the body in a header.
    Signature(HookSignature),
}

#[derive(Clone, Debug)]
pub struct HookSignature {
    pub header: String,
    pub secret: SecretString,
    pub algorithm: MacAlgorithm,
    pub encoding: MacEncoding,
    /// What stands before the hash, as `sha256=`.
    pub prefix: String,
    /// Header with the Unix time in seconds; then `TIME.BODY` is signed, and
    /// what is older than five minutes is not taken.
    pub time_header: Option<String>,
}

/// Where a receipt says what: names of parameters, or places in a JSON
/// document (`/data/id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFields {
    /// The gateway's id.
    pub id: String,
    /// Our `{{ref}}`, where it comes back.
    pub reference: Option<String>,
    pub status: String,
    pub error: Option<String>,
    /// The gateway's words for a status, and what they mean.
    pub words: Vec<(String, SmsStatus)>,
    /// Errors that mean the number will never work.
    pub hard: Vec<String>,
    /// Errors that mean the recipient opted out.
    pub opted_out: Vec<String>,
}

/// As [`ReceiptFields`], for texts people send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundFields {
    pub id: Option<String>,
    pub from: String,
    pub to: Option<String>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    pub connect: Duration,
    /// The whole request with its answer.
    pub total: Duration,
}

impl Default for HttpLimits {
    fn default() -> HttpLimits {
        HttpLimits {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(30),
        }
    }
}

/// A folder that receives messages as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderSettings {
    pub path: PathBuf,
    pub sessions: usize,
    pub per_minute: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn every_mail_has_an_envelope_sender_of_its_own_where_that_works() {
        let address = |text| EmailAddress::parse(text).unwrap();
        let from = Mailbox {
            name: None,
            address: address("orders@shop.example"),
        };
        let mut sender = SenderIdentity {
            reply_to: from.clone(),
            from,
            bounces: None,
            bounce_address: None,
            unsubscribe_mailto: None,
        };
        let key = VerpKey::derive(b"installation");
        let uid = |n| MessageUid(Uuid::from_u128(n));
        let of = |sender: &SenderIdentity, n| sender.envelope_sender(&key, uid(n)).expose();
        assert_eq!(of(&sender, 7), "orders@shop.example");
        sender.bounce_address = Some(address("post@mail.shop.example"));
        assert_eq!(of(&sender, 7), "post@mail.shop.example");
        sender.bounces = BounceAddress::parse("bounces@b.shop.example").ok();
        assert_eq!(sender.envelope_domain(), "b.shop.example");
        assert_eq!(of(&sender, 7), of(&sender, 7));
        assert_ne!(of(&sender, 7), of(&sender, 8));
        assert!(of(&sender, 7).starts_with("bounces+"));
        assert_eq!(key.find(&of(&sender, 7)), Some(uid(7)));
    }

    #[test]
    fn secrets_are_not_printed() {
        let login = Login {
            user: "shop".into(),
            password: SecretString::from("correct horse"),
        };
        let auth = HttpAuth::Header {
            name: "X-Key".into(),
            value: SecretString::from("battery staple"),
        };
        let printed = format!("{login:?} {auth:?}");
        assert!(
            !printed.contains("horse") && !printed.contains("staple"),
            "{printed}"
        );
    }
}
