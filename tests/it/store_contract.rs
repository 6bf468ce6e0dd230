//! What the store promises, held against every back end.
//!
//! A case is a sentence that must be true; it builds its situation through the
//! real road (rows, merge, plan, bundle, the store's own verbs) and looks at
//! the result through the reading handle, with plain SQL only where no reader
//! shows it. [`stage`] opens the back ends; a further one is a variant there,
//! and every case runs over it unchanged.

/// Cases, each run once per back end; a case that is not named here is an
/// unused function, which the compiler reports.
macro_rules! promises {
    ($($case:ident),* $(,)?) => {
        mod promise {$(
            #[test]
            fn $case() {
                let case = stringify!($case);
                $crate::store_contract::stage::on_every_back_end(case, super::$case);
            }
        )*}
    };
}

mod by_hand;
mod claim;
mod give_way;
mod group;
mod invariants;
mod lists;
mod lost;
mod mark;
mod mirror;
mod operate;
mod planners;
mod plans;
mod props;
mod receipts;
mod record;
mod rest;
mod review;
mod schema;
mod settle;
mod stage;
mod suppressions;
mod together;
mod verdicts;
mod workers;
