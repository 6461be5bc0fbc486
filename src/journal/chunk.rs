//! Entries that were read many at once: fast enough to verify a million of them, and checked so that whatever does not fit is
//! read again one by one.

use super::verify::RowView;

/// Entries that follow on each other, as two texts: a head line for each, and everything they hold, one after the other.
pub struct Chunk {
    /// The number of the first.
    pub first: u64,
    /// How many there must be.
    pub count: u64,
    /// For each entry the ten numbers of [`Head`], with a blank between them; `;` between entries.
    pub heads: String,
    /// For each entry leaf, bytes, salt, payload, run, part and kind.
    pub data: Vec<u8>,
}

/// The numbers of a head: seven lengths in bytes (-1: there is none), then run sequence, wall time and sequence.
struct Head {
    lengths: [Option<usize>; 7],
    run_sequence: i64,
    at: i64,
    sequence: i64,
}

impl Head {
    fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse::<i64>);
        let mut number = || numbers.next()?.ok();
        let mut lengths = [None; 7];
        for length in &mut lengths {
            *length = match number()? {
                -1 => None,
                length => Some(usize::try_from(length).ok()?),
            };
        }
        let (run_sequence, at, sequence) = (number()?, number()?, number()?);
        numbers.next().is_none().then_some(Self {
            lengths,
            run_sequence,
            at,
            sequence,
        })
    }
}

impl Chunk {
    /// The entries in their order; `None` when it does not hold exactly those that it is to hold.
    pub fn rows(&self) -> Option<Vec<RowView<'_>>> {
        let mut rows = Vec::with_capacity(usize::try_from(self.count).ok()?);
        let mut rest = self.data.as_slice();
        for (sequence, text) in (self.first..).zip(self.heads.split(';')) {
            let head = Head::read(text)?;
            if u64::try_from(head.sequence) != Ok(sequence) {
                return None;
            }
            let mut part = |length: Option<usize>| -> Option<Option<&[u8]>> {
                let Some(length) = length else { return Some(None) };
                let (part, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(Some(part))
            };
            let [leaf, bytes, salt, body, run, word, kind] = head.lengths;
            let (leaf, bytes, salt, body) = (part(leaf)??, part(bytes)??, part(salt)?, part(body)?);
            let mut text = |length| std::str::from_utf8(part(length)??).ok();
            rows.push(RowView {
                sequence: head.sequence,
                run: text(run)?,
                run_sequence: head.run_sequence,
                part: text(word)?,
                kind: text(kind)?,
                at: head.at,
                bytes,
                leaf,
                salt,
                body,
            });
        }
        (rest.is_empty() && rows.len() as u64 == self.count).then_some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::Chunk;

    fn chunk() -> Chunk {
        Chunk {
            first: 7,
            count: 2,
            heads: "1 2 3 4 3 1 2 0 -5 7;0 1 -1 -1 3 1 2 1 9 8".to_owned(),
            data: b"LbbsssbodyrunpkkBrunqmm".to_vec(),
        }
    }

    #[test]
    fn a_chunk_holds_exactly_what_it_is_to_hold() {
        let chunk = chunk();
        let rows = chunk.rows().unwrap();
        assert_eq!(
            (rows[0].leaf, rows[0].bytes, rows[0].salt, rows[0].body),
            (&b"L"[..], &b"bb"[..], Some(&b"sss"[..]), Some(&b"body"[..]))
        );
        assert_eq!((rows[0].run, rows[0].part, rows[0].kind), ("run", "p", "kk"));
        assert_eq!((rows[0].sequence, rows[0].run_sequence, rows[0].at), (7, 0, -5));
        assert_eq!(
            (rows[1].salt, rows[1].body, rows[1].kind, rows[1].at),
            (None, None, "mm", 9)
        );
    }

    #[test]
    fn whatever_does_not_fit_is_no_chunk() {
        let wrong: [fn(&mut Chunk); 9] = [
            |chunk| chunk.first = 6,
            |chunk| chunk.count = 3,
            |chunk| chunk.count = 1,
            |chunk| chunk.heads.push_str(" 1"),
            |chunk| chunk.heads.push(';'),
            |chunk| chunk.heads = chunk.heads.replace("1 2 3 4", "1 2 3 -2"),
            |chunk| chunk.data.truncate(22),
            |chunk| chunk.data.push(0),
            |chunk| chunk.data[10] = 0xff,
        ];
        for (number, wrong) in wrong.iter().enumerate() {
            let mut changed = chunk();
            wrong(&mut changed);
            assert!(changed.rows().is_none(), "{number}");
        }
    }
}
