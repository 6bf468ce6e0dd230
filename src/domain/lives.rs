//! Random lives of an order, for properties: how it begins and what happens to
//! it.

use super::contact::Preference;
use super::eta::Eta;
use super::fixtures::{Story, at, day};
use super::kinds::ChannelName;
use super::quantity::Quantity;
use super::time::Length;
use super::told::Basis;
use chrono::{Days, NaiveDate};
use proptest::prelude::*;

/// One thing that happens, and how long after the one before.
#[derive(Clone, Debug)]
pub enum Event {
    Moves(usize, Eta),
    Operator(usize, Eta),
    Ships(usize, i64),
    Cancels(usize, i64),
    Vanishes(usize),
    Returns(usize),
    NewLine(Eta),
    Suppressed(ChannelName),
    /// How the channel answers from now on.
    Channel(Answer),
    ClockBack(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Accepts,
    Fails,
    Bounces,
    Doubts,
    /// Stays in flight until the channel answers otherwise.
    Hangs,
}

fn some_day() -> impl Strategy<Value = NaiveDate> {
    (0u64..90).prop_map(|n| day("2026-02-10") + Days::new(n))
}
fn some_eta() -> impl Strategy<Value = Eta> {
    prop_oneof![
        6 => some_day().prop_map(Eta::day),
        2 => (some_day(), 1u64..15)
            .prop_map(|(from, n)| Eta::window(from, from + Days::new(n)).unwrap()),
        2 => Just(Eta::Unknown),
        1 => Just(Eta::day(day("2062-03-06"))),
    ]
}
fn some_event() -> impl Strategy<Value = Event> {
    let which = 0usize..3;
    prop_oneof![
        8 => (which.clone(), some_eta()).prop_map(|(i, eta)| Event::Moves(i, eta)),
        1 => (which.clone(), some_eta()).prop_map(|(i, eta)| Event::Operator(i, eta)),
        2 => (which.clone(), 1i64..4).prop_map(|(i, n)| Event::Ships(i, n)),
        2 => (which.clone(), 1i64..4).prop_map(|(i, n)| Event::Cancels(i, n)),
        1 => which.clone().prop_map(Event::Vanishes),
        2 => which.prop_map(Event::Returns),
        1 => some_eta().prop_map(Event::NewLine),
        1 => prop_oneof![Just(ChannelName::Email), Just(ChannelName::Sms)]
            .prop_map(Event::Suppressed),
        3 => some_answer().prop_map(Event::Channel),
        1 => (1i64..2_000).prop_map(Event::ClockBack),
    ]
}
fn some_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Accepts),
        1 => Just(Answer::Fails),
        1 => Just(Answer::Bounces),
        1 => Just(Answer::Doubts),
        1 => Just(Answer::Hangs),
    ]
}
fn some_pause() -> impl Strategy<Value = Length> {
    prop_oneof![
        (0i64..90).prop_map(Length::mins),
        (0i64..80).prop_map(Length::hours),
        (0i64..12).prop_map(Length::days),
    ]
}
pub type Life = Vec<(Length, Event)>;
pub fn some_life() -> impl Strategy<Value = Life> {
    prop::collection::vec((some_pause(), some_event()), 0..14)
}
pub fn some_story() -> impl Strategy<Value = Story> {
    let preference = prop_oneof![
        Just(Preference::Email),
        Just(Preference::Sms),
        Just(Preference::Both)
    ];
    let told = prop::option::of(some_eta());
    (
        some_eta(),
        told,
        preference,
        0u32..3,
        any::<bool>(),
        0usize..3,
    )
        .prop_map(|(ships, told, preference, buffer, adopted, zone)| {
            let mut story = Story::of_teapots("?").texting(preference);
            story.s.lines[0].eta = ships;
            story.s.lines[0].ordered = Quantity::pieces(3);
            story.policy.buffer_days = buffer;
            story.s.order.contact.zone = [
                None,
                Some(chrono_tz::America::New_York),
                Some(chrono_tz::Pacific::Auckland),
            ][zone];
            if let Some(told) = told {
                let basis = if adopted {
                    Basis::Baseline
                } else {
                    Basis::Accepted
                };
                story.hears(0, "?", basis, "2026-02-16 14:31");
                story.s.lines[0].told[0].promise = told;
                story.s.order.adopted_at = adopted.then(|| at("2026-02-16 14:31"));
            }
            story
        })
}
