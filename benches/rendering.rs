//! What one message costs to write: `cargo bench --bench rendering`.
//!
//! The built-in templates with their first sample, in English, kind by kind:
//! an e-mail is both parts and its heads, a text is one line. Loading the set
//! (reading, checking, trying every sample) is what every start pays once.

use backorderd::domain::kinds::Kind;
use backorderd::domain::statement::MessageFacts;
use backorderd::template::{SAMPLE_DAY, TemplateSet, sample_shop, samples};
use divan::{Bencher, black_box};
use std::sync::LazyLock;

static SET: LazyLock<TemplateSet> = LazyLock::new(load_the_set);

fn main() {
    divan::main();
}

fn load_the_set() -> TemplateSet {
    TemplateSet::load(None, &sample_shop()).expect("the built-in templates")
}

fn facts(kind: Kind) -> MessageFacts {
    let (_, facts) = samples(kind).swap_remove(0);
    facts
}

#[divan::bench(args = Kind::ALL)]
fn email(bencher: Bencher<'_, '_>, kind: Kind) {
    let (set, facts) = (&*SET, facts(kind));
    bencher.bench_local(|| {
        set.render_email(black_box(&facts), SAMPLE_DAY)
            .expect("a mail")
    });
}

#[divan::bench(args = Kind::ALL)]
fn text(bencher: Bencher<'_, '_>, kind: Kind) {
    let (set, facts) = (&*SET, facts(kind));
    bencher.bench_local(|| {
        set.render_sms(black_box(&facts), SAMPLE_DAY)
            .expect("a text")
    });
}

#[divan::bench(sample_count = 20, sample_size = 1)]
fn load_all_templates() -> TemplateSet {
    load_the_set()
}
