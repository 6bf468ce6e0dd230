//! Rendered words, read as Markdown into a small tree from which both parts
//! of a mail are written, so that they cannot say different things.
//!
//! What is kept: paragraphs, headings, lists, rules, emphasis, links, line
//! breaks, and two shapes of our own. A block quote is a *card*: the facts
//! about one thing. A list of `Label: value` points inside a card is a *table
//! of facts*, aligned in the text part.
//!
//! What is not: raw HTML is printed as the characters it is made of, pictures
//! become their description, and a link goes to `http`, `https`, `mailto` or
//! `tel` or is no link. Values are escaped before they get here, so only the
//! template's author can write any of this.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Deeper nesting is flattened: nobody reads it, and it bounds recursion.
const DEPTH_MAX: usize = 12;

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Paragraph(Vec<Inline>),
    Heading(Vec<Inline>),
    Card(Vec<Block>),
    Facts(Vec<Fact>),
    /// Ordered from the number given, or with bullets.
    List(Option<u64>, Vec<Vec<Block>>),
    Code(String),
    Rule,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    Text(String),
    Strong(Vec<Inline>),
    Emphasis(Vec<Inline>),
    Link(String, Vec<Inline>),
    /// A line break of the source; a blank.
    Soft,
    Hard,
}

/// `Label: value`; without a label where a point has no colon.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub label: Option<String>,
    pub value: Vec<Inline>,
}

/// Reads Markdown; anything is valid.
pub fn parse(source: &str) -> Vec<Block> {
    let mut tree = Builder::default();
    for event in Parser::new_ext(source, Options::empty()) {
        tree.take(event);
    }
    tree.finish()
}

/// Offset of the first raw HTML in a template, for the check: it would be
/// printed as it stands. Comments are not meant to be seen and vanish.
pub fn raw_html(source: &str) -> Option<usize> {
    Parser::new_ext(source, Options::empty())
        .into_offset_iter()
        .find_map(|(event, range)| match event {
            Event::Html(html) | Event::InlineHtml(html) if !is_comment(&html) => Some(range.start),
            _ => None,
        })
}

fn is_comment(html: &str) -> bool {
    html.trim_start().starts_with("<!--")
}

/// Whether a target may be linked to.
pub fn is_safe_target(target: &str) -> bool {
    let scheme = target.split_once(':').map_or("", |(scheme, _)| scheme);
    ["http", "https", "mailto", "tel"]
        .iter()
        .any(|allowed| scheme.eq_ignore_ascii_case(allowed))
}

/// A container whose end has not come yet.
enum Open {
    Paragraph,
    Heading,
    Card,
    List(Option<u64>),
    Item,
    Code(String),
    Strong,
    Emphasis,
    Link(String),
    /// Beyond the limit, or a link that is none: its content joins the parent.
    Flat,
}

#[derive(Default)]
struct Frame {
    open: Option<Open>,
    blocks: Vec<Block>,
    items: Vec<Vec<Block>>,
    inlines: Vec<Inline>,
}

#[derive(Default)]
struct Builder {
    root: Frame,
    stack: Vec<Frame>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.text(&text),
            Event::Html(html) | Event::InlineHtml(html) => {
                if !is_comment(&html) {
                    self.text(&html);
                }
            }
            Event::SoftBreak => self.inline(Inline::Soft),
            Event::HardBreak => self.inline(Inline::Hard),
            Event::Rule => self.top().blocks.push(Block::Rule),
            // Only with options that are off.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.text(&text);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let open = match tag {
            _ if self.stack.len() >= DEPTH_MAX => Open::Flat,
            Tag::Paragraph | Tag::HtmlBlock => Open::Paragraph,
            Tag::Heading { .. } => Open::Heading,
            Tag::BlockQuote(_) => Open::Card,
            Tag::List(first) => Open::List(*first),
            Tag::Item => Open::Item,
            Tag::CodeBlock(_) => Open::Code(String::new()),
            Tag::Strong => Open::Strong,
            Tag::Emphasis => Open::Emphasis,
            Tag::Link { dest_url, .. } if is_safe_target(dest_url) => {
                Open::Link(dest_url.to_string())
            }
            _ => Open::Flat,
        };
        self.stack.push(Frame {
            open: Some(open),
            ..Frame::default()
        });
    }

    fn end(&mut self, _: TagEnd) {
        let Some(mut frame) = self.stack.pop() else {
            return;
        };
        let within_card = self
            .stack
            .iter()
            .any(|f| matches!(f.open, Some(Open::Card)));
        let open = frame.open.take().unwrap_or(Open::Flat);
        let parent = self.stack.last_mut().unwrap_or(&mut self.root);
        match open {
            Open::Paragraph => parent.push_text(Block::Paragraph, frame.inlines),
            Open::Heading => parent.push_text(Block::Heading, frame.inlines),
            Open::Card => parent.blocks.push(Block::Card(frame.close())),
            Open::List(first) => {
                let facts = (first.is_none() && within_card)
                    .then(|| facts(&frame.items))
                    .flatten();
                parent.blocks.push(match facts {
                    Some(facts) => Block::Facts(facts),
                    None => Block::List(first, frame.items),
                });
            }
            Open::Item => parent.items.push(frame.close()),
            Open::Code(text) => parent.blocks.push(Block::Code(text)),
            Open::Strong => parent.inlines.push(Inline::Strong(frame.inlines)),
            Open::Emphasis => parent.inlines.push(Inline::Emphasis(frame.inlines)),
            Open::Link(target) => parent.inlines.push(Inline::Link(target, frame.inlines)),
            Open::Flat => {
                parent.inlines.append(&mut frame.inlines);
                parent.blocks.append(&mut frame.blocks);
                parent.items.append(&mut frame.items);
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(Open::Code(code)) = self.stack.last_mut().and_then(|f| f.open.as_mut()) {
            code.push_str(text);
            return;
        }
        match self.top().inlines.last_mut() {
            Some(Inline::Text(last)) => last.push_str(text),
            _ => self.inline(Inline::Text(text.to_owned())),
        }
    }

    fn inline(&mut self, inline: Inline) {
        self.top().inlines.push(inline);
    }

    fn top(&mut self) -> &mut Frame {
        self.stack.last_mut().unwrap_or(&mut self.root)
    }

    fn finish(mut self) -> Vec<Block> {
        while !self.stack.is_empty() {
            self.end(TagEnd::Paragraph);
        }
        self.root.close()
    }
}

impl Frame {
    fn push_text(&mut self, block: fn(Vec<Inline>) -> Block, inlines: Vec<Inline>) {
        if !inlines.is_empty() {
            self.blocks.push(block(inlines));
        }
    }

    /// The blocks, with text that stood outside a paragraph (a tight list's)
    /// in one of its own.
    fn close(mut self) -> Vec<Block> {
        if !self.inlines.is_empty() {
            let loose = std::mem::take(&mut self.inlines);
            self.blocks.insert(0, Block::Paragraph(loose));
        }
        for item in self.items {
            self.blocks.extend(item);
        }
        self.blocks
    }
}

/// A list as a table of facts: every point one paragraph, at least one with a
/// label.
fn facts(items: &[Vec<Block>]) -> Option<Vec<Fact>> {
    let facts: Vec<Fact> = items
        .iter()
        .map(|item| match item.as_slice() {
            [Block::Paragraph(inlines)] => Some(fact(inlines)),
            _ => None,
        })
        .collect::<Option<_>>()?;
    facts.iter().any(|f| f.label.is_some()).then_some(facts)
}

/// Splits at the first `: ` of the words before any emphasis or link.
fn fact(inlines: &[Inline]) -> Fact {
    if let Some((Inline::Text(first), rest)) = inlines.split_first()
        && let Some((label, value)) = first
            .split_once(": ")
            .or_else(|| first.strip_suffix(':').map(|label| (label, "")))
    {
        let mut words = Vec::with_capacity(inlines.len());
        if !value.is_empty() {
            words.push(Inline::Text(value.to_owned()));
        }
        words.extend_from_slice(rest);
        return Fact {
            label: Some(label.to_owned()),
            value: words,
        };
    }
    Fact {
        label: None,
        value: inlines.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &str) -> Inline {
        Inline::Text(words.to_owned())
    }

    #[test]
    fn a_card_with_a_list_becomes_a_table_of_facts() {
        let blocks = parse("> **Pot** (1)\n> - Ship date: **Friday**, unchanged\n> - loose\n");
        assert_eq!(
            blocks,
            [Block::Card(vec![
                Block::Paragraph(vec![Inline::Strong(vec![text("Pot")]), text(" (1)")]),
                Block::Facts(vec![
                    Fact {
                        label: Some("Ship date".into()),
                        value: vec![Inline::Strong(vec![text("Friday")]), text(", unchanged")],
                    },
                    Fact {
                        label: None,
                        value: vec![text("loose")]
                    },
                ]),
            ])]
        );
    }

    #[test]
    fn links_lead_only_where_mail_may_lead() {
        for (source, is_link) in [
            ("[a](https://x.example)", true),
            ("[a](MAILTO:a@x.example)", true),
            ("[a](tel:+4420)", true),
            ("[a](javascript:alert\\(1\\))", false),
            ("[a](data:text/html,x)", false),
            ("[a](/relative)", false),
            ("<javascript:x>", false),
        ] {
            let blocks = parse(source);
            let found =
                matches!(&blocks[..], [Block::Paragraph(i)] if matches!(i[..], [Inline::Link(..)]));
            assert_eq!(found, is_link, "{source}: {blocks:?}");
        }
    }

    #[test]
    fn raw_html_and_pictures_are_only_words() {
        assert_eq!(
            parse("a <b>x</b> ![a cat](https://x.example/cat.png)"),
            [Block::Paragraph(vec![text("a <b>x</b> "), text("a cat")])]
        );
        assert_eq!(raw_html("a <b>x</b>"), Some(2));
        assert_eq!(raw_html("a \\<b\\> <!-- note -->"), None);
    }

    #[test]
    fn nesting_without_end_is_flattened() {
        let deep = format!("{}x", "> ".repeat(5_000));
        let blocks = parse(&deep);
        assert!(format!("{blocks:?}").contains("Text(\"x\")"));
    }
}
