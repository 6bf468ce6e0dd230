//! Which steps of the schema are taken on the way and which are asked for.
//!
//! A migration's number says how big the step is: numbers of the same hundred
//! (1 to 99, 100 to 199, …) are small steps, taken by `serve` and every writing
//! command when they open the database. The first number of a new hundred is a
//! step that takes long, needs room, or cannot be undone by the program from
//! before; only `backorderd db migrate` takes it, when a person says so.
//! `docs/decisions/011` has the reasons.

use crate::store::types::StoreError;

/// What stands between the schema that was found and the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the one that is known.
    None,
    /// There is no schema yet, or only small steps are missing.
    Small,
    /// A person has to say so.
    Big,
    /// A newer program was here.
    Back,
}

/// From the highest migration found (0 where there is none) to the highest
/// known.
pub fn step(found: i64, known: i64) -> Step {
    if found == known {
        Step::None
    } else if found > known {
        Step::Back
    } else if found == 0 || found / 100 == known / 100 {
        Step::Small
    } else {
        Step::Big
    }
}

/// How far an opening may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// As the commands of every day.
    Small,
    /// A person said so.
    Big,
}

/// Whether there is anything to migrate.
///
/// # Errors
/// [`StoreError::NewerSchema`], [`StoreError::BigStep`].
pub fn wants_migration(found: i64, known: i64, may: May) -> Result<bool, StoreError> {
    match (step(found, known), may) {
        (Step::None, _) => Ok(false),
        (Step::Small, _) | (Step::Big, May::Big) => Ok(true),
        (Step::Big, May::Small) => Err(StoreError::BigStep { found, known }),
        (Step::Back, _) => Err(StoreError::NewerSchema { found, known }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_hundred_is_a_step_for_people() {
        for (found, known, is) in [
            (0, 1, Step::Small),
            (0, 100, Step::Small),
            (1, 1, Step::None),
            (1, 2, Step::Small),
            (1, 99, Step::Small),
            (1, 100, Step::Big),
            (99, 100, Step::Big),
            (100, 103, Step::Small),
            (199, 204, Step::Big),
            (2, 1, Step::Back),
        ] {
            assert_eq!(step(found, known), is, "{found} to {known}");
        }
        assert!(matches!(
            wants_migration(1, 100, May::Small),
            Err(StoreError::BigStep { .. })
        ));
        assert!(wants_migration(1, 100, May::Big).unwrap());
    }
}
