//! What a bug in our own code may not do: keep the daemon waiting for ever.

use std::sync::Arc;
use std::time::Duration;

use backorderd::app::App;
use backorderd::app::AppError;
use backorderd::app::deliver::Delivery;
use backorderd::channel::Answer;
use backorderd::channel::Channel;
use backorderd::channel::ChannelProblem;
use backorderd::channel::Envelope;
use backorderd::channel::Session;
use backorderd::clock::Clock;
use backorderd::clock::SettableClock;
use backorderd::clock::SystemClock;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::outcome::Outcome;
use backorderd::store::sqlite::lock::LockAttempt;
use tokio_util::sync::CancellationToken;

use super::life::Lives;
use crate::home::Home;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

/// A channel with the worst kind of bug.
struct Panics;

impl Channel for Panics {
    fn name(&self) -> ChannelName {
        ChannelName::Email
    }
    fn max_sessions(&self) -> usize {
        1
    }
    fn per_minute(&self) -> u32 {
        600
    }
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async { Ok("fine".to_owned()) })
    }
    fn open(&self) -> Box<dyn Session> {
        Box::new(Panics)
    }
}

impl Session for Panics {
    fn send<'a>(&'a mut self, _: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async { panic!("a bug") })
    }
    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

#[test]
fn a_panic_while_sending_ends_the_delivery_and_leaves_a_doubt_to_settle() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    home.import(&[teapots("1042", in_days(31))]);
    let lives = Lives::from(SettableClock::at(SystemClock.now()));
    let ended = lives.block_on(async {
        let app = lives.app(&home).await;
        let channels = [(ChannelName::Email, Arc::new(Panics) as Arc<dyn Channel>)];
        let app = App {
            channels: Arc::new(channels.into()),
            ..app
        };
        let reviewed = app.review_due("review", "test", None).await;
        assert_eq!(reviewed.expect("a review").messages, 1);
        let Ok(LockAttempt::Taken(lock)) = app.store.try_delivery_lock() else {
            panic!("nobody else sends");
        };
        let enlisted = lives.enlist(&app).await;
        let (mut delivery, _) = Delivery::start(app, &enlisted, lock)
            .await
            .expect("open lanes");
        let stop = CancellationToken::new();
        let drained = delivery.drain(None, &stop, |_| ());
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, drained).await.expect("an end")
    });
    let error = ended.expect_err("a broken lane");
    assert!(matches!(error, AppError::LaneBroke) && error.is_fatal());
    assert_eq!(home.states(), [("submitting".to_owned(), 1)].into());

    // The next life does not know whether it went out, and says so.
    lives.once(&home);
    assert_eq!(home.states(), [("in_doubt".to_owned(), 1)].into());
    assert_eq!(relay.accepted().len(), 0);
}
