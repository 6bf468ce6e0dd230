//! `index.html`: the story and every message that went out, by day.
//!
//! A mail's HTML is rendered again from the facts its message keeps: rendering
//! is a function of templates, facts and day, so this is what lies in the
//! outbox. No script, nothing fetched from anywhere.

use super::seen::Tag;
use super::story::Line;
use super::world::World;
use crate::domain::kinds::ChannelName;
use crate::store::types::MessageRow;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::Path;

/// Folder of the mails' HTML.
const PAGES: &str = "pages";

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#d9d6cf;--soft:#6b675e;--paper:#faf9f6;--card:#fff;--ink:#23211d;\
--said:#2e6b3f;--wait:#8a5a00}\
@media (prefers-color-scheme:dark){:root{--line:#3d3a34;--soft:#a39d91;--paper:#1c1b18;--card:#262420;\
--ink:#ece8df;--said:#8fcf9f;--wait:#e2b35c}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);\
font:16px/1.5 system-ui,sans-serif}\
header,main{max-width:86rem;margin:0 auto;padding:1.5rem}h1{margin:0 0 .25rem;font-size:1.6rem}\
h2{font-size:1.05rem;margin:1.6rem 0 .5rem}p{margin:.25rem 0;color:var(--soft)}\
table{border-collapse:collapse;width:100%;font-size:.93rem}\
td{padding:.3rem .8rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}\
td:first-child{white-space:nowrap;color:var(--soft)}\
.tag{font-weight:600;font-size:.8rem;letter-spacing:.04em}\
.said{color:var(--said)}.held,.later{color:var(--wait)}.quiet{color:var(--soft)}\
.two{display:grid;grid-template-columns:minmax(20rem,2fr) 3fr;gap:1.5rem;align-items:start}\
ol{list-style:none;margin:0;padding:0}li{border:1px solid var(--line);border-radius:.5rem;\
background:var(--card);margin:.4rem 0}li a,li div{display:block;padding:.5rem .75rem;color:inherit;\
text-decoration:none}li a:hover,li a:focus{outline:2px solid var(--said);border-radius:.5rem}\
.meta{font-size:.82rem;color:var(--soft);display:flex;gap:.75rem;flex-wrap:wrap}\
iframe{position:sticky;top:1rem;width:100%;height:calc(100vh - 2rem);border:1px solid var(--line);\
border-radius:.5rem;background:#fff}\
@media (max-width:60rem){.two{grid-template-columns:1fr}iframe{position:static;height:40rem}}\
@media (max-width:40rem){tr{display:block;padding:.4rem 0;border-bottom:1px solid var(--line)}\
td{display:inline;border:0;padding:0 .4rem 0 0}}";

/// Writes the page and the mails' pages below `home`.
///
/// # Errors
/// A file cannot be written, or a message cannot be rendered again.
pub async fn write(home: &Path, world: &World, lines: &[Line]) -> anyhow::Result<()> {
    let pages = home.join(PAGES);
    std::fs::create_dir_all(&pages)
        .with_context(|| format!("cannot create {}", pages.display()))?;
    let mut sent = world.everything().await?;
    sent.retain(|m| m.state.is_sent());
    sent.sort_by_key(|m| (m.sent_at, m.no));
    let mut list = String::new();
    let mut first = None;
    let mut day = None;
    for message in &sent {
        let at = message.sent_at.unwrap_or(message.planned_at);
        let on = at.day_in(world.zone);
        if day != Some(on) {
            if day.is_some() {
                list.push_str("</ol>\n");
            }
            let _ = writeln!(list, "<h2>{}</h2>\n<ol>", on.format("%A %-d %B"));
            day = Some(on);
        }
        entry(&mut list, world, message, home, &mut first).await?;
    }
    if day.is_some() {
        list.push_str("</ol>\n");
    }
    let shop = escaped(&world.app.settings().shop.name);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{shop}: three weeks of messages</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{shop}: three weeks of messages</h1>\n\
         <p>A made-up shop under a simulated clock. Nothing left this computer; the messages \
         themselves lie in <a href=\"outbox/\">outbox</a>, the files the shop wrote in \
         <a href=\"shop/\">shop</a>. Times are the shop's (London).</p>\n\
         <h2>The story</h2>\n<table>\n{}</table>\n</header>\n<main>\n\
         <h2>{} messages</h2>\n<div class=\"two\">\n<div>\n{list}</div>\n\
         <iframe name=\"mail\" title=\"The chosen e-mail\" src=\"{}\"></iframe>\n</div>\n</main>\n\
         </body>\n</html>\n",
        story(lines),
        sent.len(),
        first.unwrap_or_default(),
    );
    let path = home.join("index.html");
    std::fs::write(&path, html).with_context(|| format!("cannot write {}", path.display()))
}

fn story(lines: &[Line]) -> String {
    let mut out = String::new();
    let mut last = None;
    for line in lines {
        let day = if last == Some(line.on) {
            String::new()
        } else {
            line.on.format("%a %-d %b").to_string()
        };
        last = Some(line.on);
        let class = match line.tag {
            Tag::Said => "said",
            Tag::Quiet => "quiet",
            Tag::Held => "held",
            Tag::Later => "later",
        };
        let _ = writeln!(
            out,
            "<tr><td>{day}</td><td>{}</td><td class=\"tag {class}\">{}</td><td>{}</td></tr>",
            escaped(&line.what),
            line.tag.as_str(),
            escaped(&line.came_of_it),
        );
    }
    out
}

/// One message of the list; a mail gets a page of its own.
async fn entry(
    list: &mut String,
    world: &World,
    message: &MessageRow,
    home: &Path,
    first: &mut Option<String>,
) -> anyhow::Result<()> {
    let at = message.sent_at.unwrap_or(message.planned_at);
    let facts = world.facts(message.no).await?;
    let templates = &world.app.viewer.templates;
    let today = at.day_in(world.zone);
    let meta = format!(
        "<span class=\"meta\"><span>{}</span><span>order {}</span><span>{}</span><span>{}</span>\
         <span>{}</span></span>",
        at.in_zone(world.zone).format("%H:%M"),
        escaped(&message.orders.join(", ")),
        message.kind.words(),
        escaped(facts.customer_name.as_deref().unwrap_or("")),
        message.no,
    );
    match message.channel {
        ChannelName::Email => {
            let mail = templates.render_email(&facts, today)?;
            let name = format!("{PAGES}/m{:06}.html", message.no.0);
            let path = home.join(&name);
            std::fs::write(&path, &mail.html)
                .with_context(|| format!("cannot write {}", path.display()))?;
            let _ = writeln!(
                list,
                "<li><a href=\"{name}\" target=\"mail\">{}{meta}</a></li>",
                escaped(&mail.subject)
            );
            first.get_or_insert(name);
        }
        ChannelName::Sms => {
            let text = templates.render_sms(&facts, today)?;
            let _ = writeln!(
                list,
                "<li><div>Text: {}{meta}</div></li>",
                escaped(&text.text)
            );
        }
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
