//! Random bytes of a world: the system's, and a fixed sequence.

use super::world::Randomness;
use std::sync::atomic::{AtomicU64, Ordering};

/// The operating system's random numbers.
#[derive(Debug, Default)]
pub struct System;

impl Randomness for System {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has random numbers");
    }
}

/// The same bytes every time: for scenarios and tests, never for keys.
#[derive(Debug)]
pub struct Fixed(AtomicU64);

impl Fixed {
    /// The sequence that begins with this seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Randomness for Fixed {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix per number.
            let mut z = self
                .0
                .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
                .wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_and_goes_on() {
        let (one, two) = (Fixed::new(7), Fixed::new(7));
        let (mut a, mut b, mut c) = ([0; 20], [0; 20], [0; 20]);
        one.fill(&mut a);
        two.fill(&mut b);
        one.fill(&mut c);
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
