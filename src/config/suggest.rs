//! "Did you mean": the known name nearest to one that is not known.

use super::layers::PREFIX;

/// The nearest of the known paths: first by the whole path, then by its last
/// part alone (a setting written into the wrong section). `None` when nothing
/// is near enough to be worth naming.
pub fn nearest<'a>(path: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let limit = |word: &str| 1 + word.chars().count() / 4;
    let leaf = |path: &'a str| path.rsplit('.').next().unwrap_or(path);
    let own_leaf = path.rsplit('.').next().unwrap_or(path);
    let same_section = |known: &&str| {
        known.rsplit_once('.').map(|(section, _)| section)
            == path.rsplit_once('.').map(|(section, _)| section)
    };
    let best = |candidates: &mut dyn Iterator<Item = (usize, &'a str)>| {
        candidates
            .filter(|(distance, _)| *distance <= limit(own_leaf))
            .min()
            .map(|(_, name)| name)
    };
    let by_leaf = |name: &'a str| (distance(own_leaf, leaf(name)), name);
    best(&mut known.clone().filter(same_section).map(by_leaf))
        .or_else(|| best(&mut known.clone().map(|name| (distance(path, name), name))))
        .or_else(|| best(&mut known.map(by_leaf)))
}

/// The environment variable that sets a path.
pub fn variable_name(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").to_uppercase())
}

/// Insertions, deletions, exchanged and swapped letters between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let exchanged = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = exchanged.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_name_is_suggested_and_nothing_far_fetched() {
        let known = [
            "mode",
            "delay.settle",
            "delay.threshold_days",
            "sooner.threshold_days",
            "email.port",
        ];
        for (path, expected) in [
            ("delay.setle", Some("delay.settle")),
            ("delay.treshold_day", Some("delay.threshold_days")),
            ("sooner.threshhold_days", Some("sooner.threshold_days")),
            ("deley.settle", Some("delay.settle")),
            ("settle", Some("delay.settle")),
            ("shop.mode", Some("mode")),
            ("emial.prot", Some("email.port")),
            ("colour", None),
        ] {
            assert_eq!(nearest(path, known.into_iter()), expected, "{path}");
        }
        assert_eq!(
            variable_name("email.limits.dot"),
            "BACKORDERD__EMAIL__LIMITS__DOT"
        );
    }
}
