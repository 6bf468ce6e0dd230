//! What is expected of the shop's exports.

use super::forms::{length, table, whole};
use super::reader::Reader;
use super::units::Wrong;
use crate::domain::feed::{FeedPolicy, family};
use crate::domain::time::Length;

pub fn read(reader: &Reader) -> FeedPolicy {
    let section = reader.section("import");
    let every = || length(Length::mins(1)..=Length::days(400));
    let files = table(|entries| {
        let mut files = std::collections::BTreeMap::new();
        for (name, entry) in entries {
            // The name under which a file is remembered.
            let source = match name.contains('*') {
                true => (*name).to_owned(),
                false => family(name),
            };
            if name.contains('/') {
                let cure = "write the name of the file without its folder";
                return Err(vec![Wrong::new("this is a path", cure).into()]);
            }
            files.insert(source, every()(entry)?);
        }
        Ok(files)
    });
    FeedPolicy {
        expect_every: section.maybe("expect_every", every()),
        files: section.maybe("files", files).unwrap_or_default(),
        least_percent: section.wanted("least_percent", 0, whole(0..=100)),
    }
}
