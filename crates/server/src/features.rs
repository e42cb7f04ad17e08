//! One folder a feature: `mod` holds types, lifecycle and refusals, `store` all SQL of its tables,
//! `http` wire types and handlers.

pub mod activity;
pub mod agents;
pub mod audit;
pub mod credentials;
pub mod documents;
pub mod guards;
pub mod keys;
pub mod oauth;
pub mod operators;
pub mod policy;
pub mod quarantine;
pub mod quotas;
pub mod rbac;
pub mod registry;
pub mod routes;
pub mod tenants;
