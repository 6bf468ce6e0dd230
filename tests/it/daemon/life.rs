//! A daemon's lives at a clock of our own: what takes nights and days in a
//! shop takes no time in a test.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use backorderd::app::App;
use backorderd::app::deliver::Delivery;
use backorderd::app::worker::Enlisted;
use backorderd::clock::Clock;
use backorderd::clock::Ids;
use backorderd::clock::SettableClock;
use backorderd::domain::worker::Role;
use backorderd::store::sqlite::lock::LockAttempt;
use backorderd::wiring;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::home::Home;

/// Plays the lives of one home's daemon.
pub struct Lives {
    pub clock: SettableClock,
    runtime: Runtime,
    n_lives: AtomicU64,
}

impl Lives {
    pub fn from(clock: SettableClock) -> Lives {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Lives {
            clock,
            runtime,
            n_lives: AtomicU64::new(1),
        }
    }

    /// The program as its daemon would be wired now.
    pub async fn app(&self, home: &Home) -> App {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        wiring::app_with(
            &home.config(),
            clock,
            Ids::seeded(self.n_lives.fetch_add(1, Ordering::Relaxed)),
        )
        .await
        .expect("a wired program")
    }

    /// Makes a life known as a worker.
    pub async fn enlist(&self, app: &App) -> Enlisted {
        let enlisted = Enlisted::enlist(app, Role::All, None).await;
        enlisted.expect("an enlisted worker")
    }

    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// Starts, reviews what is due, delivers what is due, ends.
    pub fn once(&self, home: &Home) {
        self.block_on(async {
            let app = self.app(home).await;
            app.review_due("review", "test", None)
                .await
                .expect("a review");
            let Ok(LockAttempt::Taken(lock)) = app.store.try_delivery_lock() else {
                panic!("nobody else sends");
            };
            let enlisted = self.enlist(&app).await;
            let (mut delivery, _) = Delivery::start(app, &enlisted, lock)
                .await
                .expect("open lanes");
            let stop = CancellationToken::new();
            delivery
                .drain(None, &stop, |_| ())
                .await
                .expect("a delivery");
            delivery.stop().await;
            enlisted.leave().await.expect("a clean end");
        });
    }
}
