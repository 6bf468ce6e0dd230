//! The map of `backorderd`: what it is, where to begin reading, what the words
//! mean, what must never break, and who may name whom.
//!
//! # What it is
//!
//! A shop owes customers who wait for backordered goods the truth about their
//! ship dates. This program mirrors the shop's order lines, compares each
//! line's *ETA* with what its customer was last *told*, decides who has to hear
//! what, and delivers it by e-mail and text message. Two movements, and nothing
//! else of importance:
//!
//! ```text
//!  shop ──import──► orders, lines ──due──► plan ──commit──► messages ──claim──► render ──mark──► send ──record──► told
//!       (source)    (mirror, history)  (pure, per order)    (outbox)
//! ```
//!
//! **Deciding** is `gather → plan → bundle → commit` ([`app::review`]). Planning
//! is a pure function; a dry run is the same call without the commit.
//! **Delivering** is `claim → render → mark → send → record` ([`app::deliver`],
//! [`app::lane`]). The intent is on disk before the last byte can leave.
//!
//! # Reading order
//!
//! From the entry to the heart in seven files:
//!
//! 1. `main.rs` calls [`cli::main`], which picks a command.
//! 2. `cli/serve.rs` loads the configuration ([`config::Config::load`]), has
//!    the parts put together ([`wiring::app`]) and hands them to the daemon.
//! 3. [`daemon`] owns the two loops, the start, and the stop.
//! 4. [`app::review`] decides: which orders are due, what is committed.
//! 5. [`domain::plan`] is the heart: what one order's customer has to hear now.
//!    It judges lines in [`domain::assess`]; [`domain::told`] and
//!    [`domain::kinds`] are its vocabulary.
//! 6. [`app::deliver`], [`app::claiming`], [`app::prepare`] and [`app::lane`] send what was
//!    decided.
//! 7. [`domain::message`] draws the life of a message; [`store::write::deliver`]
//!    writes each of its steps as one guarded statement.
//!
//! Then, as needed: how rows come in ([`source`], [`domain::mirror`],
//! [`app::sync`]), how facts become words ([`template`]), how words leave
//! ([`channel`]), what comes back ([`receipt`], [`domain::receipt`]), what a
//! person can ask ([`app::explain`], [`app::evidence`], [`app::todo`]) and do: to
//! everything that is due ([`app::manual`]), to single messages
//! ([`app::by_hand`], [`app::by_log`]), to a hold ([`app::releasing`]).
//!
//! What tries to break all this stands beside it: `tests/campaign` ends the
//! program at every [`crash_point`], `tests/auditor` judges what is left with
//! SQL of its own, `tests/faults.toml` lists deliberate faults with the test that
//! catches each.
//!
//! # Words
//!
//! The same in code, tables, commands, logs and templates.
//!
//! | word | meaning |
//! |---|---|
//! | order line | one product of one order ([`domain::order::Line`]), keyed by the shop's line id |
//! | backorder | a waiting order line the shop could not ship at once |
//! | ETA | expected ship date: a civil day, a window of days, or unknown ([`domain::eta::Eta`]); no time, no zone |
//! | promise | the ETA as we would say it now: buffer added, past dates refused |
//! | told | what the customer was told about a line; the ledger keeps every statement ([`domain::told::Told`]) |
//! | believed | what the customer may now believe: the last unretracted firm entry and every *possible* one after it |
//! | baseline | what counts as told at first sight, though nobody said it |
//! | notice | one thing to say about one order; its kinds are one table ([`domain::kinds::Kind`]) |
//! | message | one envelope to one recipient over one channel, with one or more notices |
//! | attempt | one try to hand a message over |
//! | receipt | news about a message after it was handed over: a bounce, a complaint, a text's delivery report ([`domain::receipt`]) |
//! | run | one planning pass of a job, by schedule or by hand |
//! | verdict | for one order in one run: said, or quiet, always with a reason ([`domain::reason::Verdict`]) |
//! | in doubt | neither sent nor failed: the other side never answered after the last byte |
//! | hold | nothing new is sent until released |
//! | suppression | an address that must not be written to |
//! | must arrive | kinds that are repeated once when in doubt; the others are *courtesies* and assumed sent |
//!
//! # Invariants
//!
//! By name, with where each is kept and where it is tested. `contract` stands
//! for `tests/it/store_contract`.
//!
//! | name | what it says | kept in | tested in |
//! |---|---|---|---|
//! | intent first | `submitting` is durable before the final dot can leave | [`app::lane`], [`store::write::deliver`] | contract `mark`, the campaign |
//! | one guard per step | every transition is one statement with owner, epoch and state in it; where no row is changed a guard was lost | [`store::write::deliver`] | contract `claim`, `mark`, `record` |
//! | doubt is a state | silence after the dot is neither success nor failure, and is always listed | [`domain::message`], [`channel::Session::send`] | `domain::message`, `channel::smtp`, contract `settle` |
//! | said once | a notice key is used once and freed only by what was taken back unsent | [`domain::notice_key`], [`store::write::review`] | `domain::plan_properties`, contract `review` |
//! | nothing overtakes | one queued and one in-flight notice per order and channel | two unique indexes on `notices` | contract `review`, `claim` |
//! | true when sent | a message whose facts moved is planned again, not sent | [`domain::statement`], [`store::write::deliver`] | contract `mark`, `domain::plan_properties` |
//! | planned is not due | an order planned at `now` is not due at `now` | [`domain::plan`] | `domain::plan_properties`, contract `review` |
//! | rest is foreseen | an order is left alone after its one message was accepted only if the plan saw that nothing more is owed, and nothing raised its `review_version` since | [`domain::plan`], [`store::write::deliver`] | `domain::plan_properties`, contract `rest` |
//! | told is what happened | the ledger is written only in the transaction that records what became of a message | [`store::write::deliver`] | contract `record` |
//! | the first look is silent | what waits at first sight is adopted, never announced | [`domain::mirror`] | `domain::mirror`, contract `mirror` |
//! | gone is not shipped | a missing row means nothing | [`domain::mirror`] | `domain::plan_tests` |
//! | looking cannot write | a [`app::Viewer`] holds read-only connections and no channel | [`wiring::viewer`], [`store::ReadStore`] | the engine refuses |
//! | nobody goes live by accident | live needs the configuration *and* the act | [`app::live`], [`app::App::require_live_act`] | contract `operate`, `scripts/play-main-job` |
//! | receipts in any order | what became of a message depends on the set of its receipts, not on their order or number | [`domain::receipt`] | `domain::receipt`, contract `receipts` |
//! | only our own bounces | a mail without a token made with our key says nothing about a message | [`domain::verp`], [`receipt`] | `receipt` |
//! | settings do not speak | what follows from changed settings alone waits for approval, whoever plans it | [`store::write::settings`] | contract `operate` |
//! | one message stops no queue | what may have ended its worker twice is claimed alone, and set aside when that happens alone too | [`store::write::deliver`] | contract `claim`, `domain::message` |
//! | hold holds | nothing is claimed, marked or begun under a hold, or while a file named `hold` exists | [`app::hold_file`], [`app::lane`], [`store::write::deliver`] | contract `claim`, `mark`; `daemon::serve` |
//! | no write is cancelled | dropping a caller drops only its wait; a failed commit ends the process | [`store::Store`] | contract `group` |
//! | templates cannot break sending | a set exists only if every sample of every kind rendered | [`template`] | `template::tests`, `template::check` |
//! | no personal data in logs | addresses and numbers print masked; errors and evidence carry none | [`domain::contact`], [`channel`] | `domain::contact`, `channel` |
//!
//! # Layers
//!
//! A part may name itself, what stands in its row, and nothing else.
//! `tests/it/layers.rs` reads every import and holds this table.
//!
//! | part | may name |
//! |---|---|
//! | [`domain`] | nothing: no I/O, clock, randomness, waiting or logging |
//! | [`clock`], [`source`], [`store`], [`receipt`], [`template`], [`channel`], [`telemetry`] | `domain` |
//! | [`config`] | `domain`, [`channel::settings`] |
//! | [`crash_point`] | nothing; all but `domain` may name it |
//! | [`app`] | `domain` and the parts above, except `config` |
//! | [`web`], [`daemon`] | `app` and all above |
//! | [`wiring`] | all: the one place that names concrete adapters |
//! | [`cli`] | all |
//!
//! One more way out is one more file under [`channel`] and one line in
//! [`wiring::channels`]. Time, ids and random samples come from [`clock`] alone;
//! `.clippy.toml` bans every other way to ask.
//!
//! Decisions that are not visible in the code are in `docs/decisions`.

pub mod cli;
pub mod daemon;
pub mod web;
pub mod wiring;

pub mod app;

pub mod channel;
pub mod clock;
pub mod config;
pub mod crash_point;
pub mod receipt;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod template;

pub mod domain;
