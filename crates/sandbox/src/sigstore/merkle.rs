//! An in-memory RFC 6962 Merkle tree that proves inclusion.
//!
//! It keeps leaf hashes alone and hashes the whole tree for each proof: right and slow, as suits
//! logs of a few dozen entries.

use sigstore_merkle::{hash_children, hash_leaf};
use sigstore_types::Sha256Hash;

/// A log's tree.
#[derive(Debug, Default)]
pub(super) struct MerkleTree {
    leaves: Vec<Sha256Hash>,
}

/// The proof that a leaf is part of a tree.
#[derive(Debug, Clone)]
pub(super) struct InclusionProof {
    /// The leaf's position.
    pub(super) index: u64,
    /// The number of leaves of the tree.
    pub(super) size: u64,
    /// The tree's root hash.
    pub(super) root: Sha256Hash,
    /// The audit path, from the leaf upwards.
    pub(super) path: Vec<Sha256Hash>,
}

impl MerkleTree {
    /// Appends a leaf and proves its inclusion in the tree that ends with it.
    pub(super) fn append(&mut self, data: &[u8]) -> InclusionProof {
        self.leaves.push(hash_leaf(data));
        self.prove(self.leaves.len().saturating_sub(1))
    }

    /// Proves that the leaf at `index` is part of the tree as it stands.
    pub(super) fn prove(&self, index: usize) -> InclusionProof {
        let mut path = Vec::new();
        let root = walk(&self.leaves, Some(index), &mut path);
        InclusionProof {
            index: index as u64,
            size: self.leaves.len() as u64,
            root,
            path,
        }
    }

    /// The number of leaves, and the root hash.
    pub(super) fn head(&self) -> (u64, Sha256Hash) {
        let root = walk(&self.leaves, None, &mut Vec::new());
        (self.leaves.len() as u64, root)
    }

    /// The leaf hashes, in order.
    pub(super) fn leaves(&self) -> &[Sha256Hash] {
        &self.leaves
    }
}

/// The hash of the tree over `leaves` (RFC 6962, section 2.1), noting on the way the siblings of
/// the path to the leaf at `index` (section 2.1.1), lowest first.
fn walk(leaves: &[Sha256Hash], index: Option<usize>, path: &mut Vec<Sha256Hash>) -> Sha256Hash {
    match leaves {
        // The empty tree's hash is that of the empty string.
        [] => Sha256Hash::new(super::keys::digest(b"")),
        [leaf] => *leaf,
        _ => {
            // The largest power of two smaller than the number of leaves.
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            let left_index = index.filter(|index| *index < split);
            let right_index = index.and_then(|index| index.checked_sub(split));
            let left = walk(left, left_index, path);
            let right = walk(right, right_index, path);
            if left_index.is_some() {
                path.push(right);
            } else if right_index.is_some() {
                path.push(left);
            }
            hash_children(&left, &right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_trees_of_every_shape_is_proven_to_an_independent_verifier() {
        for size in 1..=17_usize {
            let mut tree = MerkleTree::default();
            for leaf in 0..size {
                tree.append(&[leaf as u8]);
            }
            for leaf in 0..size {
                let proof = tree.prove(leaf);
                sigstore_merkle::verify_inclusion_proof(
                    &hash_leaf(&[leaf as u8]),
                    proof.index,
                    proof.size,
                    &proof.path,
                    &proof.root,
                )
                .unwrap();
            }
        }
    }

    #[test]
    fn a_leaf_is_not_proven_by_its_neighbours_path() {
        let mut tree = MerkleTree::default();
        for leaf in 0..5_u8 {
            tree.append(&[leaf]);
        }
        let proof = tree.prove(3);
        let outcome = sigstore_merkle::verify_inclusion_proof(
            &hash_leaf(&[2]),
            proof.index,
            proof.size,
            &proof.path,
            &proof.root,
        );
        assert!(outcome.is_err());
    }
}
