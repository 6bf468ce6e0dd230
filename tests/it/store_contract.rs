//! What the store promises, held against every back end.
//!
//! A case is a sentence that must be true; it builds its situation through the
//! real road (rows, merge, plan, bundle, the store's own verbs) and looks at
//! the result through the reading handle, with plain SQL only where no reader
//! shows it. [`stage`] opens the back ends; a further one is a variant there,
//! and every case runs over it unchanged.

/// Cases, each run once per back end.
macro_rules! promises {
    ($($(#[$meta:meta])* async fn $name:ident($stage:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            $crate::store_contract::stage::on_every_back_end(|$stage| async move {
                // Whole: a block that names one field would take only that along.
                let $stage = $stage;
                $body
            });
        }
    )*};
}

mod claim;
mod group;
mod lists;
mod mark;
mod mirror;
mod operate;
mod record;
mod review;
mod settle;
mod stage;
