//! An entry of the log as bytes: one definite-length CBOR array, shortest forms only, so that there is exactly one way to
//! write an entry. The bytes are stored and hashed as they are; nothing is written again to be verified.

use super::event::Part;
use super::tree::Digest;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use std::convert::Infallible;

/// The version of the layout; the first item of every entry.
pub const FORMAT: u64 = 1;

/// Number of items in the array.
const ITEMS: u64 = 20;

/// What an entry says. The payload (the event itself) lies apart and is committed by `payload`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which log this belongs to: random, drawn when the store is made.
    pub origin: [u8; 16],
    /// Number in the log, from 0, without gaps.
    pub sequence: u64,
    pub run: String,
    /// Number in the run, from 0, without gaps.
    pub run_sequence: u64,
    pub part: Part,
    pub kind: String,
    /// Path of called runbooks; empty for the outermost.
    pub scope: String,
    pub actor: String,
    pub digests: Digests,
    pub tool_version: String,
    /// Wall time, nanoseconds since 1970 in UTC. For people; nothing is ordered or decided by it.
    pub wall_nanoseconds: i64,
    /// Which start of the machine, as the kernel names it; empty where it does not.
    pub boot: String,
    /// Time since that start, nanoseconds; never goes back.
    pub boot_nanoseconds: u64,
    /// The lease's epoch under which this was written.
    pub epoch: u64,
    /// SHA-256 over the 32 salt bytes and the payload.
    pub payload: Digest,
    /// The previous entry's leaf hash; zeros for the first.
    pub previous: Digest,
}

/// What a run rests on. `None` where there is no such thing (yet).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Digests {
    pub runbook: Option<Digest>,
    pub plan: Option<Digest>,
    /// The lock file of the modules.
    pub modules: Option<Digest>,
    pub policy: Option<Digest>,
}

impl Entry {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(384);
        self.view().write_to(&mut bytes);
        bytes
    }

    /// Reads canonical bytes; anything that [`Entry::encode`] would have written otherwise is refused, with the reason.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        View::decode(bytes, &mut Vec::new()).map(|view| view.to_entry())
    }

    fn view(&self) -> View<'_> {
        View {
            origin: self.origin,
            sequence: self.sequence,
            run: &self.run,
            run_sequence: self.run_sequence,
            part: self.part,
            kind: &self.kind,
            scope: &self.scope,
            actor: &self.actor,
            digests: self.digests.clone(),
            tool_version: &self.tool_version,
            wall_nanoseconds: self.wall_nanoseconds,
            boot: &self.boot,
            boot_nanoseconds: self.boot_nanoseconds,
            epoch: self.epoch,
            payload: self.payload,
            previous: self.previous,
        }
    }
}

/// The same as [`Entry`], with its texts where the bytes have them: reading a million entries allocates nothing.
pub struct View<'b> {
    pub origin: [u8; 16],
    pub sequence: u64,
    pub run: &'b str,
    pub run_sequence: u64,
    pub part: Part,
    pub kind: &'b str,
    pub scope: &'b str,
    pub actor: &'b str,
    pub digests: Digests,
    pub tool_version: &'b str,
    pub wall_nanoseconds: i64,
    pub boot: &'b str,
    pub boot_nanoseconds: u64,
    pub epoch: u64,
    pub payload: Digest,
    pub previous: Digest,
}

impl<'b> View<'b> {
    /// Reads canonical bytes as [`Entry::decode`] does. What `scratch` holds does not matter; its memory is used.
    pub fn decode(bytes: &'b [u8], scratch: &mut Vec<u8>) -> Result<Self, String> {
        let view = Self::read(&mut Decoder::new(bytes)).map_err(|Unreadable(why)| why)?;
        scratch.clear();
        view.write_to(scratch);
        if scratch.as_slice() == bytes {
            Ok(view)
        } else {
            Err("the bytes are not in the one canonical form".to_owned())
        }
    }

    fn to_entry(&self) -> Entry {
        Entry {
            origin: self.origin,
            sequence: self.sequence,
            run: self.run.to_owned(),
            run_sequence: self.run_sequence,
            part: self.part,
            kind: self.kind.to_owned(),
            scope: self.scope.to_owned(),
            actor: self.actor.to_owned(),
            digests: self.digests.clone(),
            tool_version: self.tool_version.to_owned(),
            wall_nanoseconds: self.wall_nanoseconds,
            boot: self.boot.to_owned(),
            boot_nanoseconds: self.boot_nanoseconds,
            epoch: self.epoch,
            payload: self.payload,
            previous: self.previous,
        }
    }

    fn write_to(&self, bytes: &mut Vec<u8>) {
        if let Err(error) = self.write(&mut Encoder::new(bytes)) {
            unreachable!("writing to memory: {error}");
        }
    }

    fn write(&self, to: &mut Encoder<&mut Vec<u8>>) -> Result<(), minicbor::encode::Error<Infallible>> {
        to.array(ITEMS)?
            .u64(FORMAT)?
            .bytes(&self.origin)?
            .u64(self.sequence)?
            .str(self.run)?
            .u64(self.run_sequence)?
            .str(self.part.word())?
            .str(self.kind)?
            .str(self.scope)?
            .str(self.actor)?;
        for digest in self.digests.all() {
            to.bytes(digest.as_ref().map_or(&[], |digest| &digest[..]))?;
        }
        to.str(self.tool_version)?
            .i64(self.wall_nanoseconds)?
            .str(self.boot)?
            .u64(self.boot_nanoseconds)?
            .u64(self.epoch)?
            .bytes(&self.payload)?
            .bytes(&self.previous)?;
        Ok(())
    }

    fn read(from: &mut Decoder<'b>) -> Result<Self, Unreadable> {
        if from.array()? != Some(ITEMS) {
            return Err(Unreadable(format!("not an array of {ITEMS} items")));
        }
        let format = from.u64()?;
        if format != FORMAT {
            return Err(Unreadable(format!("format {format}, this version reads {FORMAT}")));
        }
        let view = Self {
            origin: fixed(from)?,
            sequence: from.u64()?,
            run: from.str()?,
            run_sequence: from.u64()?,
            part: {
                let word = from.str()?;
                Part::from_word(word)
                    .ok_or_else(|| Unreadable(format!("no part is called `{}`", word.escape_debug())))?
            },
            kind: from.str()?,
            scope: from.str()?,
            actor: from.str()?,
            digests: Digests {
                runbook: digest(from)?,
                plan: digest(from)?,
                modules: digest(from)?,
                policy: digest(from)?,
            },
            tool_version: from.str()?,
            wall_nanoseconds: from.i64()?,
            boot: from.str()?,
            boot_nanoseconds: from.u64()?,
            epoch: from.u64()?,
            payload: fixed(from)?,
            previous: fixed(from)?,
        };
        match from.datatype() {
            Err(error) if error.is_end_of_input() => Ok(view),
            _ => Err(Unreadable("there are bytes behind the entry".to_owned())),
        }
    }
}

impl Digests {
    fn all(&self) -> [&Option<Digest>; 4] {
        [&self.runbook, &self.plan, &self.modules, &self.policy]
    }
}

impl Part {
    /// The part as a word.
    pub fn word(self) -> &'static str {
        match self {
            Part::Situation => "situation",
            Part::Task => "task",
            Part::Action => "action",
            Part::Result => "result",
            Part::Reflection => "reflection",
        }
    }

    /// The part of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Part::Situation,
            Part::Task,
            Part::Action,
            Part::Result,
            Part::Reflection,
        ]
        .into_iter()
        .find(|part| part.word() == word)
    }
}

struct Unreadable(String);

impl From<minicbor::decode::Error> for Unreadable {
    fn from(error: minicbor::decode::Error) -> Self {
        Self(error.to_string())
    }
}

fn fixed<const N: usize>(from: &mut Decoder<'_>) -> Result<[u8; N], Unreadable> {
    let bytes = definite_bytes(from)?;
    bytes
        .try_into()
        .map_err(|_| Unreadable(format!("{} bytes where {N} are due", bytes.len())))
}

fn digest(from: &mut Decoder<'_>) -> Result<Option<Digest>, Unreadable> {
    let bytes = definite_bytes(from)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let length = bytes.len();
    let digest = bytes
        .try_into()
        .map_err(|_| Unreadable(format!("{length} bytes where a digest is due")))?;
    Ok(Some(digest))
}

fn definite_bytes<'b>(from: &mut Decoder<'b>) -> Result<&'b [u8], Unreadable> {
    if from.datatype()? == Type::BytesIndef {
        return Err(Unreadable("bytes of indefinite length".to_owned()));
    }
    Ok(from.bytes()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry {
            origin: [7; 16],
            sequence: 300,
            run: "20261122-0314-k7f2".to_owned(),
            run_sequence: 2,
            part: Part::Action,
            kind: "intent".to_owned(),
            scope: String::new(),
            actor: "starr".to_owned(),
            digests: Digests {
                runbook: Some([1; 32]),
                ..Digests::default()
            },
            tool_version: "0.1.0".to_owned(),
            wall_nanoseconds: 1_795_317_240_000_000_000,
            boot: "b".to_owned(),
            boot_nanoseconds: 5,
            epoch: 1,
            payload: [2; 32],
            previous: [3; 32],
        }
    }

    #[test]
    fn the_bytes_are_these() {
        let expected = [
            "94",
            "01",
            "50 07070707070707070707070707070707",
            "19012c",
            "72 32303236313132322d303331342d6b376632",
            "02",
            "66 616374696f6e",
            "66 696e74656e74",
            "60",
            "65 7374617272",
            "5820 0101010101010101010101010101010101010101010101010101010101010101",
            "40",
            "40",
            "40",
            "65 302e312e30",
            "1b 18ea3f848d55b000",
            "61 62",
            "05",
            "01",
            "5820 0202020202020202020202020202020202020202020202020202020202020202",
            "5820 0303030303030303030303030303030303030303030303030303030303030303",
        ]
        .concat()
        .replace(' ', "");
        assert_eq!(hex::encode(entry().encode()), expected);
        assert_eq!(Entry::decode(&entry().encode()), Ok(entry()));
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let bytes = entry().encode();
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(
            Entry::decode(&longer),
            Err("there are bytes behind the entry".to_owned())
        );
        // The format version in two bytes where one is enough.
        let wide = [&bytes[..1], &[0x18, 0x01], &bytes[2..]].concat();
        assert_eq!(
            Entry::decode(&wide),
            Err("the bytes are not in the one canonical form".to_owned())
        );
        let mut next = bytes.clone();
        next[1] = 2;
        assert_eq!(Entry::decode(&next), Err("format 2, this version reads 1".to_owned()));
        for length in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..length]).is_err(), "cut to {length}");
        }
    }

    proptest! {
        #[test]
        fn what_can_be_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }

        #[test]
        fn one_changed_byte_never_reads_as_the_same_entry(at in 0_usize..300, bit in 0_u8..8) {
            let mut bytes = entry().encode();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(Entry::decode(&bytes), Ok(entry()));
        }
    }
}
