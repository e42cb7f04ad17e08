//! Merkle trees as RFC 6962 section 2.1 builds them, with SHA-256.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256 hash; written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands in the first seal in place of the one before.
    pub const NONE: Self = Self([0; 32]);

    /// Of some text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        sum(&[text])
    }

    /// Hashes that lie one after the other.
    #[must_use]
    pub fn list(bytes: &[u8]) -> Vec<Self> {
        bytes.as_chunks::<32>().0.iter().copied().map(Self).collect()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = crate::ids::ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = crate::ids::ParseIdError { wanted: "64 lower-case hex digits" };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| wanted)?;
        // One hash has one text.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(crate::ids::ParseIdError { wanted: "64 lower-case hex digits" });
        }
        Ok(Self(bytes))
    }
}

/// The hash of a leaf: the prefix keeps a leaf from being taken for a node.
#[must_use]
pub fn leaf(text: &[u8]) -> Hash {
    sum(&[&[0], text])
}

/// The root of a tree over these leaf hashes; of no leaves, the hash of nothing.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        level = above(&level);
    }
    level.first().copied().unwrap_or_else(|| Hash::of(&[]))
}

/// The audit path of a leaf, from the bottom up: what its hash is joined with to reach the root.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let (mut level, mut at, mut path) = (leaves.to_vec(), index, Vec::new());
    while level.len() > 1 {
        // The last of an odd level has nobody beside it and is handed up as it is.
        path.extend(level.get(at ^ 1));
        (level, at) = (above(&level), at / 2);
    }
    path
}

/// The root that a leaf hash and its audit path lead to in a tree of `size` leaves; `None` when the
/// path is not as long as it must be.
#[must_use]
pub fn climb(leaf: Hash, index: usize, size: usize, path: &[Hash]) -> Option<Hash> {
    let (mut hash, mut at, mut last) = (leaf, index, size.checked_sub(1)?);
    if at > last {
        return None;
    }
    let mut path = path.iter();
    while last > 0 {
        if at % 2 == 1 {
            hash = node(path.next()?, &hash);
        } else if at < last {
            hash = node(&hash, path.next()?);
        }
        (at, last) = (at / 2, last / 2);
    }
    path.next().is_none().then_some(hash)
}

fn above(level: &[Hash]) -> Vec<Hash> {
    let joined = |pair: &[Hash]| match pair {
        [left, right] => node(left, right),
        alone => alone[0],
    };
    level.chunks(2).map(joined).collect()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sum(&[&[1], &left.0, &right.0])
}

fn sum(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1, as it is written there.
    fn by_definition(leaves: &[Hash]) -> Hash {
        if leaves.len() == 1 {
            return leaves[0];
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        node(&by_definition(left), &by_definition(right))
    }

    #[test]
    fn an_empty_tree_and_an_empty_leaf_hash_as_published() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(root(&[]).to_string(), empty);
        let leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(super::leaf(b"").to_string(), leaf);
    }

    #[test]
    fn roots_and_paths_of_every_small_tree_agree_with_the_definition() {
        let leaves: Vec<Hash> = (0..70_u8).map(|one| leaf(&[one])).collect();
        for size in 1..leaves.len() {
            let (leaves, other) = (&leaves[..size], leaves[size]);
            let root = root(leaves);
            assert_eq!(root, by_definition(leaves));
            for index in 0..size {
                let mut path = path(leaves, index);
                let climbed = |path: &[Hash]| climb(leaves[index], index, size, path);
                assert_eq!(climbed(&path), Some(root), "{index} of {size}");
                assert_ne!(climb(other, index, size, &path), Some(root));
                assert_ne!(climb(leaves[index], index + 1, size, &path), Some(root));
                path.push(other);
                assert_eq!(climbed(&path), None, "too long");
                path.pop();
                if path.pop().is_some() {
                    assert_eq!(climbed(&path), None, "too short");
                }
            }
        }
    }

    #[test]
    fn a_hash_has_one_text() {
        let hash = Hash::of(b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.to_string().to_uppercase().parse::<Hash>().is_err());
        assert!("00".parse::<Hash>().is_err());
    }
}
