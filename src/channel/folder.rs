//! A folder instead of the world: every message becomes a file.
//!
//! The sandbox and the demonstration send here, and what lies in the folder
//! is what would have gone out, byte for byte. A file is written beside its
//! place, flushed to the disk and renamed, so that a name that exists is a
//! whole message. The name comes from the message, so a repeat replaces its
//! own file and nothing else.

use crate::channel::settings::FolderSettings;
use crate::channel::{Answer, Channel, ChannelProblem, Envelope, Payload, Session};
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// Takes messages of both kinds; `name` says which this one stands in for.
pub struct FolderChannel {
    settings: Arc<FolderSettings>,
    name: ChannelName,
}

impl FolderChannel {
    pub fn new(settings: FolderSettings, name: ChannelName) -> FolderChannel {
        FolderChannel {
            settings: Arc::new(settings),
            name,
        }
    }
}

impl Channel for FolderChannel {
    fn name(&self) -> ChannelName {
        self.name
    }

    fn max_sessions(&self) -> usize {
        self.settings.sessions.max(1)
    }

    fn per_minute(&self) -> u32 {
        self.settings.per_minute.max(1)
    }

    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            let path = &self.settings.path;
            match try_writing(path).await {
                Ok(()) => Ok(format!("files go to {}", path.display())),
                Err(error) => Err(ChannelProblem::Configuration {
                    at: path.display().to_string(),
                    what: error.kind().to_string(),
                }),
            }
        })
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(FolderSession {
            settings: Arc::clone(&self.settings),
        })
    }
}

struct FolderSession {
    settings: Arc<FolderSettings>,
}

impl Session for FolderSession {
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let name = file_name(envelope);
            match write(&self.settings.path, &name, &contents(envelope)).await {
                Ok(()) => Outcome::Accepted {
                    evidence: Evidence::new(Phase::Done, "written to the folder")
                        .with_reference(Some(name)),
                },
                Err(error) => Outcome::Deferred {
                    why: Deferral::Relay,
                    wait: None,
                    evidence: Evidence::new(
                        Phase::Data,
                        &format!("the folder cannot be written: {}", error.kind()),
                    ),
                },
            }
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

/// `m000071-email-0197a3c2.eml`: sorted by number, unique by identity. The
/// end of the id is used: its beginning is a time that neighbours share.
fn file_name(envelope: &Envelope) -> String {
    let uid = envelope.uid.to_string();
    let number = envelope.number.0;
    let tail = &uid[uid.len() - 8..];
    let (word, ending) = match envelope.payload {
        Payload::Mail(_) => ("email", "eml"),
        Payload::Text(_) => ("sms", "txt"),
    };
    format!("m{number:06}-{word}-{tail}.{ending}")
}

fn contents(envelope: &Envelope) -> Vec<u8> {
    match &envelope.payload {
        Payload::Mail(mail) => mail.bytes.clone(),
        Payload::Text(text) => format!(
            "To: {}\nReference: {}\n\n{}\n",
            text.to.expose(),
            text.reference,
            text.text
        )
        .into_bytes(),
    }
}

async fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder).await?;
    let beside = folder.join(format!(".{name}.part"));
    let written = write_and_flush(&beside, bytes).await;
    let renamed = match written {
        Ok(()) => fs::rename(&beside, folder.join(name)).await,
        Err(error) => Err(error),
    };
    if renamed.is_err() {
        // Nothing better can be done about it, and the name says what it is.
        let _ = fs::remove_file(&beside).await;
    }
    renamed
}

async fn write_and_flush(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    file.sync_all().await
}

async fn try_writing(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder).await?;
    let probe = folder.join(".probe");
    write_and_flush(&probe, b"").await?;
    fs::remove_file(&probe).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::{Mail, Text};
    use crate::domain::contact::{EmailAddress, PhoneNumber};
    use crate::domain::ids::{MessageNo, MessageUid};
    use uuid::Uuid;

    fn channel(path: &Path) -> FolderChannel {
        let settings = FolderSettings {
            path: path.to_owned(),
            sessions: 1,
            per_minute: 600,
        };
        FolderChannel::new(settings, ChannelName::Email)
    }

    fn envelope(payload: Payload) -> Envelope {
        Envelope {
            uid: MessageUid(Uuid::from_u128(0x0197_a3c2_0000_7000_8000_0000_4f2a_11bc)),
            number: MessageNo(71),
            payload,
        }
    }

    fn mail(bytes: &[u8]) -> Envelope {
        envelope(Payload::Mail(Mail {
            sender: EmailAddress::parse("bounces@shop.example").unwrap(),
            to: EmailAddress::parse("anna@mail.example").unwrap(),
            envelope_id: "m71".into(),
            bytes: bytes.to_vec(),
        }))
    }

    fn files(path: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn messages_become_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox");
        let mut session = channel(&path).open();
        let outcome = session.send(&mail(b"Subject: a\r\n\r\nb\r\n")).await;
        assert_eq!(outcome.name(), "accepted");
        let name = outcome.evidence().reference.clone().unwrap();
        assert_eq!(name, "m000071-email-4f2a11bc.eml");
        assert_eq!(
            std::fs::read(path.join(name)).unwrap(),
            b"Subject: a\r\n\r\nb\r\n"
        );

        let text = Text {
            to: PhoneNumber::parse("+442079460018", None).unwrap(),
            text: "Order 10432 ships 2 Oct.".into(),
            reference: "m71".into(),
        };
        assert_eq!(
            session.send(&envelope(Payload::Text(text))).await.name(),
            "accepted"
        );
        assert_eq!(
            std::fs::read_to_string(path.join("m000071-sms-4f2a11bc.txt")).unwrap(),
            "To: +442079460018\nReference: m71\n\nOrder 10432 ships 2 Oct.\n"
        );
    }

    #[tokio::test]
    async fn a_repeat_replaces_its_own_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut session = channel(folder.path()).open();
        session.send(&mail(b"once")).await;
        session.send(&mail(b"twice")).await;
        assert_eq!(files(folder.path()), ["m000071-email-4f2a11bc.eml"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_defers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in-the-way");
        std::fs::write(&file, "").unwrap();
        let channel = channel(&file);
        let outcome = channel.open().send(&mail(b"x")).await;
        assert!(
            matches!(
                outcome,
                Outcome::Deferred {
                    why: Deferral::Relay,
                    ..
                }
            ),
            "{outcome:?}"
        );
        assert!(channel.check().await.is_err());
    }

    #[tokio::test]
    async fn a_check_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        channel(folder.path()).check().await.unwrap();
        assert!(files(folder.path()).is_empty());
    }
}
