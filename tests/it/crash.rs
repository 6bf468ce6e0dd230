//! kill -9 in the middle of sending, compared with the peer's ledger.
