//! Access tokens: what is in one (RFC 9068), and whether it is still good.
//!
//! A token lives while its signature, times, key, generation, credential and id are good. Only the
//! signature is remembered; everything else is asked again each time, so nothing depends on the
//! memory forgetting in time.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use countersign_ground::clock::Time;
use countersign_ground::entropy::Entropy;
use countersign_ground::ids::{AgentId, CredentialId, ParseIdError};
use countersign_ground::keyring::{KeyRing, RingKey, State};
use countersign_ground::problem::Problem;
use countersign_policy::Permissions;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Law;
use super::decided::Decided;
use super::directory::{AgentFacts, Directory, Standing, Thumbprint};

/// `jti`: 128 random bits as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId([u8; 16]);

impl TokenId {
    /// A fresh one.
    #[must_use]
    pub fn new(entropy: &Entropy) -> Self {
        Self(entropy.bytes())
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        let written = hex::encode_to_slice(self.0, &mut text).ok();
        f.write_str(written.and_then(|()| std::str::from_utf8(&text).ok()).unwrap_or_default())
    }
}

impl FromStr for TokenId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| ParseIdError { wanted: "32 hex digits" })?;
        Ok(Self(bytes))
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The claims of an access token (RFC 9068 section 2.2, RFC 7519 section 4.1), and three of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: Arc<str>,
    /// The agent.
    pub sub: AgentId,
    /// The same agent, as a client.
    pub client_id: AgentId,
    /// Whom it is for.
    pub aud: Vec<Arc<str>>,
    /// What it may be used for; permissions with spaces between.
    pub scope: String,
    /// Its id.
    pub jti: TokenId,
    /// When it was issued, in seconds.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// Not from then on.
    pub exp: i64,
    /// Whose agent it is.
    pub tenant: Arc<str>,
    /// The credential that asked for it.
    pub cred: CredentialId,
    /// The agent's generation then.
    pub r#gen: i64,
    /// The client certificate that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// RFC 8705 section 3.1: only who presents this certificate may use the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// The thumbprint, as base64url.
    #[serde(rename = "x5t#S256")]
    pub x5t_s256: Arc<str>,
}

impl Confirmation {
    /// Of this certificate.
    #[must_use]
    pub fn of(thumbprint: &Thumbprint) -> Self {
        Self { x5t_s256: URL_SAFE_NO_PAD.encode(thumbprint).into() }
    }
}

/// A token that its key has signed, with what need not be parsed again.
#[derive(Debug)]
pub struct Verified {
    /// What it says.
    pub claims: Claims,
    /// Its scope, parsed.
    pub scopes: Permissions,
    /// The key that signed it; a certificate's say has none.
    key: Option<Arc<RingKey>>,
    /// The agent as text, so that events can share it.
    pub subject: Arc<str>,
    /// How it is introspected (RFC 7662 section 2.2), once somebody has asked.
    pub said: OnceLock<Bytes>,
    /// What was decided for its bearer before.
    pub(super) decided: Decided,
}

impl Verified {
    /// What a client certificate says: as a token with all that the agent holds would.
    pub(super) fn by_certificate(
        agent: &AgentFacts,
        credential: CredentialId,
        issuer: &Arc<str>,
    ) -> Self {
        let claims = Claims {
            iss: Arc::clone(issuer),
            sub: agent.id,
            client_id: agent.id,
            aud: vec![Arc::clone(issuer)],
            scope: String::new(),
            jti: TokenId([0; 16]),
            iat: 0,
            nbf: 0,
            exp: i64::MAX,
            tenant: Arc::clone(&agent.tenant),
            cred: credential,
            r#gen: agent.generation,
            cnf: None,
        };
        Self {
            claims,
            scopes: Permissions::clone(&agent.scopes),
            key: None,
            subject: Arc::clone(&agent.name),
            said: OnceLock::new(),
            decided: Decided::default(),
        }
    }
}

/// Verifies tokens, and remembers which it has verified.
pub struct Tokens {
    keys: Arc<KeyRing>,
    directory: Arc<Directory>,
    issuer: Arc<str>,
    verified: Cache<[u8; 32], Arc<Verified>, Weight>,
}

impl Law {
    /// As [`Tokens::live`], with what other nodes know where memory does not know the token.
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn live_anywhere(
        &self,
        token: &str,
        now: Time,
    ) -> Result<Option<Arc<Verified>>, Problem> {
        match self.tokens.live(token, now) {
            None if self.is_newer(token).await? => Ok(self.tokens.live(token, now)),
            found => Ok(found),
        }
    }

    /// As [`Tokens::signed`], with what other nodes know where memory does not know the token.
    ///
    /// # Errors
    /// When nobody can say.
    pub async fn signed_anywhere(&self, token: &str) -> Result<Option<Arc<Verified>>, Problem> {
        match self.tokens.signed(token) {
            None if self.is_newer(token).await? => Ok(self.tokens.signed(token)),
            found => Ok(found),
        }
    }

    async fn is_newer(&self, token: &str) -> Result<bool, Problem> {
        Ok(self.tokens.may_be_newer(token) && self.following.may_know_more().await?)
    }
}

/// What a remembered token weighs, roughly.
#[derive(Clone)]
struct Weight;

impl Weighter<[u8; 32], Arc<Verified>> for Weight {
    fn weight(&self, _: &[u8; 32], token: &Arc<Verified>) -> u64 {
        1024 + 4 * token.claims.scope.len() as u64 + 64 * token.claims.aud.len() as u64
    }
}

/// How much memory verified tokens may take.
const REMEMBERED_BYTES: u64 = 32 << 20;
const REMEMBERED_TOKENS: usize = 50_000;
/// A token of ours is about 900 characters, with as many scopes and audiences as an agent may have
/// 220 000; nothing longer is looked at.
const LONGEST: usize = 256 << 10;

impl Tokens {
    pub(super) fn new(keys: Arc<KeyRing>, directory: Arc<Directory>, issuer: Arc<str>) -> Self {
        let verified = Cache::with_weighter(REMEMBERED_TOKENS, REMEMBERED_BYTES, Weight);
        Self { keys, directory, issuer, verified }
    }

    /// What a token says, if it is good at `now`. `None` for every reason alike.
    #[must_use]
    pub fn live(&self, token: &str, now: Time) -> Option<Arc<Verified>> {
        self.signed(token).filter(|verified| self.is_live(verified, now))
    }

    /// What a token of ours says, expired or revoked though it may be.
    #[must_use]
    pub fn signed(&self, token: &str) -> Option<Arc<Verified>> {
        if token.len() > LONGEST {
            return None;
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(known) = self.verified.get(&name) {
            return Some(known);
        }
        let verified = Arc::new(self.verify(token)?);
        self.verified.insert(name, Arc::clone(&verified));
        Some(verified)
    }

    /// Whether another node may know a token for good that memory does not: its key, its agent, its
    /// credential or its generation is not known here.
    fn may_be_newer(&self, token: &str) -> bool {
        let Some(token) = self.signed(token) else { return token.starts_with("ey") };
        let claims = &token.claims;
        self.directory.agent(claims.sub).is_none_or(|agent| {
            agent.generation < claims.r#gen
                || !agent.credentials.iter().any(|one| one.id == claims.cred)
        })
    }

    /// Whether a token that was verified is good at `now`.
    #[must_use]
    pub fn is_live(&self, token: &Verified, now: Time) -> bool {
        let claims = &token.claims;
        let in_time = claims.nbf <= now.seconds() && now.seconds() < claims.exp;
        let agent = self.directory.agent(claims.sub);
        let agent_good = agent.is_some_and(|agent| {
            agent.standing == Standing::Active
                && agent.generation == claims.r#gen
                && agent.tenant == claims.tenant
                && agent.live_credential(claims.cred, now).is_some()
        });
        in_time
            && agent_good
            && token.key.as_ref().is_some_and(|key| key.state() != State::Retired)
            && !self.directory.is_revoked(&claims.jti)
    }

    /// Checks signature and shape. The header must be, byte for byte, the one that the key writes:
    /// there is no `alg` to choose and no `kid` to look elsewhere for.
    fn verify(&self, token: &str) -> Option<Verified> {
        let (message, signature) = token.rsplit_once('.')?;
        let keys = self.keys.token_keys();
        let ring = keys.iter().find(|ring| message.starts_with(ring.key.header()))?;
        let ring = self.keys.verifying(ring.key.kid())?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !ring.key.verifies(message.as_bytes(), &signature) {
            return None;
        }
        let claims = URL_SAFE_NO_PAD.decode(&message[ring.key.header().len()..]).ok()?;
        let mut claims: Claims = serde_json::from_slice(&claims).ok()?;
        let scopes = Permissions::from_scope(&claims.scope).ok()?;
        let ours = claims.iss == self.issuer;
        let subject = claims.sub.to_string().into();
        // Shared with what is looked at for every token, so that a rare one is found with less.
        claims.iss = Arc::clone(&self.issuer);
        if let Some(tenant) = self.directory.tenant(&claims.tenant) {
            claims.tenant = Arc::clone(&tenant.id);
        }
        let (said, decided) = (OnceLock::new(), Decided::default());
        ours.then(|| Verified { claims, scopes, key: Some(ring), subject, said, decided })
    }
}
