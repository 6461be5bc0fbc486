//! Proofs over the tree: that an entry is in it (RFC 6962, section 2.1.1) and that an older tree is its beginning (2.1.2).

use super::tree::{Digest, Frontier, node};

/// The proof that the leaf `index` is in the tree of these leaves; `None` when there is no such leaf. From the leaf to the root.
pub fn inclusion(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    (index < leaves.len()).then(|| {
        let mut proof = Vec::new();
        path(leaves, index, &mut proof);
        proof
    })
}

fn path(leaves: &[Digest], index: usize, proof: &mut Vec<Digest>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    if index < left.len() {
        path(left, index, proof);
        proof.push(root(right));
    } else {
        path(right, index - left.len(), proof);
        proof.push(root(left));
    }
}

/// The proof that the tree behind `old` is the beginning of the tree that has these `newer` leaves after it. It takes nothing
/// but the old frontier and what came since: no leaf before it is read.
pub fn consistency(old: &Frontier, newer: &[Digest]) -> Vec<Digest> {
    let mut proof = Vec::new();
    if old.size() > 0 && !newer.is_empty() {
        let roots = old.subtrees();
        let tree = Part {
            start: 0,
            end: old.size() + newer.len() as u64,
        };
        Grown {
            old: old.size(),
            roots: &roots,
            newer,
        }
        .walk(tree, true, &mut proof);
    }
    proof
}

/// A range of leaves.
#[derive(Clone, Copy)]
struct Part {
    start: u64,
    end: u64,
}

/// An old tree with leaves after it.
struct Grown<'a> {
    old: u64,
    /// Where each perfect subtree of the old tree starts, and its root.
    roots: &'a [(u64, Digest)],
    newer: &'a [Digest],
}

impl Grown<'_> {
    /// `SUBPROOF` of the RFC; `whole` while the old tree is a node that the verifier knows.
    fn walk(&self, part: Part, whole: bool, proof: &mut Vec<Digest>) {
        if part.end == self.old {
            if !whole {
                proof.push(self.root(part));
            }
            return;
        }
        let middle = part.start + largest_power_below(part.end - part.start);
        let (left, right) = (
            Part {
                start: part.start,
                end: middle,
            },
            Part {
                start: middle,
                end: part.end,
            },
        );
        if self.old <= middle {
            self.walk(left, whole, proof);
            proof.push(self.root(right));
        } else {
            self.walk(right, false, proof);
            proof.push(self.root(left));
        }
    }

    /// The root of a range that lies wholly among the newer leaves, or is one of the old tree's perfect subtrees: the RFC's
    /// recursion asks for no other.
    fn root(&self, part: Part) -> Digest {
        if part.start >= self.old {
            let at = |leaf: u64| usize::try_from(leaf - self.old).expect("the newer leaves are in memory");
            return root(&self.newer[at(part.start)..at(part.end)]);
        }
        self.roots
            .iter()
            .find(|(start, _)| *start == part.start)
            .map(|(_, root)| *root)
            .expect("a perfect subtree of the old tree starts here")
    }
}

/// Whether the leaf with this hash stands at `index` in the tree of `size` leaves with this root.
pub fn includes(leaf: &Digest, index: u64, size: u64, root: &Digest, proof: &[Digest]) -> bool {
    if index >= size {
        return false;
    }
    let (mut position, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            hash = node(sibling, &hash);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the tree of `old` leaves with `old_root` is the beginning of the tree of `new` leaves with `new_root`.
pub fn consistent(old: u64, old_root: &Digest, new: u64, new_root: &Digest, proof: &[Digest]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        // Every tree begins with the empty one.
        return proof.is_empty() && *old_root == Frontier::default().root();
    }
    let mut proof = proof.iter();
    let (mut position, mut last) = (old - 1, new - 1);
    while position & 1 == 1 {
        position >>= 1;
        last >>= 1;
    }
    // A perfect old tree is itself the first node of the proof, and is left out of it.
    let first = if old.is_power_of_two() {
        Some(old_root)
    } else {
        proof.next()
    };
    let Some(first) = first else { return false };
    let (mut seen_old, mut seen_new) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if position & 1 == 1 || position == last {
            seen_old = node(sibling, &seen_old);
            seen_new = node(sibling, &seen_new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            seen_new = node(&seen_new, sibling);
        }
        position >>= 1;
        last >>= 1;
    }
    last == 0 && seen_old == *old_root && seen_new == *new_root
}

/// The root of the tree of these leaves.
fn root(leaves: &[Digest]) -> Digest {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(*leaf);
    }
    frontier.root()
}

fn split(leaves: usize) -> usize {
    leaves.next_power_of_two() / 2
}

fn largest_power_below(leaves: u64) -> u64 {
    leaves.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tree;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    const INPUTS: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];

    fn leaves() -> Vec<Digest> {
        INPUTS
            .iter()
            .map(|input| tree::leaf(&hex::decode(input).unwrap()))
            .collect()
    }

    fn frontier(leaves: &[Digest]) -> Frontier {
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    fn digests(base64: &[&str]) -> Vec<Digest> {
        let digest = |text: &&str| STANDARD.decode(text).unwrap().try_into().unwrap();
        base64.iter().map(digest).collect()
    }

    const LEAF_4_TO_6: &str = "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=";
    const LEAVES_2_AND_3: &str = "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=";
    const FIRST_FOUR: &str = "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=";
    const LAST_TWO: &str = "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=";
    const LEAVES_4_AND_5: &str = "DrxdNDf74tsVi58Sah0RjjCBgQMdCpSfje3t68VY72o=";

    /// Vectors that the implementations of RFC 6962 share.
    #[test]
    fn published_vectors() {
        let inclusions: [(usize, usize, &[&str]); 3] = [
            (5, 8, &[LEAF_4_TO_6, LAST_TWO, FIRST_FOUR]),
            (2, 3, &["+sVCA+fMaWzw38tCySodnbr3CtnmIfS9jZhmLwDjwSU="]),
            (
                1,
                5,
                &[
                    "bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0=",
                    LEAVES_2_AND_3,
                    LEAF_4_TO_6,
                ],
            ),
        ];
        for (index, size, proof) in inclusions {
            let leaves = &leaves()[..size];
            assert_eq!(inclusion(leaves, index), Some(digests(proof)));
            let root = frontier(leaves).root();
            assert!(includes(
                &leaves[index],
                index as u64,
                size as u64,
                &root,
                &digests(proof)
            ));
        }
        let consistencies: [(usize, usize, &[&str]); 3] = [
            (6, 8, &[LEAVES_4_AND_5, LAST_TWO, FIRST_FOUR]),
            (2, 5, &[LEAVES_2_AND_3, LEAF_4_TO_6]),
            (
                6,
                7,
                &[
                    LEAVES_4_AND_5,
                    "sIaT7C5yFZcTBkHoIR5+7cy0wmQTlj7ubB4u0W/7Gl8=",
                    FIRST_FOUR,
                ],
            ),
        ];
        for (old, new, proof) in consistencies {
            let leaves = leaves();
            assert_eq!(
                consistency(&frontier(&leaves[..old]), &leaves[old..new]),
                digests(proof)
            );
        }
        let roots = digests(&[
            "duZ9rbzfHhDht03cYIq9L5jfsW+851J3tSMqEn8gh+8=",
            "XcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=",
        ]);
        let proof = digests(&[LEAVES_4_AND_5, LAST_TWO, FIRST_FOUR]);
        assert!(consistent(6, &roots[0], 8, &roots[1], &proof));
        assert!(!consistent(6, &roots[1], 8, &roots[0], &proof));
        assert!(!consistent(5, &roots[0], 8, &roots[1], &proof));
    }

    /// Every pair of sizes up to 40, and every proof with one thing changed.
    #[test]
    fn every_proof_holds_and_no_changed_one() {
        let leaves: Vec<Digest> = (0_u16..40).map(|number| tree::leaf(&number.to_be_bytes())).collect();
        for new in 1..=leaves.len() {
            let root = frontier(&leaves[..new]).root();
            for (index, leaf) in leaves[..new].iter().enumerate() {
                let proof = inclusion(&leaves[..new], index).unwrap();
                let holds = |at: usize, proof: &[Digest]| includes(leaf, at as u64, new as u64, &root, proof);
                assert!(holds(index, &proof));
                assert!(!holds(index + 1, &proof) && !holds(new, &proof));
                for changed in changed(&proof) {
                    assert!(!holds(index, &changed), "{index} of {new}");
                }
            }
            for old in 0..=new {
                let before = frontier(&leaves[..old]);
                let proof = consistency(&before, &leaves[old..new]);
                let holds = |proof: &[Digest]| consistent(old as u64, &before.root(), new as u64, &root, proof);
                assert!(holds(&proof), "{old} to {new}");
                for changed in changed(&proof) {
                    assert!(!holds(&changed), "{old} to {new}");
                }
                assert!(!consistent(old as u64, &[7; 32], new as u64, &root, &proof));
                assert!(old == 0 || !consistent(old as u64, &before.root(), new as u64, &[7; 32], &proof));
            }
        }
        assert_eq!(inclusion(&leaves, 40), None);
    }

    fn changed(proof: &[Digest]) -> Vec<Vec<Digest>> {
        let mut all = vec![[proof, &[[1; 32]]].concat(), [&[[1; 32]], proof].concat()];
        if !proof.is_empty() {
            all.push(proof[1..].to_vec());
            all.push(proof[..proof.len() - 1].to_vec());
        }
        for at in 0..proof.len() {
            let mut other = proof.to_vec();
            other[at][at % 32] ^= 1;
            all.push(other);
        }
        all
    }
}
