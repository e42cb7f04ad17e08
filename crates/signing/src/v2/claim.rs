//! What a request claims in `Signature-Input` and `Signature`, and whether it is so
//! (RFC 9421 section 3.2).

use std::ops::Deref;

use super::base::{self, Component};
use super::structured::{self, Bare, Member, Parameter, Value};
use super::{CONTENT_DIGEST, ContentDigest, LABEL, SIGNATURE, SIGNATURE_INPUT, TAG};
use crate::head::RequestHead;
use crate::reason::Reason;
use crate::service::{KeyVersion, Service, ServiceId, SignatureVersion};
use crate::time::Window;
use crate::verified::{SignedHead, Verified, replay_id};

/// A signature of ours, read and not yet verified. Whatever is wrong with it is a [`Reason`].
pub(crate) struct Claim {
    components: Vec<Component>,
    /// The value of `@signature-params`, as this library writes it.
    parameters: String,
    created: i64,
    expires: i64,
    nonce: String,
    keyid: String,
    algorithm: String,
    signature: Vec<u8>,
}

impl Claim {
    /// Reads the signature; `None` when the request has none under our label, or one with another
    /// application's tag.
    pub(crate) fn read(head: &RequestHead<'_>) -> Result<Option<Self>, Reason> {
        let malformed = Reason::InvalidSignature;
        let Some(input) = head.combined(&SIGNATURE_INPUT).map_err(|_| malformed)? else {
            return Ok(None);
        };
        let inputs = structured::dictionary(&input).map_err(|_| malformed)?;
        let Some(input) = labelled(inputs) else { return Ok(None) };
        if text(&input.parameters, "tag").is_ok_and(|tag| tag != TAG) {
            return Ok(None);
        }
        let signatures = head.combined(&SIGNATURE).map_err(|_| malformed)?;
        let signatures = signatures.ok_or(Reason::MissingHeaders)?;
        let signatures = structured::dictionary(&signatures).map_err(|_| malformed)?;
        match labelled(signatures).ok_or(Reason::MissingHeaders)?.value {
            Value::Bare(Bare::Bytes(signature)) => Self::new(input, signature).map(Some),
            _ => Err(malformed),
        }
    }

    fn new(input: Member<'_>, signature: Vec<u8>) -> Result<Self, Reason> {
        let components = components(&input.value)?;
        let given = &input.parameters;
        for name in ["created", "expires", "nonce", "keyid", "alg", "tag"] {
            find(given, name).ok_or(Reason::MissingComponent(name))?;
        }
        let created = integer(given, "created")?;
        let expires = integer(given, "expires")?;
        // A tag that is not text got this far, and an unknown parameter is the seventh.
        if text(given, "tag")? != TAG || given.len() != 6 {
            return Err(Reason::InvalidSignature);
        }
        Ok(Self {
            parameters: serialize(&components, given)?,
            created,
            expires,
            nonce: text(given, "nonce")?.to_owned(),
            keyid: text(given, "keyid")?.to_owned(),
            algorithm: text(given, "alg")?.to_owned(),
            components,
            signature,
        })
    }

    /// Holds the claim against head, time and keys.
    pub(crate) fn verify<S: Deref<Target = Service>>(
        self,
        head: &RequestHead<'_>,
        window: Window,
        find: impl FnOnce(&ServiceId) -> Option<S>,
    ) -> Result<SignedHead, Reason> {
        if !window.holds(self.created) || window.now() > self.expires {
            return Err(Reason::TimestampOutsideWindow);
        }
        let (service, version) = self.signer().ok_or(Reason::UnknownService)?;
        let known = find(&service).ok_or(Reason::UnknownService)?;
        let key = known.keys.iter().find(|key| key.version == version);
        let key = key.filter(|key| key.is_live(window.now())).ok_or(Reason::KeyExpired)?;

        let base = base::of_request(head, &self.components, &self.parameters)
            .map_err(Reason::MissingComponent)?;
        // Section 3.2 step 6: the key says which algorithm it is for; the claim may only agree.
        if key.key.algorithm() != self.algorithm
            || !key.key.verifies(base.as_bytes(), &self.signature)
        {
            return Err(Reason::InvalidSignature);
        }
        let verified = Verified {
            key_version: version,
            signature: SignatureVersion::V2,
            timestamp: self.created,
            good_until: window.holds_until(self.created).min(self.expires),
            replay_id: replay_id("v2", &service, &self.nonce),
            service,
        };
        Ok(SignedHead::of_v2(verified, self.digest(head)?))
    }

    /// `<service_id>:v<version>`.
    fn signer(&self) -> Option<(ServiceId, KeyVersion)> {
        let (service, version) = self.keyid.split_once(':')?;
        Some((service.parse().ok()?, version.parse().ok()?))
    }

    fn digest(&self, head: &RequestHead<'_>) -> Result<Option<ContentDigest>, Reason> {
        if !self.components.contains(&Component::ContentDigest) {
            return Ok(None);
        }
        let field = head.combined(&CONTENT_DIGEST).ok().flatten().unwrap_or_default();
        ContentDigest::parse(&field).map(Some).map_err(|_| Reason::DigestMismatch)
    }
}

fn labelled(members: Vec<Member<'_>>) -> Option<Member<'_>> {
    members.into_iter().find(|member| member.key == LABEL)
}

/// The covered components: ours, each once and without parameters, and all that are required.
fn components(value: &Value<'_>) -> Result<Vec<Component>, Reason> {
    let Value::List(items) = value else { return Err(Reason::InvalidSignature) };
    let mut components = Vec::with_capacity(items.len());
    for item in items {
        let component = match item {
            (Bare::Text(name), parameters) if parameters.is_empty() => Component::named(name),
            _ => None,
        };
        match component {
            Some(component) if !components.contains(&component) => components.push(component),
            _ => return Err(Reason::InvalidSignature),
        }
    }
    match Component::REQUIRED.into_iter().find(|component| !components.contains(component)) {
        Some(missing) => Err(Reason::MissingComponent(missing.name())),
        None => Ok(components),
    }
}

/// `@signature-params` in the one spelling of RFC 8941, in the order in which it came
/// (RFC 9421 section 2.3).
fn serialize(components: &[Component], given: &[Parameter<'_>]) -> Result<String, Reason> {
    let mut serialized = base::list(components);
    for (key, value) in given {
        let value = match value {
            Bare::Integer(number) => number.to_string(),
            Bare::Text(value) => structured::text(value),
            Bare::Bytes(_) | Bare::Other => return Err(Reason::InvalidSignature),
        };
        serialized.extend([";", key, "=", &value]);
    }
    Ok(serialized)
}

fn find<'g>(given: &'g [Parameter<'_>], name: &str) -> Option<&'g Bare> {
    given.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn integer(given: &[Parameter<'_>], name: &str) -> Result<i64, Reason> {
    match find(given, name) {
        Some(Bare::Integer(number)) => Ok(*number),
        _ => Err(Reason::InvalidTimestamp),
    }
}

fn text<'g>(given: &'g [Parameter<'_>], name: &str) -> Result<&'g str, Reason> {
    match find(given, name) {
        Some(Bare::Text(text)) if !text.is_empty() => Ok(text),
        _ => Err(Reason::InvalidSignature),
    }
}
