//! Ids of runs: short, in the order of time, and easy to say on the phone: `20261122-0314-k7f2`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Letters and digits that are not mistaken for one another: no `i`, `l`, `o`, `u`.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The id of a run that starts at this time; the random bytes tell runs of one minute apart.
pub fn run_id(at: Timestamp, random: [u8; 4]) -> String {
    let minute = at.to_zoned(TimeZone::UTC).strftime("%Y%m%d-%H%M").to_string();
    let tail: String = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
        .collect();
    format!("{minute}-{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_minute_and_four_letters() {
        let at: Timestamp = "2026-11-22T03:14:59Z".parse().unwrap();
        assert_eq!(run_id(at, [19, 7, 14, 2]), "20261122-0314-k7e2");
        assert_eq!(run_id(at, [0, 31, 32, 255]), "20261122-0314-0z0z");
    }
}
