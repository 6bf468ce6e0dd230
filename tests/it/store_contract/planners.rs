//! Several planners on one database: who plans for whom, and the brake they
//! share.

use super::props::{MONDAY, address, at, eta, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::contact::EmailAddress;
use backorderd::domain::ids::OrderId;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::types::{Brake, Review};
use std::collections::BTreeSet;

promises![
    two_planners_at_once_never_have_the_same_customer,
    a_planners_customer_is_free_again_when_the_plan_is_written,
    a_plan_for_a_customer_somebody_else_has_is_not_written,
    whom_a_dead_planner_has_is_free,
    whom_a_planner_leaves_out_is_free_at_once,
    what_a_planner_lost_it_takes_again,
    certain_orders_are_taken_unless_their_customer_is_taken,
    two_planners_together_do_not_pass_the_brake,
    over_the_brake_the_rest_is_collected_in_one_run,
];

fn orders(n: u32) -> Vec<Row> {
    (1..=n)
        .map(|i| teapots(&format!("L{i}"), &format!("{}", 1000 + i)))
        .collect()
}

async fn due(stage: &Stage, by: u128, limit: u32) -> BTreeSet<OrderId> {
    let taken = stage.store.take_due(worker(by), at(MONDAY), limit).await;
    taken.unwrap().into_iter().collect()
}

fn mail(customer: u32) -> EmailAddress {
    EmailAddress::parse(&address(&customer.to_string())).expect("an address")
}

/// Two orders each of so many customers.
async fn customers_of_two(stage: &Stage, n: u32) {
    let rows: Vec<Row> = (1..=2 * n)
        .map(|i| Row {
            email: Some(mail(1 + (i - 1) % n)),
            ..teapots(&format!("L{i}"), &format!("{}", 1000 + i))
        })
        .collect();
    stage.announce(&rows, MONDAY).await;
}

async fn customers_of(stage: &Stage, orders: &BTreeSet<OrderId>) -> BTreeSet<i64> {
    let orders: Vec<OrderId> = orders.iter().copied().collect();
    let read = stage.situations(&orders, MONDAY).await;
    read.iter()
        .map(|r| r.situation.order.contact_id.0)
        .collect()
}

async fn two_planners_at_once_never_have_the_same_customer(stage: Stage) {
    customers_of_two(&stage, 10).await;
    let other = stage.another_store().await;
    let all: BTreeSet<OrderId> = stage.due(MONDAY).await.into_iter().collect();
    assert_eq!(all.len(), 20);
    if let BackEnd::Sqlite = stage.back_end() {
        // One process plans at a time; nothing is written.
        assert_eq!(due(&stage, 1, 100).await, all);
        assert_eq!(due(&stage, 2, 100).await, all);
        return;
    }
    let (a, b) = tokio::join!(
        stage.store.take_due(worker(1), at(MONDAY), 6),
        other.take_due(worker(2), at(MONDAY), 6),
    );
    let a: BTreeSet<OrderId> = a.unwrap().into_iter().collect();
    let b: BTreeSet<OrderId> = b.unwrap().into_iter().collect();
    assert!(!a.is_empty() && !b.is_empty(), "{a:?} {b:?}");
    let (of_a, of_b) = (
        customers_of(&stage, &a).await,
        customers_of(&stage, &b).await,
    );
    assert!(of_a.is_disjoint(&of_b));
    // Both orders of everybody, whatever the limit says.
    assert_eq!((a.len(), b.len()), (2 * of_a.len(), 2 * of_b.len()));
    let rest = due(&stage, 3, 100).await;
    assert_eq!(a.len() + b.len() + rest.len(), 20);
    assert!(due(&stage, 4, 100).await.is_empty());
    // They are all still due: nobody has written anything.
    assert_eq!(stage.due(MONDAY).await.len(), 20);
}

async fn planned(stage: &Stage, orders: &BTreeSet<OrderId>, by: u128) -> Review {
    let orders: Vec<OrderId> = orders.iter().copied().collect();
    Review {
        planner: Some(worker(by)),
        ..stage.plan_orders(&orders, MONDAY).await
    }
}

async fn a_planners_customer_is_free_again_when_the_plan_is_written(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let mine = due(&stage, 1, 1).await;
    let review = planned(&stage, &mine, 1).await;
    let written = stage.commit(review, MONDAY).await;
    assert!(written.stale.is_empty() && !written.messages.is_empty());
    let leases = "SELECT count(*) FROM contacts WHERE planned_by IS NOT NULL";
    assert_eq!(stage.number(leases).await, 0);
    let rows = [Row {
        eta: Some(eta("2026-04-20")),
        email: Some(mail(1)),
        ..teapots("L1", "1001")
    }];
    stage.import(&rows, MONDAY).await;
    assert!(
        due(&stage, 2, 100)
            .await
            .contains(&stage.order("1001").await)
    );
}

async fn a_plan_for_a_customer_somebody_else_has_is_not_written(stage: Stage) {
    if let BackEnd::Sqlite = stage.back_end() {
        return one_process_plans(&stage).await;
    }
    customers_of_two(&stage, 1).await;
    let mine = due(&stage, 1, 10).await;
    let review = planned(&stage, &mine, 1).await;
    // The minute is over, and another planner takes the customer.
    let over = "UPDATE contacts SET planned_until = planned_until - 60001";
    assert_eq!(stage.force(over).await.unwrap(), 1);
    assert_eq!(due(&stage, 2, 10).await, mine);
    let written = stage.commit(review, MONDAY).await;
    assert_eq!((written.stale.len(), written.messages.len()), (2, 0));
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    // The other one still has it, and is not disturbed.
    let review = planned(&stage, &mine, 2).await;
    assert!(stage.commit(review, MONDAY).await.stale.is_empty());
    // Nor is a plan written whose lease nobody took, but which is over.
    let written = stage.commit(planned(&stage, &mine, 2).await, MONDAY).await;
    assert_eq!(written.stale.len(), 2);
}

/// With a file a plan needs no leases.
async fn one_process_plans(stage: &Stage) {
    customers_of_two(stage, 1).await;
    let all = stage.due(MONDAY).await.into_iter().collect();
    let review = planned(stage, &all, 1).await;
    assert!(stage.commit(review, MONDAY).await.stale.is_empty());
}

async fn whom_a_dead_planner_has_is_free(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let first = due(&stage, 1, 1).await;
    let all: BTreeSet<OrderId> = stage.due(MONDAY).await.into_iter().collect();
    if let BackEnd::Postgres = stage.back_end() {
        assert!(due(&stage, 2, 100).await.is_disjoint(&first));
    }
    stage.dies(1).await;
    let of_the_dead: BTreeSet<OrderId> = due(&stage, 3, 100).await;
    assert!(of_the_dead.is_superset(&first));
    stage.dies(2).await;
    assert_eq!(due(&stage, 3, 100).await, all);
    // And what the dead one makes of it is not written.
    if let BackEnd::Postgres = stage.back_end() {
        let review = planned(&stage, &first, 1).await;
        assert_eq!(stage.commit(review, MONDAY).await.stale.len(), first.len());
    }
}

async fn whom_a_planner_leaves_out_is_free_at_once(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let all: Vec<OrderId> = stage.due(MONDAY).await;
    let taken = stage.store.take_orders(worker(1), &all).await.unwrap();
    assert_eq!(taken, all);
    // Only whose they are may say so.
    for (by, is_free) in [(2, false), (1, true)] {
        stage.store.leave_orders(worker(by), &all).await.unwrap();
        if is_free || matches!(stage.back_end(), BackEnd::Postgres) {
            assert_eq!(!due(&stage, 3, 100).await.is_empty(), is_free, "by {by}");
        }
    }
}

async fn what_a_planner_lost_it_takes_again(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let all: BTreeSet<OrderId> = stage.due(MONDAY).await.into_iter().collect();
    assert_eq!(due(&stage, 1, 100).await, all);
    // The answer never arrived, or the plan could not be written.
    assert_eq!(due(&stage, 1, 100).await, all);
    let review = planned(&stage, &all, 1).await;
    assert!(stage.commit(review, MONDAY).await.stale.is_empty());
}

async fn certain_orders_are_taken_unless_their_customer_is_taken(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let all: Vec<OrderId> = stage.due(MONDAY).await;
    let taken = due(&stage, 1, 1).await;
    let read = async |by| {
        let taken = stage.store.take_orders(worker(by), &all).await.unwrap();
        taken.into_iter().collect::<BTreeSet<OrderId>>()
    };
    match stage.back_end() {
        BackEnd::Sqlite => assert_eq!(read(2).await.len(), all.len()),
        BackEnd::Postgres => {
            let rest = read(2).await;
            assert_eq!((taken.len(), rest.len()), (2, 2));
            assert!(taken.is_disjoint(&rest));
            assert_eq!(read(2).await, rest, "asking again is harmless");
            assert_eq!(read(1).await, taken);
            assert!(read(3).await.is_empty());
        }
    }
}

fn limit(n: u64) -> Option<Brake> {
    Some(Brake {
        since: at(MONDAY).minus(Length::hours(1)),
        limit: n,
    })
}

async fn two_planners_together_do_not_pass_the_brake(stage: Stage) {
    const N: u32 = 40;
    stage.announce(&orders(N), MONDAY).await;
    let all = stage.due(MONDAY).await;
    let other = stage.another_store().await;
    let mut both = tokio::task::JoinSet::new();
    for (part, store) in all.chunks(N as usize / 2).zip([stage.store.clone(), other]) {
        // Batches of four, each of which alone is far below the limit.
        let mut reviews = Vec::new();
        for orders in part.chunks(4) {
            let review = stage.plan_orders(orders, MONDAY).await;
            reviews.push(Review {
                brake: limit(20),
                ..review
            });
        }
        both.spawn(async move {
            for review in reviews {
                store.commit_review(review, at(MONDAY)).await.unwrap();
            }
        });
    }
    while let Some(done) = both.join_next().await {
        done.unwrap();
    }
    let free = "SELECT count(*) FROM messages WHERE held = FALSE";
    assert_eq!(stage.number(free).await, 20);
    let held = "SELECT count(*) FROM messages WHERE held = TRUE";
    assert_eq!(stage.number(held).await, i64::from(N) - 20);
    let runs = "SELECT count(*) FROM runs WHERE state = 'held'";
    assert_eq!(stage.number(runs).await, 1, "a person decides once");
}

async fn over_the_brake_the_rest_is_collected_in_one_run(stage: Stage) {
    stage.announce(&orders(6), MONDAY).await;
    let all = stage.due(MONDAY).await;
    let mut held = Vec::new();
    for orders in all.chunks(2) {
        let review = stage.plan_orders(orders, MONDAY).await;
        let written = stage.commit(
            Review {
                brake: limit(2),
                ..review
            },
            MONDAY,
        );
        held.push(written.await.held);
    }
    assert_eq!(held, [false, true, true]);
    let collected = "SELECT messages FROM runs WHERE state = 'held'";
    assert_eq!(stage.number(collected).await, 4);
}
