//! Checkpoints: a log's name, its size and its root as the text of a signed note, in the form of C2SP *tlog-checkpoint*.

use super::note::{Note, Signer};
use super::tree::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What the origin line of a journal begins with; the log's random name follows, hexadecimal.
const ORIGIN: &str = "starr/";

/// Digits of the root in a line for people. 128 bits: nobody finds a second log that has the same.
pub const SHORT_ROOT: usize = 32;

/// A tree head: which log, how many entries, which root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The origin line.
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

impl Checkpoint {
    /// The head of the journal with this random name.
    pub fn new(origin: &[u8], size: u64, root: Digest) -> Self {
        Self {
            origin: origin_line(origin),
            size,
            root,
        }
    }

    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// Reads the text of a note. Extension lines are accepted and not looked at.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("not a checkpoint: {what}");
        let lines = text
            .strip_suffix('\n')
            .ok_or_else(|| wrong("the last line does not end"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(wrong("it has fewer than three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(wrong("it has an empty line"));
        }
        let number: u64 = size.parse().map_err(|_| wrong("the size is not a number"))?;
        if number.to_string() != size {
            return Err(wrong("the size is not in its one form"));
        }
        let root = STANDARD
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or_else(|| wrong("the root is not 32 bytes in base64"))?;
        Ok(Self {
            origin: origin.to_owned(),
            size: number,
            root,
        })
    }

    /// The checkpoint of a note, with the note.
    pub fn of_note(bytes: &[u8]) -> Result<(Self, Note), String> {
        let note = Note::parse(bytes)?;
        Ok((Self::parse(&note.text)?, note))
    }

    /// Signed by these keys, one line each.
    pub fn signed(&self, signers: &[&Signer]) -> Note {
        let mut note = Note {
            text: self.text(),
            signatures: Vec::new(),
        };
        for signer in signers {
            note.sign(signer);
        }
        note
    }

    /// The line that people paste into a ticket: origin, size, the first half of the root.
    pub fn line(&self) -> String {
        let root = hex::encode(self.root);
        format!("{} {} {}", self.origin, self.size, &root[..SHORT_ROOT])
    }
}

/// The origin line of the journal with this random name.
pub fn origin_line(origin: &[u8]) -> String {
    format!("{ORIGIN}{}", hex::encode(origin))
}

/// What somebody kept elsewhere: a log had this size and a root that begins so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub origin: String,
    pub size: u64,
    /// At least the first 16 bytes of the root.
    pub root: Vec<u8>,
}

impl Statement {
    /// Reads one line of the form that [`Checkpoint::line`] writes. More digits are as good.
    pub fn parse(line: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{}` is not an anchor line: {why}", line.escape_debug());
        let mut words = line.split_ascii_whitespace();
        let (Some(origin), Some(size), Some(root), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong("expected ORIGIN SIZE ROOT"));
        };
        let size = size.parse().map_err(|_| wrong("the size is not a number"))?;
        let root = hex::decode(root).map_err(|_| wrong("the root is not hexadecimal"))?;
        if root.len() < SHORT_ROOT / 2 || root.len() > 32 {
            return Err(wrong("the root has fewer than 32 or more than 64 digits"));
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// Whether this root is meant.
    pub fn agrees(&self, root: &Digest) -> bool {
        root.starts_with(&self.root)
    }
}

impl From<&Checkpoint> for Statement {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            root: checkpoint.root.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_specifications() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).unwrap();
        assert_eq!(
            (checkpoint.origin.as_str(), checkpoint.size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.text(), text);
        assert_eq!(Checkpoint::parse(&format!("{text}more\n")).unwrap(), checkpoint);
        for bad in [
            "",
            "a\n1\n",
            "a\n1\nb\n",
            "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n+1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
        ] {
            assert!(Checkpoint::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_for_people_leads_back_to_the_root() {
        let checkpoint = Checkpoint::new(&[7; 16], 412, [0xab; 32]);
        let line = checkpoint.line();
        assert_eq!(
            line,
            "starr/07070707070707070707070707070707 412 abababababababababababababababab"
        );
        let statement = Statement::parse(&line).unwrap();
        assert_eq!(
            (statement.origin.as_str(), statement.size),
            (checkpoint.origin.as_str(), 412)
        );
        assert!(statement.agrees(&checkpoint.root) && !statement.agrees(&[0xac; 32]));
        assert!(
            Statement::parse(&line[..line.len() - 2]).is_err(),
            "too short to be an anchor"
        );
        assert!(Statement::parse(&format!("{line} more")).is_err());
    }
}
