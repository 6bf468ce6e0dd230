//! Renders every sample of every kind in every language: what fails is an
//! error and refuses the set, what is merely unwise is a note.

use super::problem::Problem;
use super::samples::{SAMPLE_DAY, samples};
use super::{RenderError, TemplateSet, clean};
use crate::domain::contact::Locale;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::sms_text::SmsEncoding;
use crate::domain::statement::MessageFacts;

/// A visible text shorter than this is a mistake, not a style.
const TEXT_CHARS_MIN: usize = 20;

/// Everything worth knowing about a set before it goes live: notes about
/// samples that come out too long, empty or in the expensive alphabet, or
/// that lose the order number.
pub fn check(set: &TemplateSet) -> Vec<Problem> {
    let mut problems = Vec::new();
    each_sample(set, |locale, kind, name, facts| {
        let file = |part: &str| format!("{locale}/{kind}/{part}");
        let note = |part: &str, what: String| {
            Problem::in_file(&file(part), what).help(format!("with the sample \"{name}\""))
        };
        let number = clean::line(&facts.orders[0].order_number, 20);
        match set.render_email(facts, SAMPLE_DAY) {
            Err(error) => problems.push(failed(&file("email.hbs"), &error, name)),
            Ok(email) => {
                if email.subject.ends_with('…') && name != "nasty characters" {
                    problems.push(note(
                        "email.hbs",
                        "the subject is too long and is cut".into(),
                    ));
                }
                if !email.subject.contains(&number) {
                    problems.push(note(
                        "email.hbs",
                        "the subject does not name the order".into(),
                    ));
                }
                for (part, text) in [("subject", &email.subject), ("preheader", &email.preheader)] {
                    if text.is_empty() {
                        problems.push(note("email.hbs", format!("the {part} comes out empty")));
                    }
                }
                for (part, text) in [("text", &email.text), ("HTML", &email.html)] {
                    if text.trim().chars().count() < TEXT_CHARS_MIN {
                        problems.push(note(
                            "email.hbs",
                            format!("the {part} part comes out empty"),
                        ));
                    }
                }
            }
        }
        if facts.orders.len() > 1 {
            return;
        }
        match set.render_sms(facts, SAMPLE_DAY) {
            Err(RenderError::NoTemplate { .. }) => {}
            Err(error) => problems.push(failed(&file("sms.hbs"), &error, name)),
            Ok(sms) => {
                if sms.text.chars().count() < TEXT_CHARS_MIN {
                    problems.push(note("sms.hbs", "the text comes out empty".into()));
                }
                if let (SmsEncoding::Ucs2, Some(culprit), true) =
                    (sms.size.encoding, sms.size.culprit, name == "one item")
                {
                    problems.push(note(
                        "sms.hbs",
                        format!("\"{culprit}\" makes every text more than twice as expensive"),
                    ));
                }
            }
        }
    });
    problems.sort();
    problems.dedup();
    problems
}

/// Texts that would not be sent because they need more than `segments_max`.
pub fn texts_too_long(set: &TemplateSet, segments_max: u32) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    each_sample(set, |locale, kind, name, facts| {
        let file = format!("{locale}/{kind}/sms.hbs");
        let is_known = problems.iter().any(|problem| problem.file == file);
        if facts.orders.len() > 1 || name == "nasty characters" || is_known {
            return;
        }
        let Ok(sms) = set.render_sms(facts, SAMPLE_DAY) else {
            return;
        };
        if sms.size.segments > segments_max as usize {
            let what = format!(
                "the text needs {} segments, and one of more than {segments_max} is not sent",
                sms.size.segments
            );
            let help = format!("with the sample \"{name}\"; max_segments in [sms] is the limit");
            problems.push(Problem::in_file(&file, what).help(help));
        }
    });
    problems
}

/// Only what would stop a message from being sent; each place once, with the
/// first sample that shows it.
pub(super) fn errors(set: &TemplateSet) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut add = |problem: Problem| {
        let place = |p: &Problem| (p.file.clone(), p.line, p.column, p.what.clone());
        if !problems.iter().any(|seen| place(seen) == place(&problem)) {
            problems.push(problem);
        }
    };
    each_sample(set, |locale, kind, name, facts| {
        let file = |part: &str| format!("{locale}/{kind}/{part}");
        if let Err(error) = set.render_email(facts, SAMPLE_DAY) {
            add(failed(&file("email.hbs"), &error, name));
        }
        if facts.orders.len() == 1
            && set.version(kind, locale, ChannelName::Sms).is_some()
            && let Err(error) = set.render_sms(facts, SAMPLE_DAY)
        {
            add(failed(&file("sms.hbs"), &error, name));
        }
    });
    problems
}

fn each_sample(set: &TemplateSet, mut see: impl FnMut(&Locale, Kind, &str, &MessageFacts)) {
    let locales: Vec<Locale> = set.locales().cloned().collect();
    for locale in &locales {
        for kind in Kind::ALL {
            for (name, mut facts) in samples(kind) {
                facts.locale = locale.clone();
                see(locale, kind, name, &facts);
            }
        }
    }
}

fn failed(file: &str, error: &RenderError, sample: &str) -> Problem {
    let problem = match error {
        RenderError::Template {
            file,
            line,
            column,
            what,
        } => Problem::at(file, *line, *column, what.clone()),
        RenderError::TooLong { file, .. } => Problem::in_file(file, error.to_string()),
        error => Problem::in_file(file, error.to_string()),
    };
    problem.help(format!("with the sample \"{sample}\""))
}
