//! The database as a thing to look after: copied, backed up, migrated, moved,
//! restored, on a disk that is full. Real files, a real server, and the
//! program's own commands.

mod backup;
mod commands;
mod copy;
mod full_disk;
mod restore;
mod tls;
