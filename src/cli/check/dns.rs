//! Asking the DNS for text records. Three answers, because "there is none" and
//! "nobody answers" are different advice.

use crate::config::DnsSettings;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use std::time::Duration;

/// A look, not a delivery: who is slower than this does not answer.
const LIMIT: Duration = Duration::from_secs(2);
/// Longest record that is looked at; real ones are far shorter.
const RECORD_BYTES_MAX: usize = 4_096;

/// What the DNS says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Its text records, each in one piece; perhaps none.
    Found(Vec<String>),
    NoAnswer,
}

impl Texts {
    /// The records that begin with this version tag, in any case.
    pub fn of_version(&self, tag: &str) -> Option<Vec<&str>> {
        let Texts::Found(texts) = self else {
            return None;
        };
        let is_it = |text: &&str| {
            let (head, rest) = text.split_at_checked(tag.len()).unwrap_or(("", ""));
            head.eq_ignore_ascii_case(tag) && !rest.starts_with(|c: char| c.is_alphanumeric())
        };
        Some(texts.iter().map(String::as_str).filter(is_it).collect())
    }
}

pub struct Dns(TokioResolver);

impl Dns {
    /// `None` if the machine has no resolver that could be asked.
    pub fn of(settings: &DnsSettings) -> Option<Dns> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = match settings.server {
            None => TokioResolver::builder(provider).ok()?,
            Some(server) => {
                let at_port = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let ways = vec![
                    at_port(ConnectionConfig::udp()),
                    at_port(ConnectionConfig::tcp()),
                ];
                let server = NameServerConfig::new(server.ip(), true, ways);
                let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
                TokioResolver::builder_with_config(config, provider)
            }
        };
        let options = builder.options_mut();
        options.timeout = LIMIT;
        options.attempts = 1;
        builder.build().ok().map(Dns)
    }

    /// The text records of a name, given without the dot at its end.
    pub async fn texts(&self, name: &str) -> Texts {
        // With the dot nobody tries it below the machine's own domain.
        let asked = self.0.lookup(format!("{name}."), RecordType::TXT);
        match tokio::time::timeout(LIMIT * 3, asked).await {
            Ok(Ok(lookup)) => {
                let texts = lookup
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::TXT(text) => {
                            let mut bytes = text.txt_data.concat();
                            bytes.truncate(RECORD_BYTES_MAX);
                            Some(printable(&bytes))
                        }
                        _ => None,
                    });
                Texts::Found(texts.collect())
            }
            Ok(Err(error)) if there_is_none(&error) => Texts::Found(Vec::new()),
            Ok(Err(_)) | Err(_) => Texts::NoAnswer,
        }
    }
}

fn there_is_none(error: &NetError) -> bool {
    use hickory_resolver::proto::op::ResponseCode;
    match error {
        NetError::Dns(hickory_resolver::net::DnsError::NoRecordsFound(none)) => matches!(
            none.response_code,
            ResponseCode::NoError | ResponseCode::NXDomain
        ),
        _ => false,
    }
}

/// It goes to a terminal.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}
