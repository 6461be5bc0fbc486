//! Entries that were read many at once: fast enough to verify a million of them, and checked so that whatever does not fit is
//! read again one by one.

use super::verify::RowView;

/// Bytes of a leaf hash, and of a salt.
const DIGEST: usize = 32;

/// Entries that follow on each other, column by column.
pub struct Chunk {
    /// The number of the first.
    pub first: u64,
    /// How many there must be.
    pub count: u64,
    /// Lengths of the entries in bytes, lengths of their payloads (-1: there is none), run sequences, wall times, sequences: of each
    /// entry one, with a blank between them.
    pub numbers: [String; 5],
    /// Runs, parts and kinds: of each entry one, with `;` between them.
    pub words: [String; 3],
    /// Leaves, bytes, salts and payloads, one after the other in a column of their own; or one column, in which those of an entry stand
    /// together. Leaves and salts have 32 bytes.
    pub data: Vec<Vec<u8>>,
}

impl Chunk {
    /// The entries in their order; `None` when it does not hold exactly those that it is to hold.
    pub fn rows(&self) -> Option<Vec<RowView<'_>>> {
        let mut rows = Vec::new();
        let mut numbers = self.numbers.each_ref().map(|column| column.split(' '));
        let mut words = self.words.each_ref().map(|column| column.split(';'));
        let mut data: Vec<&[u8]> = self.data.iter().map(Vec::as_slice).collect();
        let last = data.len().checked_sub(1).filter(|last| matches!(last, 0 | 3))?;
        for expected in self.first..self.first.checked_add(self.count)? {
            let mut number = |column: usize| numbers[column].next()?.parse::<i64>().ok();
            let bytes = usize::try_from(number(0)?).ok()?;
            let body = match number(1)? {
                -1 => None,
                length => Some(usize::try_from(length).ok()?),
            };
            let (run_sequence, at, sequence) = (number(2)?, number(3)?, number(4)?);
            if u64::try_from(sequence) != Ok(expected) {
                return None;
            }
            let mut cell = |column: usize, length: usize| -> Option<&[u8]> {
                let rest = &mut data[column.min(last)];
                let (cell, after) = rest.split_at_checked(length)?;
                *rest = after;
                Some(cell)
            };
            let (leaf, bytes) = (cell(0, DIGEST)?, cell(1, bytes)?);
            let (salt, body) = match body {
                None => (None, None),
                Some(length) => (Some(cell(2, DIGEST)?), Some(cell(3, length)?)),
            };
            rows.push(RowView {
                sequence,
                run: words[0].next()?,
                run_sequence,
                part: words[1].next()?,
                kind: words[2].next()?,
                at,
                bytes,
                leaf,
                salt,
                body,
            });
        }
        let used = numbers.iter_mut().all(|column| column.next().is_none())
            && words.iter_mut().all(|column| column.next().is_none());
        (used && data.iter().all(|rest| rest.is_empty())).then_some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::Chunk;

    const LEAVES: [&[u8]; 2] = [&[1; 32], &[2; 32]];
    const SALT: [u8; 32] = [3; 32];

    fn chunk(together: bool) -> Chunk {
        let columns = [LEAVES.concat(), b"bbB".to_vec(), SALT.to_vec(), b"body".to_vec()];
        let all = [LEAVES[0], &b"bb"[..], &SALT, b"body", LEAVES[1], b"B"].concat();
        Chunk {
            first: 7,
            count: 2,
            numbers: ["2 1", "4 -1", "0 1", "-5 9", "7 8"].map(str::to_owned),
            words: ["run;run", "p;q", "kk;mm"].map(str::to_owned),
            data: if together { vec![all] } else { columns.to_vec() },
        }
    }

    #[test]
    fn a_chunk_holds_exactly_what_it_is_to_hold() {
        for together in [true, false] {
            let chunk = chunk(together);
            let rows = chunk.rows().unwrap();
            assert_eq!(
                (rows[0].leaf, rows[0].bytes, rows[0].salt, rows[0].body),
                (LEAVES[0], &b"bb"[..], Some(&SALT[..]), Some(&b"body"[..]))
            );
            assert_eq!((rows[0].run, rows[0].part, rows[0].kind), ("run", "p", "kk"));
            assert_eq!((rows[0].sequence, rows[0].run_sequence, rows[0].at), (7, 0, -5));
            assert_eq!((rows[1].leaf, rows[1].bytes), (LEAVES[1], &b"B"[..]));
            assert_eq!(
                (rows[1].salt, rows[1].body, rows[1].part, rows[1].kind, rows[1].at),
                (None, None, "q", "mm", 9)
            );
        }
    }

    #[test]
    fn whatever_does_not_fit_is_no_chunk() {
        let wrong: [fn(&mut Chunk); 15] = [
            |chunk| chunk.first = 6,
            |chunk| chunk.count = 3,
            |chunk| chunk.count = 1,
            |chunk| chunk.count = u64::MAX,
            |chunk| chunk.numbers[0].push_str(" 1"),
            |chunk| chunk.numbers[0] = "2 -1".to_owned(),
            |chunk| chunk.numbers[1] = "4 -2".to_owned(),
            |chunk| chunk.numbers[3] = "-5 x".to_owned(),
            |chunk| chunk.numbers[4] = "8 7".to_owned(),
            // A word with the sign in it.
            |chunk| chunk.words[0] = "ru;n;run".to_owned(),
            |chunk| chunk.words[2] = "kkmm".to_owned(),
            |chunk| chunk.data[0].truncate(34),
            |chunk| chunk.data[0].push(0),
            |chunk| chunk.data.clear(),
            |chunk| chunk.data.push(Vec::new()),
        ];
        for together in [true, false] {
            for (number, wrong) in wrong.iter().enumerate() {
                let mut changed = chunk(together);
                wrong(&mut changed);
                assert!(changed.rows().is_none(), "{number}");
            }
        }
    }
}
