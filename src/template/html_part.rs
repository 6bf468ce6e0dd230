//! The HTML part's words: the same blocks as the text part, with inline styles
//! for readers that drop style sheets, and classes for the layout's dark mode.
//!
//! Sizes and colours that a shop may want to change are in `layout.mjml`, by
//! class: `words card facts label value button link quiet`.

use super::clean::html_into;
use super::markdown::{Block, Fact, Inline};

const PARAGRAPH: &str = "margin:0 0 16px 0;font-size:16px;line-height:24px";
const QUIET: &str = "margin:0 0 8px 0;font-size:14px;line-height:21px;color:#5b5f66";
const HEADING: &str = "margin:24px 0 8px 0;font-size:18px;line-height:26px;font-weight:bold";
const CARD: &str = "margin:0 0 16px 0;padding:14px 16px 12px 16px;background-color:#f4f2ed;\
border-left:3px solid #2f6f5e;border-radius:4px";
const CARD_TITLE: &str = "margin:0 0 6px 0;font-size:16px;line-height:24px";
const FACTS: &str = "border-collapse:collapse;border-spacing:0;margin:0";
const LABEL: &str = "padding:2px 16px 2px 0;vertical-align:top;font-size:15px;line-height:22px;\
color:#5b5f66;white-space:nowrap";
const VALUE: &str = "padding:2px 0;vertical-align:top;font-size:15px;line-height:22px";
const BUTTON: &str = "display:inline-block;padding:10px 18px;font-size:16px;line-height:24px;\
color:#ffffff;background-color:#2f6f5e;border-radius:4px;text-decoration:none";
const LINK: &str = "color:#1f5c4c;text-decoration:underline";
const LIST: &str = "margin:0 0 16px 0;padding:0 0 0 22px;font-size:16px;line-height:24px";
const RULE: &str = "border:0;border-top:1px solid #dcdad4;margin:24px 0 16px 0";
const CODE: &str = "margin:0 0 16px 0;white-space:pre-wrap;font-size:14px;line-height:20px";

/// Writes the blocks. What follows the last rule is the footer and stands
/// back a little.
pub fn write(blocks: &[Block]) -> String {
    let mut out = String::with_capacity(4096);
    let footer_from = blocks
        .iter()
        .rposition(|block| matches!(block, Block::Rule))
        .unwrap_or(blocks.len());
    for (at, block) in blocks.iter().enumerate() {
        let place = if at > footer_from {
            Place::Footer
        } else {
            Place::Words
        };
        write_block(&mut out, block, place);
    }
    out
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Words,
    Card,
    Footer,
}

fn write_block(out: &mut String, block: &Block, place: Place) {
    match block {
        Block::Paragraph(inlines) => match (inlines.as_slice(), place) {
            ([Inline::Strong(strong)], Place::Words) => match strong.as_slice() {
                [Inline::Link(target, words)] => button(out, target, words),
                _ => element(out, "p", "words", PARAGRAPH, inlines),
            },
            (_, Place::Words) => element(out, "p", "words", PARAGRAPH, inlines),
            (_, Place::Card) => element(out, "p", "words", CARD_TITLE, inlines),
            (_, Place::Footer) => element(out, "p", "quiet", QUIET, inlines),
        },
        Block::Heading(inlines) => element(out, "h2", "words", HEADING, inlines),
        Block::Card(blocks) => {
            open(out, "div", "card", CARD);
            for block in blocks {
                write_block(out, block, Place::Card);
            }
            out.push_str("</div>\n");
        }
        Block::Facts(facts) => write_facts(out, facts),
        Block::List(first, items) => {
            let tag = if first.is_some() { "ol" } else { "ul" };
            out.push('<');
            out.push_str(tag);
            if let Some(first) = first.filter(|n| *n != 1) {
                out.push_str(&format!(" start=\"{first}\""));
            }
            out.push_str(&format!(" class=\"words\" style=\"{LIST}\">\n"));
            for item in items {
                out.push_str("<li>");
                write_item(out, item, place);
                out.push_str("</li>\n");
            }
            out.push_str(&format!("</{tag}>\n"));
        }
        Block::Code(code) => {
            open(out, "pre", "words", CODE);
            html_into(out, code);
            out.push_str("</pre>\n");
        }
        Block::Rule => {
            out.push_str(&format!("<hr class=\"rule\" style=\"{RULE}\">\n"));
        }
    }
}

/// A point of one paragraph without the paragraph's margins.
fn write_item(out: &mut String, item: &[Block], place: Place) {
    match item {
        [Block::Paragraph(inlines)] => write_inlines(out, inlines),
        blocks => {
            for block in blocks {
                write_block(out, block, place);
            }
        }
    }
}

/// A table only for the eye: read aloud row by row it is "label: value".
fn write_facts(out: &mut String, facts: &[Fact]) {
    out.push_str(&format!(
        "<table role=\"presentation\" class=\"facts\" cellpadding=\"0\" cellspacing=\"0\" \
         border=\"0\" style=\"{FACTS}\">\n"
    ));
    for fact in facts {
        out.push_str("<tr>");
        match &fact.label {
            Some(label) => {
                open(out, "td", "label", LABEL);
                html_into(out, label);
                out.push_str(":</td>");
                open(out, "td", "value", VALUE);
            }
            None => out.push_str(&format!(
                "<td colspan=\"2\" class=\"value\" style=\"{VALUE}\">"
            )),
        }
        write_inlines(out, &fact.value);
        out.push_str("</td></tr>\n");
    }
    out.push_str("</table>\n");
}

/// A paragraph that is nothing but a bold link is what most readers want next.
fn button(out: &mut String, target: &str, words: &[Inline]) {
    open(out, "p", "words", PARAGRAPH);
    link(out, target, words, "button", BUTTON);
    out.push_str("</p>\n");
}

fn link(out: &mut String, target: &str, words: &[Inline], class: &str, style: &str) {
    out.push_str("<a href=\"");
    html_into(out, target);
    out.push_str(&format!("\" class=\"{class}\" style=\"{style}\">"));
    write_inlines(out, words);
    out.push_str("</a>");
}

fn element(out: &mut String, tag: &str, class: &str, style: &str, inlines: &[Inline]) {
    open(out, tag, class, style);
    write_inlines(out, inlines);
    out.push_str("</");
    out.push_str(tag);
    out.push_str(">\n");
}

fn open(out: &mut String, tag: &str, class: &str, style: &str) {
    for part in ["<", tag, " class=\"", class, "\" style=\"", style, "\">"] {
        out.push_str(part);
    }
}

fn write_inlines(out: &mut String, inlines: &[Inline]) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => html_into(out, text),
            Inline::Strong(inner) => wrapped(out, "strong", inner),
            Inline::Emphasis(inner) => wrapped(out, "em", inner),
            Inline::Link(target, inner) => link(out, target, inner, "link", LINK),
            Inline::Soft => out.push('\n'),
            Inline::Hard => out.push_str("<br>\n"),
        }
    }
}

fn wrapped(out: &mut String, tag: &str, inner: &[Inline]) {
    out.push('<');
    out.push_str(tag);
    out.push('>');
    write_inlines(out, inner);
    out.push_str("</");
    out.push_str(tag);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::markdown::parse;

    /// Without the styles, which the pictures show better than a test.
    fn bare(source: &str) -> String {
        let html = write(&parse(source));
        let mut out = String::new();
        let mut rest = html.as_str();
        while let Some((before, after)) = rest.split_once(" style=\"") {
            out.push_str(before);
            rest = after.split_once('"').unwrap().1;
        }
        out + rest
    }

    #[test]
    fn blocks_become_simple_elements() {
        for (source, expected) in [
            (
                "a & **b**",
                "<p class=\"words\">a &amp; <strong>b</strong></p>\n",
            ),
            ("# T", "<h2 class=\"words\">T</h2>\n"),
            (
                "x [a](https://x.example/?a=1&b=2)",
                "<p class=\"words\">x <a href=\"https://x.example/?a=1&amp;b=2\" class=\"link\">a</a></p>\n",
            ),
            (
                "**[a](https://x.example)**",
                "<p class=\"words\"><a href=\"https://x.example\" class=\"button\">a</a></p>\n",
            ),
            (
                "a\n\n---\nb",
                "<p class=\"words\">a</p>\n<hr class=\"rule\">\n<p class=\"quiet\">b</p>\n",
            ),
            (
                "- a\n- b",
                "<ul class=\"words\">\n<li>a</li>\n<li>b</li>\n</ul>\n",
            ),
            ("<b>x</b>", "<p class=\"words\">&lt;b&gt;x&lt;/b&gt;</p>\n"),
        ] {
            assert_eq!(bare(source), expected, "{source}");
        }
    }

    #[test]
    fn facts_are_a_table_for_the_eye_only() {
        let html = bare("> Pot\n> - Ship date: **Friday**\n");
        assert!(html.contains("<table role=\"presentation\""), "{html}");
        assert!(
            html.contains("<td class=\"label\">Ship date:</td><td class=\"value\"><strong>Friday</strong></td>"),
            "{html}"
        );
    }
}
