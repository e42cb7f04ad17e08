//! Quarantine: one call that suspends an agent and stops all that it holds, with a receipt.
//!
//! The agent's row is changed first, so that no grant can slip past; then each feature's `stop` is
//! called, in a fixed order. What later features give to an agent, they stop here.

pub mod http;

use countersign_ground::clock::Time;
use countersign_ground::ids::{AgentId, CredentialId, EventId, ReceiptId};
use serde::Serialize;
use utoipa::ToSchema;

/// What was stopped.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Also in the event.
    #[schema(value_type = String, format = "uuid")]
    pub receipt_id: ReceiptId,
    /// The event of the record that holds it.
    #[schema(value_type = String, format = "uuid")]
    pub event_id: EventId,
    /// Who was stopped.
    #[schema(value_type = String, format = "uuid")]
    pub agent_id: AgentId,
    /// Why.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    pub stopped_at: Time,
    /// Credentials that were revoked.
    #[schema(value_type = Vec<String>)]
    pub credentials: Vec<CredentialId>,
    /// Tokens that died.
    pub tokens: Tokens,
    /// Services that the agent owns, whose keys were revoked.
    #[schema(value_type = Vec<Object>)]
    pub services: [(); 0],
    /// Serial numbers of certificates that were revoked.
    #[schema(value_type = Vec<String>)]
    pub ssh_certificates: [(); 0],
    /// Approvals that were cancelled.
    #[schema(value_type = Vec<String>)]
    pub approvals: [(); 0],
    /// Webhooks that were disabled.
    #[schema(value_type = Vec<String>)]
    pub webhooks: [(); 0],
    /// Until when a verifier that works on its own may still take one of its tokens for good; absent
    /// when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub self_contained_until: Option<Time>,
}

/// What became of an agent's tokens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// For people: tokens issued before are dead. What counts is the agent's generation.
    #[schema(value_type = String, format = "date-time")]
    pub not_before: Time,
    /// How many were live, as the record has them; absent when it is too long to be looked through
    /// in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<usize>,
}
