//! Rendering and composing one claimed message, before a lane gets it: while
//! others are on their way, so that no session waits for a template.

use crate::app::{Reach, Viewer};
use crate::channel::settings::Mailbox;
use crate::channel::smtp::message::{Letter, compose, message_id};
use crate::channel::{Envelope, Mail, Payload, Text};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::kinds::ChannelName;
use crate::domain::statement::hex;
use crate::store::types::{Claimed, Mark};
use sha2::{Digest, Sha256};

/// What leaves, and what is written of it before.
pub struct Prepared {
    pub envelope: Envelope,
    pub mark: Mark,
}

/// A claimed message and how it will be sent, or why it cannot be rendered.
pub struct Work {
    pub claimed: Claimed,
    pub prepared: Result<Prepared, String>,
}

/// Renders and composes. Pure but for the sample of nothing: same message,
/// same bytes.
pub fn prepare(viewer: &Viewer, claimed: &Claimed) -> Result<Prepared, String> {
    let settings = &viewer.settings;
    let today = viewer.today();
    let shop = settings.shop_key.as_str();
    let sandbox = match &settings.reach {
        Reach::Sandbox { to_email, to_phone } => Some((to_email, to_phone)),
        Reach::Review | Reach::Live => None,
    };
    let (payload, template_version, header, bytes) = match claimed.channel {
        ChannelName::Email => {
            let email = viewer
                .templates
                .render_email(&claimed.facts, today)
                .map_err(|e| e.to_string())?;
            let customer = EmailAddress::parse(&claimed.recipient).map_err(|e| e.to_string())?;
            let diverted = sandbox.and_then(|(to_email, _)| to_email.clone());
            let subject = match &diverted {
                Some(_) => format!("[sandbox] {}", email.subject),
                None => email.subject,
            };
            let to = Mailbox {
                name: claimed.facts.customer_name.clone(),
                address: diverted.unwrap_or(customer),
            };
            let from = &settings.sender.from.address;
            let verp = viewer.key.verp_key();
            let token = verp.token(claimed.uid);
            let earlier: Vec<String> = claimed
                .thread
                .iter()
                .map(|uid| message_id(&verp.token(*uid), shop, from))
                .collect();
            let letter = Letter {
                token: &token,
                shop,
                to: &to,
                subject: &subject,
                text: &email.text,
                html: &email.html,
                at: claimed.planned_at,
                earlier: &earlier,
                may_unsubscribe: !claimed.kind.must_arrive(),
            };
            let bytes = compose(&letter, &settings.sender).map_err(|e| e.to_string())?;
            let hash = hex(&Sha256::digest(&bytes));
            let mail = Mail {
                sender: settings.sender.envelope_sender(&verp, claimed.uid),
                to: to.address,
                bytes,
                envelope_id: token.clone(),
            };
            let header = message_id(&token, shop, from);
            (
                Payload::Mail(mail),
                email.template_version,
                Some(header),
                hash,
            )
        }
        ChannelName::Sms => {
            let sms = viewer
                .templates
                .render_sms(&claimed.facts, today)
                .map_err(|e| e.to_string())?;
            let limit = settings.policy.sms.segments_max as usize;
            if sms.size.segments > limit {
                let culprit = sms.size.culprit.map(|c| format!(", because of `{c}`"));
                return Err(format!(
                    "the text needs {} segments, the limit is {limit}{}",
                    sms.size.segments,
                    culprit.unwrap_or_default()
                ));
            }
            let customer =
                PhoneNumber::parse(&claimed.recipient, None).map_err(|e| e.to_string())?;
            let hash = hex(&Sha256::digest(sms.text.as_bytes()));
            let text = Text {
                to: sandbox
                    .and_then(|(_, to_phone)| to_phone.clone())
                    .unwrap_or(customer),
                text: sms.text,
                reference: claimed.uid.to_string(),
            };
            (Payload::Text(text), sms.template_version, None, hash)
        }
    };
    Ok(Prepared {
        envelope: Envelope {
            uid: claimed.uid,
            number: claimed.no,
            payload,
        },
        mark: Mark {
            no: claimed.no,
            epoch: claimed.epoch,
            relay: claimed.channel.as_str().to_owned(),
            message_id_header: header,
            template_version,
            content_hash: bytes,
        },
    })
}
