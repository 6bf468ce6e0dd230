//! The text part of a mail: wrapped at 78 columns, facts aligned, addresses of
//! links printed. It is complete on its own.

use super::markdown::{Block, Fact, Inline};
use unicode_width::UnicodeWidthStr;

/// RFC 5322 recommends lines of at most 78 characters.
const COLUMNS: usize = 78;
const INDENT: &str = "    ";
/// Column at which values of facts begin, unless a label is longer.
const LABEL_COLUMNS: usize = 17;

/// Writes the blocks; ends with one line break, or is empty.
pub fn write(blocks: &[Block]) -> String {
    let mut out = String::with_capacity(2048);
    write_blocks(&mut out, blocks, "");
    out
}

fn write_blocks(out: &mut String, blocks: &[Block], indent: &str) {
    let mut before: Option<&Block> = None;
    for block in blocks {
        // A rule separates in HTML; in text the blank line already does.
        if matches!(block, Block::Rule) {
            continue;
        }
        // The facts of a card follow its title closely.
        let tight = matches!((before, block), (Some(_), Block::Facts(_)));
        if !out.is_empty() && !tight && !out.ends_with("\n\n") && before.is_some() {
            out.push('\n');
        }
        write_block(out, block, indent);
        before = Some(block);
    }
}

fn write_block(out: &mut String, block: &Block, indent: &str) {
    match block {
        Block::Paragraph(inlines) | Block::Heading(inlines) => {
            wrap(out, &plain(inlines), indent, indent);
        }
        Block::Card(blocks) => write_blocks(out, blocks, &format!("{indent}{INDENT}")),
        Block::Facts(facts) => write_facts(out, facts, indent),
        Block::List(first, items) => write_list(out, *first, items, indent),
        Block::Code(code) => {
            for line in code.lines() {
                out.push_str(indent);
                out.push_str(line);
                out.push('\n');
            }
        }
        Block::Rule => {}
    }
}

fn write_facts(out: &mut String, facts: &[Fact], indent: &str) {
    let longest = facts
        .iter()
        .filter_map(|f| f.label.as_deref())
        .map(UnicodeWidthStr::width)
        .max()
        .unwrap_or(0);
    let column = LABEL_COLUMNS.max(longest + 3);
    let hanging = format!("{indent}{}", " ".repeat(column));
    for fact in facts {
        match &fact.label {
            None => wrap(out, &plain(&fact.value), indent, indent),
            Some(label) => {
                let pad = " ".repeat(column.saturating_sub(label.width() + 1));
                let first = format!("{indent}{label}:{pad}");
                wrap(out, &plain(&fact.value), &first, &hanging);
            }
        }
    }
}

fn write_list(out: &mut String, first: Option<u64>, items: &[Vec<Block>], indent: &str) {
    for (at, item) in items.iter().enumerate() {
        let marker = first.map_or("- ".to_owned(), |n| {
            format!("{}. ", n.saturating_add(at as u64))
        });
        let hanging = format!("{indent}{}", " ".repeat(marker.len()));
        let mut inner = String::new();
        write_blocks(&mut inner, item, &hanging);
        let body = inner.strip_prefix(hanging.as_str()).unwrap_or(&inner);
        out.push_str(indent);
        out.push_str(&marker);
        out.push_str(if body.is_empty() { "\n" } else { body });
    }
}

/// Inlines as text; `\n` only where a hard break stands.
fn plain(inlines: &[Inline]) -> String {
    let mut out = String::new();
    push_plain(&mut out, inlines);
    out
}

fn push_plain(out: &mut String, inlines: &[Inline]) {
    for inline in inlines {
        match inline {
            Inline::Text(text) => out.push_str(text),
            Inline::Strong(inner) | Inline::Emphasis(inner) => push_plain(out, inner),
            Inline::Soft => out.push(' '),
            Inline::Hard => out.push('\n'),
            Inline::Link(target, inner) => {
                let words = plain(inner);
                let target = shown_target(target);
                out.push_str(&words);
                if words.trim() != target {
                    out.push_str(if words.is_empty() { "" } else { ": " });
                    out.push_str(target);
                }
            }
        }
    }
}

/// An address people can copy: without the scheme where it is no web address.
fn shown_target(target: &str) -> &str {
    target
        .strip_prefix("mailto:")
        .or_else(|| target.strip_prefix("tel:"))
        .unwrap_or(target)
}

/// Fills lines with words. A word wider than a line stands alone and is not
/// broken: half an address is none.
fn wrap(out: &mut String, text: &str, first: &str, hanging: &str) {
    let mut lead = first;
    for line in text.split('\n') {
        let mut used = 0;
        for word in line.split(' ').filter(|w| !w.is_empty()) {
            let width = word.width();
            if used > 0 && used + 1 + width > COLUMNS {
                out.push('\n');
                used = 0;
            }
            if used == 0 {
                out.push_str(lead);
                used = lead.width() + width;
                lead = hanging;
            } else {
                out.push(' ');
                used += 1 + width;
            }
            // Kept together until here, printed as what it looks like.
            out.extend(word.chars().map(|c| if c == '\u{a0}' { ' ' } else { c }));
        }
        if used > 0 {
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::markdown::parse;

    fn check(source: &str, expected: &str) {
        assert_eq!(write(&parse(source)), expected, "{source}");
    }

    #[test]
    fn words_wrap_and_facts_align() {
        check(
            "Hello,\n\n> **Pot** (1 piece)\n> - New ship date: **Friday 20 March**\n> - Reason: the\n>   van broke down on the way to us and nobody else drives on a Sunday in this town\n\nBye\nnow.\\\nShop\n",
            "Hello,\n\n    Pot (1 piece)\n    New ship date:   Friday 20 March\n    Reason:          the van broke down on the way to us and nobody else\n                     drives on a Sunday in this town\n\nBye now.\nShop\n",
        );
    }

    #[test]
    fn links_show_where_they_lead() {
        check(
            "[Your order](https://x.example/o)",
            "Your order: https://x.example/o\n",
        );
        check("<https://x.example/o>", "https://x.example/o\n");
        check("[a@x.example](mailto:a@x.example)", "a@x.example\n");
    }

    #[test]
    fn lists_rules_and_headings_stay_readable() {
        check(
            "# Two\n\n1. one\n2. two\n   lines\n\n---\n- a\n- b\n",
            "Two\n\n1. one\n2. two lines\n\n- a\n- b\n",
        );
    }

    #[test]
    fn no_line_is_longer_than_78_columns() {
        let words = "Wort ".repeat(200);
        for source in [
            words.clone(),
            format!("> - Grund: {words}"),
            format!("1. {words}"),
        ] {
            for line in write(&parse(&source)).lines() {
                assert!(line.width() <= COLUMNS, "{line}");
            }
        }
    }
}
