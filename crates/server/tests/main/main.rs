//! The server as its clients see it: one binary, a module a feature, every test with its own
//! database, port and clock.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "nobody imports a test")]

mod agents;
mod agents_fields;
mod agents_if_match;
mod agents_list;
mod agents_update;
mod architecture;
mod callers;
mod callers_origin;
mod credentials;
mod credentials_authority;
mod credentials_certificates;
mod credentials_rotation;
mod decisions;
mod discovery;
#[cfg(feature = "ext-authz")]
mod envoy;
mod forward;
mod guards;
mod health;
mod http_bodies;
mod http_rules;
mod identity_hostile;
mod identity_unrecorded;
mod introspection;
mod keys_at_rest;
mod keys_import;
mod keys_lifecycle;
mod main_job;
mod metrics;
mod migrations;
mod model;
mod nodes;
mod operators;
mod plans;
mod policy_directory;
mod pooler;
mod quarantine;
mod rbac;
mod record;
mod revocation;
mod seals;
mod settings;
mod storage;
mod support;
mod tenants;
mod timing;
mod tls;
mod tokens;
mod vault;
mod whoami;
