//! The shape of a context, for the check: which paths a template may name.
//!
//! Taken from one example with every field filled, written as a struct
//! literal, so a field added to the context cannot be forgotten here.

use super::context::{
    Amount, CustomerContext, Days, LineContext, News, OrderContext, ParcelContext, ShopContext,
    TemplateContext, Waiting,
};
use crate::domain::eta::Eta;
use crate::domain::kinds::Kind;
use crate::domain::quantity::Quantity;
use crate::domain::shop::{CancelTerms, Charges};
use crate::domain::statement::Change;
use chrono::NaiveDate;
use serde_json::Value;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A place in a context. Cheap to clone: the walk hands places on at every
/// block and partial.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Something that can be printed.
    Value,
    List(Rc<Node>),
    Object(Rc<BTreeMap<String, Node>>),
}

/// Fields whose value is one of a few words, and these words: comparing with
/// any other is a mistake nobody would see.
pub const WORD_FIELDS: [(&str, &[&str]); 4] = [
    (
        "kind",
        &[
            "confirmation",
            "date_set",
            "delay",
            "sooner",
            "date_withdrawn",
            "overdue",
            "update",
            "shipped",
            "cancelled",
        ],
    ),
    (
        "change",
        &[
            "new",
            "set",
            "later",
            "sooner",
            "withdrawn",
            "overdue",
            "unchanged",
            "not_stated",
        ],
    ),
    ("charges", &["at_order", "at_shipment", "unsaid"]),
    ("cancel", &["until_shipped", "ask_us"]),
];

impl Node {
    /// The context of every message.
    pub fn message() -> Node {
        serde_json::to_value(example()).map_or(Node::Value, |value| Node::of(&value))
    }

    /// The context of pages: besides, the head and the finished words.
    pub fn page() -> Node {
        let mut node = Node::message();
        for name in ["subject", "preheader", "body"] {
            node.set(name, Node::Value);
        }
        node
    }

    fn of(value: &Value) -> Node {
        match value {
            Value::Array(items) => Node::List(Rc::new(items.first().map_or(Node::Value, Node::of))),
            Value::Object(fields) => Node::Object(Rc::new(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), Node::of(value)))
                    .collect(),
            )),
            _ => Node::Value,
        }
    }

    /// Adds or replaces a field; a place that had none becomes an object.
    pub fn set(&mut self, name: &str, node: Node) {
        if let Node::Object(fields) = self {
            Rc::make_mut(fields).insert(name.to_owned(), node);
        } else {
            *self = Node::Object(Rc::new(BTreeMap::from([(name.to_owned(), node)])));
        }
    }

    pub fn field(&self, name: &str) -> Option<&Node> {
        match self {
            Node::Object(fields) => fields.get(name),
            Node::List(item) if name.parse::<usize>().is_ok() => Some(item),
            _ => None,
        }
    }

    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        match self {
            Node::Object(fields) => Some(fields.keys().map(String::as_str)),
            _ => None,
        }
        .into_iter()
        .flatten()
    }
}

/// Every field filled; nothing of it is ever printed.
fn example() -> TemplateContext {
    let day = NaiveDate::default();
    let amount = Amount(Quantity::pieces(1));
    let days = || Days::of(Eta::day(day));
    let text = || Some(String::new());
    let parcel = || ParcelContext {
        carrier: text(),
        tracking_numbers: vec![String::new()],
        tracking_url: text(),
        estimate: Some(day),
    };
    let news = || News {
        lines: 1,
        pieces: amount,
        of: amount,
        shipped_before: amount,
        name: text(),
        ship_date: days(),
        last_date: Some(day),
        told: days(),
        all_told: true,
        reason: text(),
        parcel: Some(parcel()),
    };
    let waiting = || Waiting {
        lines: 1,
        pieces: amount,
        ship_date: days(),
        last_date: Some(day),
        any_date: true,
        no_date: true,
        unchanged: true,
    };
    let order = OrderContext {
        number: String::new(),
        ordered_on: day,
        weeks_ago: Some(1),
        milestone_days: Some(7),
        lines: vec![LineContext {
            name: String::new(),
            sku: text(),
            ordered: amount,
            shipped: amount,
            shipped_now: amount,
            shipped_before: amount,
            cancelled: amount,
            cancelled_now: amount,
            waiting: amount,
            change: Change::New,
            is_news: true,
            ship_date: days(),
            no_date: true,
            unchanged: true,
            told: days(),
            reason: text(),
            parcel: Some(parcel()),
        }],
        parcels: vec![parcel()],
        news: news(),
        waiting: waiting(),
        next_word_by: Some(day),
        view_url: text(),
        cancel_url: text(),
    };
    TemplateContext {
        kind: Kind::Delay,
        locale: String::new(),
        language: String::new(),
        today: day,
        shop: ShopContext {
            name: String::new(),
            phone: text(),
            hours: text(),
            website: text(),
            email: text(),
            can_reply: true,
            charges: Charges::AtOrder,
            cancel: CancelTerms::UntilShipped,
            offer_block: true,
        },
        customer: CustomerContext { name: text() },
        several_orders: true,
        numbers: vec![String::new()],
        orders: vec![order.clone()],
        order,
        news: news(),
        waiting: waiting(),
        next_word_by: Some(day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::functions::{LINE_END, SIGNATURES};

    #[test]
    fn words_of_fields_are_those_of_the_program() {
        let words = |field: &str| {
            let (_, words) = WORD_FIELDS.iter().find(|(name, _)| *name == field).unwrap();
            words.to_vec()
        };
        for kind in Kind::ALL {
            assert!(words("kind").contains(&kind.as_str()), "{kind}");
        }
        for change in [
            Change::New,
            Change::Set,
            Change::Later,
            Change::Sooner,
            Change::Withdrawn,
            Change::Overdue,
            Change::Unchanged,
            Change::NotStated,
        ] {
            let word = serde_json::to_value(change).unwrap();
            assert!(words("change").contains(&word.as_str().unwrap()), "{word}");
        }
    }

    #[test]
    fn every_field_of_the_context_has_its_place() {
        let root = Node::message();
        let line = root
            .field("orders")
            .and_then(|n| n.field("0"))
            .and_then(|n| n.field("lines"))
            .and_then(|n| n.field("0"))
            .unwrap();
        assert_eq!(line.field("told"), Some(&Node::Value));
        assert!(matches!(line.field("parcel"), Some(Node::Object(_))));
        assert_eq!(root.field("body"), None);
        assert_eq!(Node::page().field("body"), Some(&Node::Value));
    }

    #[test]
    fn the_manual_names_every_field_and_function() {
        fn names(node: &Node, found: &mut Vec<String>) {
            found.extend(node.field_names().map(ToOwned::to_owned));
            match node {
                Node::Object(fields) => fields.values().for_each(|n| names(n, found)),
                Node::List(item) => names(item, found),
                Node::Value => {}
            }
        }
        let manual = include_str!("../../docs/templates.md");
        let mut wanted = Vec::new();
        names(&Node::page(), &mut wanted);
        wanted.extend(SIGNATURES.iter().map(|s| s.name.to_owned()));
        wanted.extend(
            WORD_FIELDS
                .iter()
                .flat_map(|(_, words)| words.iter().map(|w| (*w).to_owned())),
        );
        for name in wanted.iter().filter(|name| *name != LINE_END) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            assert!(
                manual.split(|c| !is_part(c)).any(|word| word == name),
                "{name} is not in docs/templates.md"
            );
        }
    }
}
