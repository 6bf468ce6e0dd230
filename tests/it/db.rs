//! The database as a thing to look after: copied, backed up, migrated, moved,
//! restored. Real files, a real server, and the program's own commands.

mod copy;
