//! Previews as files: a mail as a browser, an editor and a mail program want
//! it, and a page that shows them all.

use crate::channel::settings::Mailbox;
use crate::channel::smtp::message::{Letter, compose};
use crate::clock::Ids;
use crate::config::Config;
use crate::domain::contact::EmailAddress;
use crate::domain::kinds::Kind;
use crate::domain::time::Instant;
use crate::domain::verp::VerpKey;
use crate::template::RenderedEmail;
use crate::wiring;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Whom previews are addressed to: nobody.
const RECIPIENT: &str = "customer@mail.example";

/// Writes `.html`, `.txt` and `.eml`, in this order.
///
/// # Errors
/// A file cannot be written.
pub fn write_email(
    config: &Config,
    dir: &Path,
    name: &str,
    email: &RenderedEmail,
    kind: Kind,
) -> anyhow::Result<Vec<PathBuf>> {
    let at = wiring::clock(config).now();
    let text = format!("Subject: {}\n\n{}\n", email.subject, email.text.trim_end());
    let mut files = Vec::new();
    for (ending, bytes) in [
        ("html", email.html.clone().into_bytes()),
        ("txt", text.into_bytes()),
        ("eml", letter(config, email, kind, at)?),
    ] {
        let path = dir.join(format!("{name}.{ending}"));
        write(&path, &bytes)?;
        files.push(path);
    }
    Ok(files)
}

/// The mail as it would leave, to nobody.
fn letter(
    config: &Config,
    email: &RenderedEmail,
    kind: Kind,
    at: Instant,
) -> anyhow::Result<Vec<u8>> {
    let to = Mailbox {
        name: None,
        address: EmailAddress::parse(RECIPIENT)?,
    };
    // Any key will do: no bounce of it will ever be looked for.
    let token = VerpKey::derive(b"preview").token(Ids::random().message_uid(at));
    let letter = Letter {
        token: &token,
        shop: &config.shop_key,
        to: &to,
        subject: &email.subject,
        text: &email.text,
        html: &email.html,
        at,
        earlier: &[],
        may_unsubscribe: !kind.must_arrive(),
    };
    Ok(compose(&letter, &config.sender)?)
}

/// Writes a file, over one of an earlier preview if need be.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// One message on the page that shows all.
pub struct Page {
    pub name: String,
    pub locale: String,
    pub kind: Kind,
    pub subject: String,
    pub preheader: String,
    pub sms: Option<String>,
}

/// A page with every mail in a frame, its text message below it.
pub fn index(shop: &str, pages: &[Page]) -> String {
    let shop = escaped(shop);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{shop}: messages</title>\n<style>\n\
         body {{ font: 16px/1.4 system-ui, sans-serif; margin: 2rem; }}\n\
         main {{ display: grid; gap: 2rem; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); }}\n\
         h2 {{ font-size: 1rem; margin: 0; }} p {{ margin: .3rem 0; }} .dim {{ opacity: .7; }}\n\
         iframe {{ width: 100%; height: 34rem; border: 1px solid #8888; background: #fff; }}\n\
         .sms {{ border: 1px solid #8888; border-radius: .8rem; padding: .6rem .9rem; }}\n\
         </style></head><body>\n<h1>{shop}: every message, made up</h1>\n<main>\n"
    );
    for page in pages {
        let (name, subject) = (escaped(&page.name), escaped(&page.subject));
        let _ = write!(
            out,
            "<section id=\"{name}\">\n<h2>{} <span class=\"dim\">{}</span></h2>\n\
             <p>{subject}</p>\n<p class=\"dim\">{}</p>\n\
             <iframe src=\"{name}.html\" title=\"{subject}\" loading=\"lazy\"></iframe>\n\
             <p><a href=\"{name}.html\">html</a> <a href=\"{name}.txt\">text</a> \
             <a href=\"{name}.eml\">eml</a></p>\n",
            escaped(&page.kind.words()),
            escaped(&page.locale),
            escaped(&page.preheader),
        );
        if let Some(sms) = &page.sms {
            let _ = writeln!(out, "<p class=\"sms\">{}</p>", escaped(sms));
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main></body></html>\n");
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_text_on_the_page() {
        let page = Page {
            name: "en-delay".into(),
            locale: "en".into(),
            kind: Kind::Delay,
            subject: "<b>\"1042\"".into(),
            preheader: String::new(),
            sms: Some("a < b".into()),
        };
        let html = index("Fern & Kettle", &[page]);
        assert!(html.contains("<title>Fern &amp; Kettle: messages</title>"));
        assert!(html.contains("&lt;b&gt;&quot;1042&quot;"));
        assert!(html.contains("a &lt; b"));
        assert!(!html.contains("<b>"));
    }
}
