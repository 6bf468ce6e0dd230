//! What text gateways tell us: delivery receipts, and texts people send.
//!
//! Both are stored, with everything that follows, before anybody is thanked
//! for them. The one automatic answer to a text is sent here, directly, and at
//! most once: its road is not the outbox's, because that one rightly refuses a
//! number that has just been stopped, keeps decent hours, and re-checks facts
//! an answer does not state. What it shares is the order of things: the intent
//! is on disk before the first byte leaves, and silence is doubt.
//!
//! The answer is a text of its own through the gateway and never the body of
//! our web answer: one way for all gateways, in the sandbox as well, and one
//! that leaves evidence.

use crate::app::{App, AppError, Reach, hold_file};
use crate::channel::sms::hook::{Inbound, SmsEvent};
use crate::channel::{Envelope, Payload, Text};
use crate::domain::contact::{Locale, PhoneNumber};
use crate::domain::ids::MessageNo;
use crate::domain::inbound::AnswerKind;
use crate::domain::inbound_answers;
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Evidence, Phase};
use crate::domain::receipt::Receipt;
use crate::store::write::receipts::{About, NewReceipt, Taken};
use crate::store::write::texts::{NewText, TakenText};

/// An automatic answer that was decided on and is now to be sent, once.
#[derive(Debug)]
pub struct Answer {
    text: i64,
    kind: AnswerKind,
    to: PhoneNumber,
    locale: Locale,
}

impl App {
    /// Takes a delivery receipt in. Once answered, what it says is on the disk.
    ///
    /// # Errors
    /// The store cannot be written; the gateway has to come again.
    pub async fn take_sms_receipt(
        &self,
        gateway: &'static str,
        event: SmsEvent,
    ) -> Result<Taken, AppError> {
        let now = self.now();
        let event_key = event.key(gateway);
        let evidence = Evidence::new(Phase::Done, event.status.as_str())
            .with_enhanced(event.code.clone())
            .with_reference(event.theirs.clone());
        let about = match (event.ours, event.theirs) {
            (Some(uid), _) => About::Message(uid),
            (None, reference) => About::Reference {
                relay: ChannelName::Sms.as_str().to_owned(),
                reference: reference.unwrap_or_default(),
            },
        };
        let new = NewReceipt {
            about,
            receipt: Receipt {
                event_key,
                kind: event.status.receipt(event.class),
                at: now,
                evidence,
            },
            source: gateway,
            raw: None,
        };
        Ok(self.store.take_receipt(new, now).await?)
    }

    /// Takes in a text somebody sent; what follows is on the disk once this
    /// has answered. The answer, if there is one, still has to be sent.
    ///
    /// # Errors
    /// The store cannot be written; the gateway has to come again.
    pub async fn take_text(
        &self,
        gateway: &'static str,
        inbound: Inbound,
    ) -> Result<Option<Answer>, AppError> {
        let now = self.now();
        let id = inbound.id.unwrap_or_default();
        let new = NewText {
            event_key: format!("sms:{gateway}:in:{id}"),
            gateway,
            phone_hash: self.viewer.key.hash_phone(&inbound.from),
            number: inbound.from.expose().to_owned(),
            words: inbound.text,
            is_answered: inbound.is_answered,
        };
        let TakenText::Taken {
            id, answer, locale, ..
        } = self.store.take_text(new, now).await?
        else {
            return Ok(None);
        };
        let own = &self.settings().shop.locale;
        let locale = locale.and_then(|tag| Locale::parse(&tag).ok());
        Ok(answer.map(|kind| Answer {
            text: id,
            kind,
            to: inbound.from,
            locale: locale.unwrap_or_else(|| own.clone()),
        }))
    }

    /// Sends an automatic answer and records what became of it. Never again:
    /// a second one would be worse than none.
    ///
    /// # Errors
    /// What became of it cannot be recorded.
    pub async fn send_answer(&self, answer: Answer) -> Result<(), AppError> {
        let outcome = self.try_answer(&answer).await;
        Ok(self.store.text_answered(answer.text, outcome).await?)
    }

    async fn try_answer(&self, answer: &Answer) -> &'static str {
        let settings = self.settings();
        if hold_file::is_held(&settings.state_dir) {
            return "held";
        }
        let Some(channel) = self.channels.get(&ChannelName::Sms) else {
            return "no_gateway";
        };
        let diverted = match &settings.reach {
            Reach::Sandbox { to_phone, .. } => to_phone.clone(),
            Reach::Review | Reach::Live => None,
        };
        let uid = self.ids.message_uid(self.now());
        let envelope = Envelope {
            uid,
            // No number of ours: messages are counted, answers are not.
            number: MessageNo(0),
            payload: Payload::Text(Text {
                to: diverted.unwrap_or_else(|| answer.to.clone()),
                text: inbound_answers::answer(answer.kind, &settings.shop, &answer.locale),
                reference: uid.to_string(),
            }),
        };
        let mut session = channel.open();
        let outcome = session.send(&envelope).await;
        session.close().await;
        outcome.name()
    }
}
