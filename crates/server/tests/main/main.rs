//! The server as its clients see it: one binary, a module a feature, every test with its own
//! database, port and clock.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "nobody imports a test")]

mod main_job;
mod support;
