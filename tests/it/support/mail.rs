//! Arrived mails as another implementation reads them: Python's `email`.
//!
//! Our own parser would share our own mistakes. Python's is strict enough to
//! report defects and is what many receiving systems are built on.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use serde::Deserialize;

use super::servers::program;

/// Header values come decoded and unfolded; the bodies as text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Mail {
    pub headers: Vec<(String, String)>,
    pub text: Option<String>,
    pub html: Option<String>,
    /// What is wrong with it, in all its parts; empty for a sound mail.
    pub defects: Vec<String>,
}

const READ: &str = r#"
import email, email.policy, json, sys
def read(raw):
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    def words(kind):
        part = mail.get_body((kind,))
        return None if part is None else part.get_content()
    defects = [defect for part in mail.walk() for defect in part.defects]
    defects += [defect for _, value in mail.items() for defect in value.defects]
    return {
        "headers": [(name, str(value)) for name, value in mail.items()],
        "text": words("plain"),
        "html": words("html"),
        "defects": [type(defect).__name__ for defect in defects],
    }
mails = json.load(sys.stdin)
json.dump([read(mail.encode("latin-1")) for mail in mails], sys.stdout)
"#;

impl Mail {
    /// # Panics
    /// When Python cannot read it at all.
    pub fn parse(raw: &[u8]) -> Self {
        Self::parse_all(&[raw.to_vec()]).remove(0)
    }

    /// Many at once: one start of Python for all of them.
    ///
    /// # Panics
    /// When Python cannot read one of them at all.
    pub fn parse_all(raw: &[Vec<u8>]) -> Vec<Self> {
        // A character for each byte: JSON carries no bytes.
        let texts: Vec<String> = raw
            .iter()
            .map(|mail| mail.iter().copied().map(char::from).collect())
            .collect();
        let texts = serde_json::to_vec(&texts).expect("JSON of texts");
        let mut python = Command::new(program("python3"))
            .args(["-c", READ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start python3");
        python
            .stdin
            .take()
            .expect("a pipe")
            .write_all(&texts)
            .expect("give the mails to python3");
        let read = python.wait_with_output().expect("wait for python3");
        assert!(read.status.success(), "python3 could not read the mails");
        serde_json::from_slice(&read.stdout).expect("JSON from python3")
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self
            .headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

#[test]
fn python_reads_headers_and_both_bodies() {
    let mail = Mail::parse(
        "Subject: =?utf-8?q?Gute_Nachricht_=E2=80=93_M=C3=A4rz?=\r\n\
         Message-ID: <a.1@shop.example>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nTcOkcno=\r\n\
         --b\r\nContent-Type: text/html; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>M=C3=A4rz</p>\r\n--b--\r\n"
            .as_bytes(),
    );
    assert_eq!(mail.header("subject"), Some("Gute Nachricht – März"));
    assert_eq!(mail.header("Message-ID"), Some("<a.1@shop.example>"));
    assert_eq!(mail.header("Reply-To"), None);
    assert_eq!(mail.text.as_deref(), Some("März"));
    assert_eq!(mail.html.as_deref(), Some("<p>März</p>"));
    assert_eq!(mail.defects, [""; 0]);
}

#[test]
fn python_names_the_defects_of_a_broken_mail() {
    let mail = Mail::parse(b"Content-Type: multipart/alternative; boundary=b\r\n\r\nno part\r\n");
    assert!(
        mail.defects.iter().any(|d| d.contains("Boundary")),
        "{:?}",
        mail.defects
    );
}
