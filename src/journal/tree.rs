//! The Merkle tree over the entries of a log: hashing and append as in RFC 6962, section 2.1.

use sha2::{Digest as _, Sha256};

/// A SHA-256 hash.
pub type Digest = [u8; 32];

/// The hash of a leaf: SHA-256 over a zero byte and the entry's bytes.
pub fn leaf(bytes: &[u8]) -> Digest {
    hash(&[&[0x00], bytes])
}

/// The hash of an inner node: SHA-256 over a one byte and both children.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    hash(&[&[0x01], left, right])
}

/// SHA-256 over the parts, one after the other.
pub fn hash(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// What is needed to append to the tree and to compute its root: the roots of its perfect subtrees, largest first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One hash for each one-bit of `size`, the highest bit first.
    roots: Vec<Digest>,
}

impl Frontier {
    /// The frontier from its stored form; `None` when length and size do not fit.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && roots.len() == size.count_ones() as usize).then(|| Self {
            size,
            roots: roots.to_vec(),
        })
    }

    /// The stored form: the hashes one after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The perfect subtrees, largest first: the leaf each starts at, and its root.
    pub fn subtrees(&self) -> Vec<(u64, Digest)> {
        let heights = (0..u64::BITS).rev().filter(|bit| self.size >> bit & 1 == 1);
        let mut start = 0;
        heights
            .zip(&self.roots)
            .map(|(height, root)| {
                let at = start;
                start += 1 << height;
                (at, *root)
            })
            .collect()
    }

    /// Appends a leaf's hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        // Every trailing one-bit of the old size is a perfect subtree as high as the one that was just completed.
        for _ in 0..self.size.trailing_ones() {
            let left = self.roots.pop().expect("a subtree for each one-bit of the size");
            hash = node(&left, &hash);
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root hash of the whole tree; of an empty one it is the hash of nothing.
    pub fn root(&self) -> Digest {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            Some(last) => roots.fold(*last, |right, left| node(left, &right)),
            None => hash(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962's own recursive definition, to compare with.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => hash(&[]),
            [one] => *one,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn roots_of_the_known_test_inputs() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::default();
        assert_eq!(hex::encode(frontier.root()), roots[0]);
        for (input, root) in inputs.iter().zip(&roots[1..]) {
            frontier.push(leaf(&hex::decode(input).unwrap()));
            assert_eq!(&hex::encode(frontier.root()), root);
        }
    }

    #[test]
    fn the_frontier_agrees_with_the_definition_and_survives_storage() {
        let mut leaves = Vec::new();
        let mut frontier = Frontier::default();
        for number in 0_u16..140 {
            leaves.push(leaf(&number.to_be_bytes()));
            frontier.push(leaf(&number.to_be_bytes()));
            assert_eq!(frontier.root(), by_definition(&leaves));
            frontier = Frontier::from_bytes(frontier.size(), &frontier.to_bytes()).unwrap();
        }
    }

    #[test]
    fn a_stored_frontier_of_the_wrong_length_is_none() {
        assert_eq!(Frontier::from_bytes(3, &[0; 32]), None);
        assert_eq!(Frontier::from_bytes(1, &[0; 33]), None);
    }
}
