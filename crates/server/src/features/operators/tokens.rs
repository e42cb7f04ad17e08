//! Tokens of operators: made with a name, shown once, ended at once.

use countersign_ground::clock::Time;
use countersign_ground::ids::{OperatorId, OperatorTokenId};
use countersign_ground::secret::SecretDigest;

use crate::law::directory::OperatorToken;

/// A token of an operator, as its row has it.
#[derive(Debug)]
pub struct Token {
    pub(super) id: OperatorTokenId,
    pub(super) operator: OperatorId,
    pub(super) name: Option<String>,
    pub(super) digest: SecretDigest,
    pub(super) created_at: Time,
    pub(super) expires_at: Option<Time>,
    pub(super) revoked_at: Option<Time>,
    pub(super) last_used_at: Option<Time>,
}

impl Token {
    /// What the law needs to know.
    #[must_use]
    pub fn facts(&self) -> OperatorToken {
        OperatorToken {
            id: self.id.clone(),
            operator: self.operator.clone(),
            expires_at: self.expires_at,
            revoked: self.revoked_at.is_some(),
        }
    }
}

/// A token to be made.
#[derive(Debug)]
pub struct NewToken {
    pub(super) id: OperatorTokenId,
    pub(super) name: Option<String>,
    pub(super) digest: SecretDigest,
    pub(super) digest_key: i64,
    pub(super) expires_at: Option<Time>,
}
