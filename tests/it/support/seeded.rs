//! Chance that can be played again: the same seed gives the same sequence.

/// SplitMix64. Small, and enough to spread kill moments and faults evenly.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    /// Streams of one seed (one per connection, say) do not depend on the
    /// order in which they are drawn from.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True `per_mille` times in a thousand.
    pub fn happens(&mut self, per_mille: u16) -> bool {
        self.next() % 1_000 < u64::from(per_mille)
    }
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let draw = |seed, stream| {
        let mut chance = Seeded::new(seed, stream);
        (0..1_000).map(|_| chance.happens(200)).collect::<Vec<_>>()
    };
    assert_eq!(draw(1, 2), draw(1, 2));
    assert_ne!(draw(1, 2), draw(1, 3));
    let n = draw(7, 0).iter().filter(|hit| **hit).count();
    assert!((150..250).contains(&n), "{n} of 1000 instead of about 200");
}
