//! Signing keys, as operators see them. The keys themselves are in the key ring.

pub mod http;
