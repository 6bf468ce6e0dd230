use super::*;

fn check(files: &[Part], expected: &[&str]) {
    let found: Vec<String> = parts(files).iter().map(ToString::to_string).collect();
    assert_eq!(found, expected);
}

fn words(text: &str) -> Part {
    Part::words("delay/body".into(), "en/delay/email.hbs".into(), text)
}

fn partial(name: &str, text: &str) -> Part {
    Part::partial(name.into(), format!("en/partials/{name}.hbs"), text)
}

/// One template, one finding: `line:column: what (help)`.
fn finds(text: &str, expected: &str) {
    check(&[words(text)], &[&format!("en/delay/email.hbs:{expected}")]);
}

#[test]
fn names_that_lead_nowhere_are_found_wherever_they_stand() {
    for (text, expected) in [
        (
            "Hello\n{{custmer.name}}",
            "2:3: there is no \"custmer\" here (did you mean \"customer\"?)",
        ),
        (
            "{{customer.nmae}}",
            "1:3: there is no \"nmae\" in \"customer\" (did you mean \"name\"?)",
        ),
        (
            "a {{#if order.gitf}}x{{/if}}",
            "1:9: there is no \"gitf\" in \"order\" (in it are: cancel_url, lines, \
             milestone_days, news, next_word_by, number, ordered_on, parcels, view_url, waiting, \
             weeks_ago)",
        ),
        (
            "{{#unless (eq shop.phon 1)}}x{{/unless}}",
            "1:15: there is no \"phon\" in \"shop\" (did you mean \"phone\"?)",
        ),
        (
            "{{#if shop.phone}}a{{else if shop.fax}}b{{/if}}",
            "1:30: there is no \"fax\" in \"shop\" (in it are: can_reply, cancel, charges, email, \
             hours, name, offer_block, phone, website)",
        ),
        (
            "{{#each orders as |o|}}{{#each o.lines as |line|}}\n {{date line.shipdate}}{{/each}}{{/each}}",
            "2:9: there is no \"shipdate\" in \"line\" (did you mean \"ship_date\"?)",
        ),
        (
            "{{#each orders}}{{customer.name}}{{/each}}",
            "1:19: there is no \"customer\" here (it is further out: @root.customer.name)",
        ),
        (
            "{{#each orders}}{{number}}{{/each}}{{number}}",
            "1:38: there is no \"number\" here (did you mean \"numbers\"?)",
        ),
        (
            "{{order.lines.length}}",
            "1:3: there is no \"length\" in \"order.lines\" (write (len order.lines))",
        ),
        (
            "{{order.number.x}}",
            "1:3: there is no \"x\" in \"order.number\" (it is a single value)",
        ),
        (
            "{{../order.number}}",
            "1:3: \"../order.number\" leads out of the context",
        ),
        (
            "{{@index}}",
            "1:3: \"@index\" has no value here (inside {{#each}} there are @index, @first and @last; \
             everywhere there is @root)",
        ),
        (
            "{{#with order.news}}{{told}}{{tolld}}{{/with}}",
            "1:31: there is no \"tolld\" here (did you mean \"told\"?)",
        ),
    ] {
        finds(text, expected);
    }
}

#[test]
fn functions_and_blocks_are_called_as_they_are_meant() {
    for (text, expected) in [
        (
            "{{dat order.ordered_on}}",
            "1:3: there is no function \"dat\" (did you mean \"date\"?)",
        ),
        ("{{date}}", "1:3: \"date\" needs a value after its name"),
        (
            "{{date order.ordered_on order.ordered_on}}",
            "1:3: \"date\" takes 1 value after its name, not 2",
        ),
        (
            "{{quantity news.pieces on=\"piece\"}}",
            "1:24: \"quantity\" knows no \"on=\" (did you mean \"one\"?)",
        ),
        (
            "{{#fi customer.name}}x{{/fi}}",
            "1:4: there is no block \"fi\" (did you mean \"if\"?)",
        ),
        (
            "{{#eq news.lines 1}}x{{/eq}}",
            "1:4: \"eq\" cannot open a block (write {{#if (eq ...)}})",
        ),
        (
            "{{#if news.lines 1}}x{{/if}}",
            "1:4: \"#if\" takes one value, not 2 (put a function and its values in brackets: (eq a b))",
        ),
        ("{{#each order}}x{{/each}}", "1:9: this is not a list"),
        (
            "{{order}}",
            "1:3: \"order\" is not something that can be printed (name what is in it: cancel_url, \
             lines, milestone_days, news, next_word_by, number, ordered_on, parcels, view_url, \
             waiting, weeks_ago)",
        ),
        (
            "{{#each orders}}{{#each lines}}{{#if (eq change \"latter\")}}x{{/if}}{{/each}}{{/each}}",
            "1:50: \"change\" is never \"latter\" (did you mean \"later\"?)",
        ),
        ("{{log customer.name}}", "1:3: there is no function \"log\""),
    ] {
        finds(text, expected);
    }
}

#[test]
fn what_could_switch_escaping_off_or_cannot_be_followed_is_refused() {
    for (text, expected) in [
        (
            "a {{{customer.name}}}",
            "1:3: three braces or {{& would print a value without escaping (use two braces)",
        ),
        (
            "a {{&customer.name}}",
            "1:3: three braces or {{& would print a value without escaping (use two braces)",
        ),
        (
            "{{{body}}}",
            "1:1: three braces or {{& would print a value without escaping (use two braces)",
        ),
        (
            "{{> (join numbers)}}",
            "1:1: the name of a partial must be written out",
        ),
        (
            "{{#*inline \"x\"}}y{{/inline}}",
            "1:1: {{#> }} and {{* }} are not used here (put shared words into \
             <locale>/partials/<name>.hbs and write {{> name}})",
        ),
        (
            "Hello <b>you</b>",
            "1:7: HTML would be printed as it stands (write Markdown, or take over the whole page \
             with html.hbs)",
        ),
    ] {
        finds(text, expected);
    }
    let page = |text: &str| Part::page("delay/html".into(), "en/delay/html.hbs".into(), text);
    check(&[page("<p>{{subject}}</p>{{{body}}}")], &[]);
}

#[test]
fn mistakes_of_syntax_have_a_place_and_a_remedy() {
    for (text, expected) in [
        (
            "\n  {{#if customer.name}}x{{/each}}",
            "2:25: {{#if}} is closed by {{/each}} (close it with {{/if}})",
        ),
        (
            "Hello {{customer.name",
            "1:22: this is not a complete tag (every {{ needs its }}, every {{#block}} its \
             {{/block}}, every ( its ), and texts stand in quotes)",
        ),
    ] {
        finds(text, expected);
    }
}

#[test]
fn a_mistake_in_a_partial_is_reported_in_the_partial() {
    check(
        &[
            words("{{#each orders}}{{#each lines}}{{> item}}{{/each}}{{/each}}"),
            partial("item", "**{{name}}**\n{{colour}}"),
        ],
        &[
            "en/partials/item.hbs:2:3: there is no \"colour\" here (here are: cancelled, \
           cancelled_now, change, is_news, name, no_date, ordered, parcel, reason, ship_date, \
           shipped, shipped_before, shipped_now, sku, told, unchanged, waiting)",
        ],
    );
    check(
        &[words("{{> itm}}"), partial("item", "x")],
        &[
            "en/delay/email.hbs:1:5: there is no partial \"itm\" in this language \
           (did you mean \"item\"?)",
        ],
    );
}

#[test]
fn a_partial_sees_what_it_is_given_and_no_names_of_the_block_around_it() {
    let loops = "{{#each orders as |o|}}{{#each o.lines as |line|}}{{> item line note=o.number}}\
                 {{/each}}{{/each}}";
    check(&[words(loops), partial("item", "{{name}} {{note}}")], &[]);
    check(
        &[words(loops), partial("item", "{{line.name}}")],
        &[
            "en/partials/item.hbs:1:3: there is no \"line\" here (here are: cancelled, \
           cancelled_now, change, is_news, name, no_date, note, ordered, parcel, reason, \
           ship_date, shipped, shipped_before, shipped_now, sku, told, unchanged, waiting)",
        ],
    );
}

#[test]
fn partials_that_lead_back_to_themselves_are_refused() {
    check(
        &[
            words("{{> a}}"),
            partial("a", "{{#if kind}}\n{{> b}}{{/if}}"),
            partial("b", "x {{> a}}"),
        ],
        &["en/partials/b.hbs:1:7: the partial includes itself: a > b > a"],
    );
    check(
        &[partial("a", "{{> a}}")],
        &["en/partials/a.hbs:1:5: the partial includes itself: a > a"],
    );
}

#[test]
fn depth_and_size_have_limits() {
    let deep = "{{#if kind}}".repeat(5_000) + &"{{/if}}".repeat(5_000);
    finds(&deep, "1:385: blocks or brackets are nested deeper than 32");
    let brackets = format!("{{{{#if {}kind}}}}x{{{{/if}}}}", "(not ".repeat(5_000));
    finds(
        &brackets,
        "1:1: blocks or brackets are nested deeper than 32",
    );
    let loops = "{{#each orders}}{{#each lines}}{{#each @root.orders}}{{#each lines}}x{{/each}}\
                 {{/each}}{{/each}}{{/each}}";
    finds(loops, "1:57: loops are nested deeper than 3");
    finds(
        &"x".repeat(SOURCE_BYTES_MAX + 1),
        "1:1: the file is longer than 256 KiB",
    );
    // Two calls in each of twenty partials are a million renderings.
    let mut files = vec![words("{{> p0}}")];
    for n in 0..20 {
        let next = n + 1;
        files.push(partial(
            &format!("p{n}"),
            &format!("{{{{> p{next}}}}} {{{{> p{next}}}}}"),
        ));
    }
    files.push(partial("p20", "x"));
    let found = parts(&files);
    assert!(
        found
            .iter()
            .any(|p| p.what == "the template with its partials is too large"),
        "{found:?}"
    );
}

#[test]
fn a_partial_alone_on_its_line_keeps_its_line_break() {
    assert_eq!(
        with_line_ends("{{> a}}\n\nb {{> c}}, d\r\n  {{> e x}}\r\n"),
        "{{> a}}{{_ \"\"}}\n\nb {{> c}}, d\r\n  {{> e x}}{{_ \"\"}}\r\n"
    );
}
